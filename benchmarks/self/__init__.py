"""The harness measured by itself: `run_bench.py self WHAT`, one file each with ABOUT and main(arguments) -> exit code."""

import argparse
import importlib
import pkgutil

from common.cli.parser import Parser


def main(arguments: list[str]) -> int:
    """Exit code 0 where the measured figure keeps its limit, 1 where it does not."""
    found = {m.name: importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)}
    parser = Parser(
        prog="run_bench.py self",
        description="Measure the harness itself, on this machine, now.",
        epilog="\n".join(f"  {name:10} {module.ABOUT}" for name, module in found.items()),
    )
    parser.add_argument("what", choices=found)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="see self WHAT --help")
    options = parser.parse_args(arguments)
    return found[options.what].main(options.arguments)

"""The harness measured by itself: `run_bench.py self WHAT`, a file for each WHAT, as common/cli/command.py says."""

import argparse
import importlib
import pkgutil
from typing import cast

from common.cli.command import parse
from common.cli.parser import Options, Parser
from common.core.plugins import Command
from common.report.output import Output


def add_flags(parser: Parser) -> None:
    found = _measurements()
    parser.epilog = "\n".join(f"  {name:10} {module.ABOUT}" for name, module in found.items())
    parser.add_argument("what", choices=found)
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="arguments", help="see self WHAT --help")


def run(options: Options, output: Output) -> int:
    """Exit code 0 where the measured figure keeps its limit, 1 where it does not."""
    measurement = _measurements()[options.what]
    return measurement.run(parse(measurement, f"run_bench.py self {options.what}", options.rest), output)


def _measurements() -> dict[str, Command]:
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    return {name: cast(Command, importlib.import_module(f"{__name__}.{name}")) for name in names}

"""The harness, measured."""

import importlib

from common.cli.parser import Options, Parser
from common.report.output import Output

ABOUT = "measure the harness itself: against a bare loop, Pillow, the machine's peak"
DESCRIPTION = "Measure the harness itself, on this machine, now."


# The measurements are a package of their own, which may use any of the harness: found by name, and when it is needed.
def add_flags(parser: Parser) -> None:
    importlib.import_module("benchmarks.self").add_flags(parser)


def run(options: Options, output: Output) -> int:
    return importlib.import_module("benchmarks.self").run(options, output)

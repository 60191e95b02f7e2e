"""All runs of a results folder against time."""

from pathlib import Path

from common.cli.parser import Options, Parser
from common.report.output import Output

ABOUT = "all runs of a results folder against time: F1, seconds, memory, and where they stepped"
DESCRIPTION = (
    "Every job's F1 at the last percentile, seconds of an epoch and memory, run by run, and the runs at which one of "
    "them stepped. Writes history.md, history.html and a figure into the folder."
)
EPILOG = "example: run_bench.py history results --row efficientnet_lite0"


def add_flags(parser: Parser) -> None:
    parser.add_argument("folder", type=Path, nargs="?", default=Path("results"), help="of the runs (default: results)")
    parser.add_argument("--row", metavar="WORDS", default="", help="only rows whose name, or a run's, has these words")


def run(options: Options, output: Output) -> int:
    from common.core.errors import InputError
    from common.report.history import write_history

    if not options.folder.is_dir():
        raise InputError(f"there is no folder '{options.folder}'; give the one that the runs are in")
    found = write_history(options.folder, options.row)
    if not found.tables:
        words = f" with '{options.row}' in its name, or its run's," if options.row else ""
        raise InputError(f"no finished row{words} in the runs of '{options.folder}'; run some, or name another folder")
    for table in found.tables:
        output.show_table(table)
    for file in found.files:
        output.show_line(f"written: {file}")
    return 0

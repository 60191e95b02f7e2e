"""What may be said of two rows."""

from pathlib import Path

from common.cli.parser import Options, Parser
from common.report.output import Output

ABOUT = "who is faster, and what of it is the framework's"
DESCRIPTION = "Speed, equal work, and what of a difference is the framework's: of a whole run, or of two of its rows."
EPILOG = 'example: run_bench.py compare results/RUN "torch resnet50:v1" "tf resnet50:v1"'


def add_flags(parser: Parser) -> None:
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("rows", nargs="*", default=[], metavar="ROW", help="two rows, by their names in the tables")


def run(options: Options, output: Output) -> int:
    from common.analysis.records import read_results
    from common.core.errors import InputError
    from common.core.formatting import command
    from common.report import compared

    if len(options.rows) not in (0, 2):
        raise InputError('compare takes a run, or a run and two of its rows: compare RUN "torch vgg19" "tf vgg19"')
    results = read_results(options.run)
    if not any(row.record.status == "ok" for row in results.rows):
        raise InputError(f"no trial of '{options.run}' finished; go on with: {command('--resume', options.run)}")
    for table in compared.tables(results, *options.rows):
        output.show_table(table)
    return 0

"""A data set, looked at without training."""

from common.parser import Parser

ABOUT = "look at a data set without training"


def main(arguments: list[str]) -> int:
    from common.options import data_flags

    parser = Parser(
        prog="run_bench.py data",
        description="Look at a data set without training: counts, label sets, distribution, samples, and what a model's "
        "F1 will lie between.",
    )
    data_flags(parser)
    parser.add_argument(
        "--results-dir", default="results", metavar="DIR", help="where its page goes (default: results)"
    )
    given = parser.given(arguments)

    from common.report.terminal import Console, show
    from common.survey import write_survey
    from common.types import Settings

    console = Console()
    page, tables = write_survey(Settings(**given))
    for table in tables:
        show(console, table)
    console.print(f"\npage: {page}", highlight=False, soft_wrap=True)
    return 0

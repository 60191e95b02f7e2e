"""A data set, looked at without training."""

from common.cli.parser import Parser

ABOUT = "look at a data set without training"


def main(arguments: list[str]) -> int:
    from common.cli.options import add_flag, add_groups
    from common.core.settings import DATA, READING

    parser = Parser(
        prog="run_bench.py data",
        description="Look at a data set without training: how it is read, counts, label sets, distribution, samples, and what "
        "a model's F1 will lie between. Every image is decoded once; bad ones end it with exit code 2, as they would a run, unless --on-bad-image skip leaves them out.",
    )
    add_groups(parser, (DATA, READING))
    add_flag(parser, "results_dir", help="where its page goes (default: {default})")
    given = parser.given(arguments)

    from common.cli.dataset_page import check_images, write_survey
    from common.core.formatting import command
    from common.report.data import reading_table
    from common.report.progress import filling
    from common.report.reading import described
    from common.report.terminal import Console, show
    from common.run import prepare
    from common.run.jobs import valid_settings

    console, settings = Console(), valid_settings(given)
    dataset = prepare.read_data(settings)
    show(console, reading_table(described(dataset, settings.percentiles)))  # before anything is decoded
    page, tables = write_survey(settings, dataset)
    for table in tables[1:]:
        show(console, table)
    with filling(console) as (say, progress):
        notes = check_images(settings, dataset, say, progress)
    n = len(dataset) + len(dataset.test_ids)
    for line in notes or [f"all {n:,} images can be decoded"]:
        console.print(line, highlight=False, soft_wrap=True)
    console.print(f"page: {page}", highlight=False, soft_wrap=True)
    console.print(f"to train on it: {command(*arguments)}", highlight=False, soft_wrap=True)
    return 0

"""A data set, looked at without training."""

from common.cli.options import add_flag, add_groups
from common.cli.parser import Options, Parser
from common.core.settings import DATA, READING
from common.report.output import Output

ABOUT = "look at a data set without training"
DESCRIPTION = (
    "Look at a data set without training: how it is read, counts, label sets, distribution, samples, and what a "
    "model's F1 will lie between. Every image is decoded once; bad ones end it with exit code 2, as they would a run, "
    "unless --on-bad-image skip leaves them out."
)


def add_flags(parser: Parser) -> None:
    add_groups(parser, (DATA, READING))
    add_flag(parser, "results_dir", help="where its page goes (default: {default})")


def run(options: Options, output: Output) -> int:
    from common.cli.dataset_page import check_images, write_survey
    from common.core.formatting import command
    from common.report.data import reading_table
    from common.report.progress import filling
    from common.report.reading import described
    from common.run import prepare
    from common.run.jobs import valid_settings

    settings = valid_settings(options.given())
    dataset = prepare.read_data(settings)
    reading = reading_table(described(dataset, settings.percentiles))
    output.show_table(reading)  # before anything is decoded
    page, tables = write_survey(settings, dataset, reading)
    for table in tables[1:]:
        output.show_table(table)
    with filling(output.progress) as (say, progress):
        notes = check_images(settings, dataset, say, progress)
    n = len(dataset) + len(dataset.test_ids)
    for line in notes or [f"all {n:,} images can be decoded"]:
        output.show_line(line)
    output.show_line(f"page: {page}")
    output.show_line(f"to train on it: {command(*options.arguments)}")
    return 0

"""A finished run: its tables again."""

from pathlib import Path

from common.cli.options import add_flag
from common.cli.parser import Options, Parser
from common.report.output import Output

ABOUT = "make a run's tables and figures again from its files"
DESCRIPTION = "Make a run's tables and figures again from its files; nothing runs."


def add_flags(parser: Parser) -> None:
    parser.add_argument("run", type=Path, help="the run's folder, e.g. results/2026-11-23-120000-torch-tf-demo")
    add_flag(parser, "track", help="send its records elsewhere too, e.g. mlflow (see list)")


def run(options: Options, output: Output) -> int:
    from common.analysis.records import read_run
    from common.core import registry
    from common.report.terminal import show_results
    from common.report.write import write_report
    from common.run.parent_record import prove_alone

    prove_alone(options.run, read_run(options.run).trials)
    tracker = registry.tracker(options.track) if options.track else None
    results = write_report(options.run)
    show_results(output, results, options.run)
    if tracker:
        output.show_line(f"sent to {tracker.send(results, options.run)}")
    return 0

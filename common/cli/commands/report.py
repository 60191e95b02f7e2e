"""A finished run: its tables again."""

from pathlib import Path

from common.cli.parser import Parser

ABOUT = "make a run's tables and figures again from its files"


def main(arguments: list[str]) -> int:
    parser = Parser(
        prog="run_bench.py report", description="Make a run's tables and figures again from its files; nothing runs."
    )
    parser.add_argument("run", type=Path, help="the run's folder, e.g. results/2026-11-23-120000-torch-tf-demo")
    parser.add_argument("--track", metavar="NAME", help="send its records elsewhere too, e.g. mlflow (see list)")
    options = parser.parse_args(arguments)

    from common.analysis.records import read_run
    from common.core import registry
    from common.report.terminal import Console, show_results
    from common.report.write import write_report
    from common.run.runner import prove_alone

    prove_alone(options.run, read_run(options.run).trials)
    tracker = registry.tracker(options.track) if options.track else None
    console, results = Console(), write_report(options.run)
    show_results(console, results, options.run)
    if tracker:
        console.print(f"sent to {tracker.send(results, options.run)}", highlight=False, soft_wrap=True)
    return 0

"""A finished run: its tables again."""

from pathlib import Path

from common.parser import Parser

ABOUT = "make a run's tables and figures again from its files"


def main(arguments: list[str]) -> int:
    parser = Parser(
        prog="run_bench.py report", description="Make a run's tables and figures again from its files; nothing runs."
    )
    parser.add_argument("run", type=Path, help="the run's folder, e.g. results/2026-11-23-120000-torch-tf-demo")
    options = parser.parse_args(arguments)

    from common.records import read_run
    from common.report.terminal import Console, show_results
    from common.report.write import write_report
    from common.runner import prove_alone

    prove_alone(options.run, read_run(options.run).trials)
    show_results(Console(), write_report(options.run), options.run)
    return 0

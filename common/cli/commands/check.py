"""A run held against a baseline."""

import sys
from pathlib import Path

from common.cli.parser import Options, Parser
from common.report.output import Output

ABOUT = "hold a run's metrics against a baseline's"
DESCRIPTION = "Hold a run's metrics against a baseline's. Only a worsening fails."
EPILOG = "exit codes: 0 fine, 1 worse, 2 could not run, 3 not comparable, 4 nothing compared"


def add_flags(parser: Parser) -> None:
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument(
        "--baseline", type=Path, required=True, metavar="FILE", help="e.g. results/baselines/smoke.json"
    )
    change = parser.add_mutually_exclusive_group()
    change.add_argument(
        "--update-baseline", action="store_true", help="make this run the baseline, after the comparison"
    )
    change.add_argument(
        "--append",
        action="store_true",
        help="add the run's further seeds to the baseline, unless it got worse on a seed of both",
    )
    parser.add_argument("--fail-on-times", action="store_true", help="seconds and memory fail the check too")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table for a pull request")


def run(options: Options, output: Output) -> int:
    from common.analysis import baselines
    from common.analysis.check import NOT_COMPARABLE, WORSE, compare
    from common.analysis.grouping import busy, groups
    from common.analysis.records import read_results
    from common.analysis.summary import summarise
    from common.core.errors import OtherSchema
    from common.core.files import write_text
    from common.report.markdown import table as markdown
    from common.report.verdict import verdict_table

    try:
        results = read_results(options.run)
        now = summarise(results)
        before = baselines.read(options.baseline, replaced=options.update_baseline)
    except OtherSchema as error:
        print(f"run_bench.py: not comparable: {error}", file=sys.stderr)
        return NOT_COMPARABLE
    code = 0
    if before is not None:
        report = compare(now, before, options.fail_on_times)
        table, code = verdict_table(report, options.fail_on_times, busy(groups(results))), report.exit_code
        if report.lines or not options.append:  # seeds that are new to the baseline have nothing to be held against
            output.show_table(table)
        if options.markdown:
            write_text(options.markdown, markdown(table) + "\n")
    if options.update_baseline:
        baselines.write(options.baseline, now)
        output.show_line(f"baseline written: {options.baseline} ({len(now.rows)} rows)")
        return 0
    if options.append and before is not None and code != WORSE:
        baselines.write(options.baseline, baselines.appended(before, now))
        output.show_line(f"seeds appended: {options.baseline}")
        return 0
    return code

"""PURE: a check's Report -> the words of the terminal and of a pull request."""

from common.analysis.check import FINE, NOT_COMPARABLE, NOTHING, WORSE, Report
from common.report.table import Table

WORDS = {
    FINE: "nothing got worse",
    WORSE: "worse than the baseline",
    NOT_COMPARABLE: "not comparable with the baseline",
    NOTHING: "nothing was compared",
}


def verdict_table(report: Report, fail_on_times: bool, busy: str = "") -> Table:
    """One line for every metric that left its tolerance; how many kept it stands in the notes. busy: what is said of a
    machine that others used meanwhile."""
    shown = [line for line in report.lines if line.verdict != "same"]
    rows = tuple(
        (line.row, line.metric, f"{line.before:.4g}", f"{line.now:.4g}", f"{line.now - line.before:+.3g}",
         f"{line.tolerance:.2g}", line.verdict) for line in shown
    )  # fmt: skip
    title = WORDS[report.exit_code]
    if report.exit_code == FINE and any(line.verdict == "slower" for line in report.lines):
        title = "no score got worse; times or memory did"
    if report.exit_code == FINE and any(line.verdict == "inconclusive" for line in report.lines):
        title = "inconclusive: nothing is shown to be worse"
    kept, said = len(report.lines) - len(shown), title.capitalize()
    notes = [
        f"{said}: {kept} of {len(report.lines)} metrics stayed within their tolerance." if report.lines else f"{said}."
    ]
    if any(line.verdict == "inconclusive" for line in shown):
        notes.append(
            "inconclusive: the seeds differ too much to tell chance from a fall beyond the metric's own tolerance. It fails "
            "nothing; more --repeats on both sides, here and by check --append, would tell."
        )
    notes += [f"{row}: finished in the baseline, but not in this run." for row in report.failed]
    notes += [f"Not comparable: {text}." for text in report.refused]
    notes += [f"{row}: in the baseline, but not in this run." for row in report.absent]
    notes += [f"Not in the baseline: {', '.join(report.new)}."] if report.new else []
    if any(line.verdict == "slower" for line in shown) and not fail_on_times:
        notes.append("Times and memory are reported and fail nothing (--fail-on-times would).")
    if busy and any(line.verdict == "slower" for line in shown):
        notes.append(busy)
    if report.context:
        notes.append(
            "Differs in machine, versions or files, which is no reason to refuse: " + "; ".join(report.context) + "."
        )
    return Table(
        f"Check: {title}",
        ("row", "metric", "baseline", "now", "change", "tolerance", "verdict"), rows, tuple(notes),
    )  # fmt: skip

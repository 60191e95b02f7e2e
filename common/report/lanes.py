"""PURE: Results -> what the tuned lane gained over the default lane, for the same scores."""

import numpy as np

from common.comparison import seconds
from common.groups import REAL, Group, lane_tests, smallest_p
from common.report.table import NONE, Table
from common.results import Results
from common.stats import ratio_interval
from common.timing import whole_s


def lanes(everything: list[Group]) -> list[tuple[Group, Group]]:
    """Each job that finished in both lanes: its default and its tuned line."""

    def job(g: Group) -> tuple:
        spec = g.first.record.spec
        return spec.framework, spec.model, spec.weights.source, spec.recipe.train, spec.feed.balance

    tuned = {job(g): g for g in everything if g.rows and g.first.record.spec.lane == "tuned"}
    plain = [g for g in everything if g.rows and g.first.record.spec.lane == "default"]
    return [(g, tuned[job(g)]) for g in plain if job(g) in tuned]


def lanes_table(results: Results, both: list[tuple[Group, Group]]) -> Table:
    """Whole trials and later epochs, how many times as fast; how far apart the logits; whether F1 differs."""
    rows = []
    for plain, tuned in both:
        n = min(len(plain.rows), len(tuned.rows))
        walls = [np.array([whole_s(row.record) for row in g.rows[:n]]) for g in (plain, tuned)]
        epochs = [seconds(g)[:n] for g in (plain, tuned)]
        gates = [gate for row in tuned.rows for gate in row.record.tuning.get("gate", ())]
        apart = f"{max(gate['error'] for gate in gates):.1%}" if gates else NONE
        # A store that was there already, by another run or an earlier repeat, took its time then.
        made = all(row.record.tuning.get("filled", 1) for row in tuned.rows)
        worst, corrected = smallest_p(lane_tests(tuned, results.paired))
        f1 = f"{worst.difference:+.4f}, p {corrected:.2g}{' (real)' if corrected < REAL else ''}" if worst else NONE
        rows.append((
            tuned.label, *(f"{np.median(w):.1f}" for w in walls), _gain(*walls) + ("" if made else " without the features"),
            _gain(*epochs), apart, f1,
        ))  # fmt: skip
    note = (
        "whole s: a trial from its process's start to its end, median. gain: the default lane's seconds over the tuned lane's, "
        "geometric mean over the repeats, and its 99.5 % interval where there are several; of an epoch: training in later "
        "epochs. logits apart: both lanes' logits with the weights that the tuned trial ended with, norm of the difference "
        "over the norm of their spread. F1: the paired test with the smallest p, corrected for how many."
    )
    header = ("row", "default whole s", "tuned whole s", "gain", "gain of an epoch", "logits apart", "F1")
    return Table("The tuned lane against the default lane", header, tuple(rows), (note,))


def _gain(plain: np.ndarray, tuned: np.ndarray) -> str:
    ratio = ratio_interval(plain, tuned)
    return f"{ratio.estimate:.2f}" + (f" [{ratio.low:.2f}, {ratio.high:.2f}]" if len(plain) > 1 else "")

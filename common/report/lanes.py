"""PURE: Results -> what the tuned lane gained over the default lane, for the same scores."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from common.analysis.comparison import by_seed
from common.analysis.grouping import REAL, Group, fault, lane_tests, machines, smallest_p
from common.analysis.stats import ratio_interval
from common.analysis.timing import WORTH_SAYING, counted, frozen_again_s, made_all, watched, whole_s
from common.core.formatting import time_text
from common.core.results import Paired, Results
from common.report.table import NONE, Table


def lanes(everything: list[Group]) -> list[tuple[Group, Group]]:
    """Each job that finished in both lanes: its default and its tuned line."""
    tuned = {replace(g.key, lane="default"): g for g in everything if g.rows and g.key.lane == "tuned"}
    plain = [g for g in everything if g.rows and g.key.lane == "default"]
    return [(g, tuned[g.key]) for g in plain if g.key in tuned]


def lanes_table(results: Results, both: list[tuple[Group, Group]]) -> Table:
    """Whole trials and later epochs, how many times as fast; how far apart the logits; whether F1 differs."""
    rows, notes = [], []
    for plain, tuned in both:
        took = [by_seed(g) for g in (plain, tuned)]
        lived = [{row.record.spec.seed: whole_s(row.record) for row in g.rows} for g in (plain, tuned)]
        seeds = sorted(took[0].keys() & took[1].keys())  # a repeat may be missing in one of them
        # A store that was there already, by another run or an earlier repeat, took its time then.
        known = {row.record.spec.seed for row in watched(plain.rows)} & set(seeds)
        paying = counted(tuple(row for row in watched(tuned.rows) if row.record.spec.seed in known))
        paid = [row.record.spec.seed for row in paying]
        whole = _gain(*([found[seed] for seed in paid] for found in lived))
        whole += "" if all(made_all(row.record) for row in paying) else " without all of the features"
        gains = whole, _gain(*([found[seed] for seed in seeds] for found in took))
        if fault(plain, results.paired) or fault(tuned, results.paired) or len(machines([plain, tuned])) > 1:
            gains = NONE, NONE
        errors = [gate.error for row in tuned.rows for gate in row.record.tuning.gate if gate.error is not None]
        apart = f"{max(errors):.1%}" if errors else NONE
        f1 = f1_words(lane_tests(tuned, results.paired))
        wholes = [[whole_s(row.record) for row in counted(watched(g.rows))] for g in (plain, tuned)]
        shown = (f"{np.median(each):.1f}" if each else NONE for each in wholes)
        rows.append((tuned.label, *shown, *gains, apart, f1))
        if all(wholes):
            notes += [f"{tuned.label}: {words}" for words in _saved(plain, *map(np.median, wholes))]
    note = (
        "whole s: a trial from its process's start to its end, median; of those that made their own features, where any did. "
        "gain: the default lane's seconds over the tuned lane's, geometric mean over the seeds of both, and its 99.5 % interval "
        "where there are several; of an epoch: training in later epochs. logits apart: both lanes' logits with the weights that the tuned trial ended with, norm of the difference "
        "over the norm of their spread. F1: the tuned lane's less the default lane's, of the paired test with the smallest p, corrected for how many."
    )
    header = ("row", "default whole s", "tuned whole s", "gain", "gain of an epoch", "logits apart", "F1")
    return Table("The tuned lane against the default lane", header, tuple(rows), (*notes, note))


def _saved(plain: Group, plain_s: float, tuned_s: float) -> list[str]:
    """What the tuned lane saved, beside what the default lane's page says that keeping the frozen part's output would at
    the least: a bound from below, for running each part faster comes on top."""
    least_s = float(np.mean([frozen_again_s(row.record) for row in counted(plain.rows)]))
    if least_s < WORTH_SAYING * plain_s:
        return []
    saved_s = float(plain_s - tuned_s)
    took = f"it took {time_text(abs(saved_s))} {'less' if saved_s > 0 else 'more'}"
    short = "" if saved_s >= least_s else f", {1 - saved_s / least_s:.0%} short of that"
    return [f"keeping the frozen part's output was to save at least {time_text(least_s)}: {took}{short}."]


def f1_words(tests: Iterable[Paired]) -> str:
    """The difference whose test has the smallest p, and that p corrected for how many there are."""
    worst, corrected = smallest_p(tests)
    if worst is None:
        return NONE
    return f"{worst.difference:+.4f}, p {corrected:.2g}" + (" (real)" if corrected < REAL else "")


def _gain(plain_s: list[float], tuned_s: list[float]) -> str:
    if not plain_s:
        return NONE
    ratio = ratio_interval(np.array(plain_s), np.array(tuned_s))
    return f"{ratio.estimate:.2f}" + (f" [{ratio.low:.2f}, {ratio.high:.2f}]" if len(plain_s) > 1 else "")

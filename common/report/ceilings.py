"""PURE: Results -> how near each row came to what loading, computing and the machine allow, and what bounds it."""

import numpy as np

from common.analysis.comparison import seconds
from common.analysis.grouping import Group, groups
from common.analysis.timing import counted, tells_waits
from common.core.errors import listed
from common.core.results import Results
from common.report.table import NONE, Table

NOISE = 0.02  # by so much training may be faster than computing alone without a word
NEAR = 0.9  # of computing alone: training that reaches so much of it is not held up by anything else
WAITS = 0.25  # of the training time
NEARLY = (
    3.0  # times as fast as computing: a loader alone so fast is not what steps wait for, whatever comes between them
)
BUSY = 0.4  # of the machine's peak: so much arithmetic is what bounds it


def measured(results: Results) -> list[Group]:
    return [g for g in asked(results) if g.rows[0].record.ceilings.compute]


def asked(results: Results) -> list[Group]:
    """Whose ceilings were to be measured; where they could not be, the record says why."""
    return [g for g in groups(results) if g.rows and g.rows[0].record.ceilings]


def peaks(results: Results) -> dict[str, float]:
    """GFLOP/s by precision: the best product of any library that is installed, so that no share exceeds 100 %."""
    found: dict[str, float] = {}
    for bounds in (row.record.ceilings for g in measured(results) for row in g.rows):
        for each in (bounds.peaks, *bounds.peaks_of_others.values()):
            for precision, products in each.items():
                found[precision] = max([found.get(precision, 0.0), *products.values()])
    return found


def _libraries(results: Results) -> list[str]:
    """Of the frameworks whose products were measured."""
    names = []
    for record in (row.record for g in measured(results) for row in g.rows):
        names += [record.spec.framework, *(other for other, found in record.ceilings.peaks_of_others.items() if found)]
    return list(dict.fromkeys(names))


def flops(group: Group) -> float | None:
    """Multiply-adds as two, of one training image: forward of all that runs, twice as much backward of what trains (at most:
    the first layer that trains needs no gradient of its inputs)."""
    facts = group.rows[0].record.facts
    total, trained = facts.get("gmac"), facts.get("gmac_trained")
    if total is None or trained is None:
        return None
    kept = group.rows[0].record.tuning.store  # then the frozen part does not run in a step
    return 2e9 * ((trained if kept else total) + 2 * trained)


def bound(group: Group, share: float | None) -> str:
    """One word, and by how much."""
    found, rate = group.rows[0].record.ceilings, float(np.median(1 / seconds(group)))
    load, compute, epochs = found.loader_warm, found.compute, group.rows[0].record.epochs
    waits = sum(e.wait_s for e in epochs) / sum(e.train_s - e.first_step_s for e in epochs)
    if load < compute:
        return f"input-bound: loading alone gives {load / compute:.0%} of what computing takes"
    if waits > WAITS and load < NEARLY * compute and tells_waits(group.first.record):
        return f"input-bound: {waits:.0%} of the training time it waits for data"
    if share is None:
        return "not known: no peak in its precision, or no count of its arithmetic"
    if share >= BUSY:
        return "compute-bound" + (f", at {rate / compute:.0%} of computing alone" if rate < NEAR * compute else "")
    return "overhead-bound: calls and memory, not arithmetic"


def frozen_pass(group: Group, best: dict[str, float]) -> tuple[list[tuple[str, ...]], float | None]:
    """The line of the pass that made the features, where this run made them, and its share of the peak; decoding came before it, so nothing is waited
    for but the store of pixels."""
    row = counted(group.rows)[0]
    tuning, facts = row.record.tuning, row.record.facts
    if not tuning.filled or facts.get("gmac_trained") is None:
        return [], None
    rate, precision = tuning.filled / tuning.fill_s, tuning.precision("frozen")
    done = 2e9 * (facts["gmac"] - facts["gmac_trained"])
    share = done * rate / 1e9 / best[precision] if best.get(precision) else None
    words = (
        NONE
        if share is None
        else "compute-bound"
        if share >= BUSY
        else "overhead-bound: calls and memory, not arithmetic"
    )
    shown = NONE if share is None else f"{share:.0%}"
    label = f"{group.label}, frozen part once"
    return [(label, words, f"{rate:.1f}", NONE, NONE, shown, precision, NONE, f"{done / 1e9:.2f}")], share


def ceilings_table(results: Results) -> Table:
    best, over = peaks(results), []
    rows: list[tuple[str, ...]] = []
    libraries = listed(_libraries(results))
    for g in measured(results):
        found, rate = g.rows[0].record.ceilings, float(np.median(1 / seconds(g)))
        precision = g.rows[0].record.tuning.precision("trained")
        done = flops(g)
        share = None if done is None or not best.get(precision) else done * rate / 1e9 / best[precision]
        over += [g.label] if (share or 0.0) > 1.0 else []
        rows.append((
            g.label, bound(g, share), f"{rate:.1f}", f"{found.compute:.1f}", f"{found.loader_warm:.1f}",
            NONE if share is None else f"{share:.0%}", precision, f"{found.loader_cold:.1f}", NONE if done is None else f"{done / 1e9:.2f}",
        ))  # fmt: skip
        frozen, share = frozen_pass(g, best)
        rows += frozen
        over += [frozen[0][0]] if (share or 0.0) > 1.0 else []
    notes = tuple(
        f"peak in {precision}: {value:.0f} GFLOP/s, the best of the matrix products and convolutions of {libraries}."
        for precision, value in best.items()
        if value
    )
    # What a narrow terminal leaves out comes last.
    header = ("row", "bound", "images/s", "compute alone", "loader warm", "of the peak", "in", "loader cold", "GFLOP an image")  # fmt: skip
    for g in measured(results):
        over_s = float(np.median(1 / seconds(g))) / g.rows[0].record.ceilings.compute - 1
        if over_s > NOISE:
            notes += (
                f"{g.label}: training was {over_s:.0%} faster than computing alone, which this machine's noise makes of nothing.",
            )
    if over:
        notes += (
            f"{', '.join(over)}: above the peak, so the products that were tried are too small for this machine.",
        )
    notes += tuple(
        f"{g.label}: its library ran no product in {precision} here; trials/{g.rows[0].record.spec.name}/log.txt says why."
        for g in measured(results)
        for precision, products in g.rows[0].record.ceilings.peaks.items()
        if not products
    )
    reasons = ((g.label, g.rows[0].record.ceilings.skip_reason) for g in asked(results))
    notes += tuple(f"{label}: not measured: {reason}." for label, reason in reasons if reason)
    about = "loader, compute: images/s of either alone, the fastest of three passes. GFLOP an image: forward of all that runs, twice that backward of what trains."
    return Table("Ceilings", header, tuple(rows), (*notes, about))

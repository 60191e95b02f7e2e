"""PURE: Results -> the tables of `compare`: speed, equal work, frameworks on one model, and the paper's ratio taken apart."""

import numpy as np

from common.analysis.comparison import Attribution, Pair, attribution, crossed, pair, pairs, seconds
from common.analysis.grouping import REAL, Group, busy, groups, marked
from common.analysis.stats import LEVEL, WORTH, Interval, median_interval
from common.core.errors import InputError, unknown
from common.core.parity_stages import GRADIENTS
from common.core.results import Gate, Results
from common.report.differences import differences
from common.report.lanes import f1_words, lanes, lanes_table
from common.report.scaling import scaled, scaling_table
from common.report.table import NONE, Table, number

MANY = 100  # repeats
FEW = 3  # repeats, below which how far they lie apart says nothing
ANY = 1000.0  # a bound that says as little as none


def speed_table(results: Results, chosen: list[Group]) -> Table:
    """Training images and multiply-accumulates a second: median over the repeats, and its interval."""
    rows = []
    for g in chosen:
        if g.rows:
            speed = median_interval(1 / seconds(g))
            interval = _words(speed, ".1f") if len(g.rows) > 1 else "one repeat"
            kept = g.rows[0].record.tuning.store  # then the frozen part does not run in a step
            gmac = g.rows[0].record.facts.get("gmac_trained" if kept else "gmac") or 0.0
            rows.append((g.label, str(len(g.rows)), f"{speed.estimate:.1f}", interval,
                         number(gmac, ".2f"), f"{speed.estimate * gmac:.1f}"))  # fmt: skip
    notes = (
        "images/s: training, later epochs; median over the repeats, and the interval that holds it (order statistics, 95 % "
        "or as much as so few can: 1 - 2 / 2^n for n repeats). GMAC: of what runs in a step; GMAC/s: the forward pass alone; a backward pass costs about "
        "twice as much where everything trains, nothing where the layers are frozen.",
        *([said] if (said := busy(chosen)) else []),
        *marked(chosen),
    )
    header = ("row", "repeats", "images/s", "interval", "GMAC an image", "GMAC/s")
    return Table("Speed", header, tuple(rows), notes)


def gates_table(gates: tuple[Gate, ...]) -> Table:
    """Whether the frameworks do the same arithmetic, model by model."""
    rows, notes = [], []
    for g in gates:
        worst = max(g.stages, key=lambda s: s.error / s.allowed if s.allowed else s.error, default=None)
        said = f"{worst.worst} ({worst.name}): {worst.error:.0e} of {worst.allowed:.0e}" if worst else NONE
        gradients = next((s for s in g.stages if s.name == GRADIENTS["float64"].name), None)
        rows.append((
            str(g.model), f"{g.reference}, {g.other}", "passed" if g.passed else "FAILED",
            *(number(g.step_s.get(x), ".2f") for x in (g.reference, g.other)), str(sum(s.tensors for s in g.stages)),
            f"{gradients.error:.0e}" if gradients else NONE, said,
        ))  # fmt: skip
        notes += [] if g.passed else [f"{g.model}, {g.other}: {g.failure}."]
    if gates:
        images, side = gates[0].images, gates[0].side
        notes.append(
            f"Parity gate: {images} images of the run at {side} pixels, the run's initial weights. Every layer's output, the "
            "loss, every gradient and batch norm's statistics in float64 agree to 1e-9 of their norm; the forward pass in "
            "float32 to 1e-4 and its gradients to 10 times what float32 costs either framework, at most a tenth; the optimiser alone and five "
            "whole steps to 1e-6. step s: one training step of everything in float32, on either framework."
        )
    header = (
        "model",
        "frameworks",
        "gate",
        "step s",
        "step s, other",
        "tensors",
        "gradients apart",
        "nearest to its limit",
    )
    return Table("Equal arithmetic", header, tuple(rows), tuple(notes))


def pairs_table(results: Results, found: list[Pair]) -> Table:
    """One model on two frameworks: who is faster, if that can be said, and whether they came to the same F1."""
    said = busy(groups(results)) if found else ""
    rows, notes = [], [said] if said else []
    for p in found:
        words = (NONE, NONE, "no ratio", NONE)
        if p.ratio is not None:
            words = (f"{p.ratio.estimate:.3f}", _words(p.ratio, ".3f"), verdict(p), _control(p))
        rows.append((p.a.label, p.b.label, *words, f1_words(p.f1)))
        both = f"{p.a.label} and {p.b.label}"
        notes += [f"{both}: no ratio, because {p.excluded}."] if p.excluded else []
        if p.suspected and not busy([p.a, p.b]):
            notes.append(
                f"{both} lie a factor of two or more apart on one model: suspect a setup error before a framework."
            )
        if p.ratio is not None or p.suspected:
            notes.append(f"{both} do not have in common: {'; '.join(map(': '.join, differences([p.a, p.b])))}.")
    notes.append(
        "time ratio: the first row's training seconds an image over the second's, repeats paired in turn, geometric mean "
        f"with its {LEVEL:.1%} interval (Student's t on the logarithms). control: of the second row, each second repeat over the one before, "
        "the same interval: what this machine makes of no difference at all. F1: the difference whose paired test "
        f"over the same images, all seeds together, has the smallest p of the percentiles, and that p times their number; real below {REAL:g}."
    )
    header = ("row", "against", "time ratio", "interval", "verdict", "control", "F1")
    return Table("One model, two frameworks", header, tuple(rows), tuple(notes))


def verdict(p: Pair) -> str:
    """In words; "faster" only where the interval leaves out 1."""
    if p.repeats < FEW:
        return f"inconclusive: too few repeats ({p.repeats}), take --repeats 6"
    if p.word in ("faster", "slower"):
        return f"{(p.a if p.word == 'faster' else p.b).label} is faster"
    if p.drifts:
        return "inconclusive: the control alone differs, so the machine is not steady"
    if p.word == "inconclusive":
        many = f"{p.more} more repeats" if p.more <= MANY else f"not even {MANY} more repeats"
        return f"inconclusive: {many} would show a difference of {WORTH:.0%}"
    return "no difference shown"


def _control(p: Pair) -> str:
    if p.control is None:
        return "no repeats"
    return f"{p.control.estimate:.3f} " + ("(one pair)" if np.isinf(p.control.high) else _words(p.control, ".3f"))


def _words(interval: Interval, form: str) -> str:
    return "any" if interval.high > ANY else f"[{interval.low:{form}}, {interval.high:{form}}]"


def attribution_table(found: Attribution) -> Table:
    """The ratio as a product, along both ways around."""
    title = f"What of {found.b} over {found.a} is architecture, and what framework"
    if found.refused:
        note = f"Not attributable: {found.refused}; run --suite paper, which has the crossed rows."
        return Table(title, (), (), (note,))
    rows = [("measured", f"time an image, {found.b} over {found.a}", _factor(found.ratio))]
    for number_, path in enumerate(found.paths, start=1):
        product = float(np.prod([factor for _, factor in path]))
        rows += [(f"way {number_}", what, _factor(factor)) for what, factor in path] + [
            (f"way {number_}", "product", _factor(product))
        ]
    rows.append(
        (
            "interaction",
            "the architectures' ratio on the second framework over that on the first",
            _factor(found.interaction),
        )
    )
    notes = (
        "Seconds an image in training, later epochs, each row with its own trained part. Architecture means everything that "
        "the two rows of one framework do not have in common, their trained part among it. The rows are as their libraries "
        "have them, in variant, padding and batch norm too: these factors say what a ratio between such rows is made of, "
        "not which framework is faster.",
    )
    return Table(title, ("", "what", "factor"), tuple(rows), notes)


def _factor(value: float) -> str:
    return f"{value:#.3g}".removesuffix(".")


def tables(results: Results, a: str = "", b: str = "") -> list[Table]:
    """Everything that can be compared in a run, or two of its rows. InputError for a row that it has not."""
    everything = groups(results)
    if not a:
        found = pairs(everything, results)
        matched = any(g.spec.recipe.formulas == "matched" for g in everything)
        cross = None if matched else crossed(everything)  # matched rows are compared model by model
        shown = [speed_table(results, everything)]
        shown += [gates_table(results.gates)] if results.gates else []
        shown += [pairs_table(results, found)] if found else []
        shown += [lanes_table(results, both)] if (both := lanes(everything)) else []
        shown += [scaling_table(results, more)] if (more := scaled(everything)) else []
        return shown + ([attribution_table(attribution(*cross, everything))] if cross else [])
    one, other = (_named(name, everything) for name in (a, b))
    if one is other:
        raise InputError(f"'{a}' and '{b}' are the same row; name two")
    shown = [speed_table(results, [one, other])]
    if one.key.framework != other.key.framework and one.key.model.name != other.key.model.name:
        shown.append(attribution_table(attribution(one, other, everything)))
    else:
        shown.append(pairs_table(results, [pair(one, other, results)]))
    lines = tuple((": ".join(line),) for line in differences([one, other]))
    return [*shown, Table("What the two do not have in common", ("",), lines)]


def _named(name: str, everything: list[Group]) -> Group:
    """The finished row of that name; a framework's name where it has one row alone."""
    done = [g for g in everything if g.rows]
    named = {g.name: g for g in done}
    of = [g for g in done if g.key.framework == name]
    if name not in named and len(of) != 1:
        raise unknown("finished row", name, named, "put its name in quotes")
    return named.get(name) or of[0]

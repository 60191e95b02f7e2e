"""PURE: a run's summary against a baseline -> what got worse, what cannot be compared, and an exit code."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from common.analysis.stats import WORTH, over_seeds
from common.analysis.summary import MACHINE, Baseline, Metric, Summary
from common.core.specs import Recipe, Value

FINE, WORSE, NOT_COMPARABLE, NOTHING = 0, 1, 3, 4  # exit codes; 2 is bad input, as everywhere
LEVEL = 0.98  # of the interval of the mean fall over seeds: 99 % one-sided
FLOOR = 0.002  # and never less: summation order differs between processors
Verdict = Literal["worse", "better", "same", "inconclusive", "slower", "faster"]


class Line(Value):
    """One metric of one row beside the baseline's."""

    row: str
    metric: str
    before: float
    now: float
    tolerance: float
    verdict: Verdict


class Report(Value):
    """Everything that `check` says."""

    lines: tuple[Line, ...]
    failed: tuple[str, ...]  # rows that finished in the baseline and not here
    refused: tuple[str, ...]  # row: in which settings it differs
    absent: tuple[str, ...]  # rows of the baseline whose framework this run does not have: a fall too
    new: tuple[str, ...]
    context: tuple[str, ...]  # what differs in machine and versions
    exit_code: int


def compare(now: Baseline, before: Baseline, fail_on_times: bool = False) -> Report:
    """Every row that both have, seed by seed. Only a worsening fails; a time only where asked."""
    here, there = ({row.label: row for row in side.rows} for side in (now, before))
    added, absent = [n for n in here if n not in there], [n for n in there if n not in here]
    # Another model or recipe on the same framework stands in the place of the baseline's row: not comparable.
    frameworks = {here[name].framework for name in added}
    replaced = [name for name in absent if there[name].framework in frameworks]
    lacking = [name for name in absent if name not in replaced]
    held = [_held(there[name], here[name]) for name in there if name in here]

    lines = [line for row in held for line in row.lines]
    failed = [row.label for row in held if row.failed]
    refused = [f"{row.label}: {row.refused}" for row in held if row.refused]
    refused += [f"{name}: other model or recipe ({', '.join(added)})" for name in replaced]
    context = _changes(before.context, now.context, always=MACHINE)
    return Report(
        lines=tuple(lines), failed=tuple(failed), refused=tuple(refused), absent=tuple(lacking), new=tuple(added),
        context=(*context, *(text for row in held for text in row.context)),
        exit_code=_exit_code(lines, failed, refused, lacking, fail_on_times),
    )  # fmt: skip


@dataclass(frozen=True)
class _Held:
    """One row held against the baseline's."""

    label: str
    refused: str = ""  # why it, or some of its metrics, cannot be compared
    failed: bool = False  # it finished in the baseline alone
    context: tuple[str, ...] = ()  # what differs in how it ran
    lines: tuple[Line, ...] = ()


def _held(old: Summary, new: Summary) -> _Held:
    """Refuse the row where its settings or data are others; else compare the metrics of the seeds that both have."""
    label = old.label
    if names := not_the_same(old, new) or _no_seed(old, new):
        return _Held(label, refused=f"other {', '.join(names)}")
    context = tuple(f"{label}, {change}" for change in _changes(old.context, new.context))
    if old.finished and not new.finished:
        return _Held(label, failed=True, context=context)
    common = sorted(old.plans.keys() & new.plans.keys())
    lost = _lost(old, new, common)
    lines = (
        _line(label, name, metric, new.metrics[name], seeds)
        for name, metric in old.metrics.items()
        if name not in lost and (seeds := [seed for seed in common if seed in metric.values])
    )
    return _Held(label, f"it has no {', '.join(lost)}" if lost else "", context=context, lines=tuple(lines))


def _exit_code(lines: list[Line], failed: list[str], refused: list[str], absent: list[str], fail_on_times: bool) -> int:
    """The first of these that holds: worse, not comparable, nothing compared, rows absent (worse), fine."""
    bad = ("worse", "slower") if fail_on_times else ("worse",)
    if failed or any(line.verdict in bad for line in lines):
        return WORSE
    if refused:
        return NOT_COMPARABLE
    if not lines:
        return NOTHING
    return WORSE if absent else FINE


def _changes(old: Mapping[str, str], new: Mapping[str, str], always: tuple[str, ...] = ()) -> list[str]:
    """What differs, as text. A baseline may be older than what is recorded today, so a value that only one side has is no
    difference, except those named by `always`."""
    both = old.keys() & new.keys() | {*always}
    return [f"{k}: {old.get(k, 'none')}, now {new.get(k, 'none')}" for k in _differing(old, new) if k in both]


def _differing(a: Mapping[str, object], b: Mapping[str, object]) -> list[str]:
    return sorted(key for key in a.keys() | b.keys() if a.get(key) != b.get(key))


def _lost(old: Summary, new: Summary, seeds: list[str]) -> list[str]:
    """Metrics of the baseline that this run does not have for a seed that both have."""
    return [
        name
        for name, metric in old.metrics.items()
        if {s for s in seeds if s in metric.values} - (new.metrics[name].values if name in new.metrics else {}).keys()
    ]


def not_the_same(old: Summary, new: Summary) -> list[str]:
    """In what settings, in what data, and in which common seed's plan, two rows differ."""
    common = sorted(old.plans.keys() & new.plans.keys())
    return (
        _differing(*(_whole(row.settings) for row in (old, new)))
        + _other_data(old, new)
        + [
            f"plan of seed {seed} (images, split, balance, order or epochs)"
            for seed in common
            if old.plans[seed] != new.plans[seed]
        ]
    )


def _other_data(old: Summary, new: Summary) -> list[str]:
    """What of the data changed under the same name, as far as both sides know it.

    Labels are numbers of a table: equal on all machines. Images are others where both their files and their pixels are:
    another version of the decoder may give other pixels of the same files, and files that were written anew without loss,
    or with other metadata, give the same pixels.
    """

    def differ(what: str) -> bool:
        a, b = old.context.get(what), new.context.get(what)
        return bool(a and b and a != b)

    found = ["labels (under the same name)"] if differ("labels") else []
    return found + (["images (under the same name)"] if differ("images") and differ("pixels") else [])


def _whole(settings: dict[str, Any]) -> dict[str, Any]:
    """The recipe field by field, with the defaults of fields that are newer than the baseline."""
    fields = Recipe.model_validate(settings["recipe"]).model_dump(mode="json")
    return {k: v for k, v in settings.items() if k != "recipe"} | {f"recipe ({k})": v for k, v in fields.items()}


def _no_seed(old: Summary, new: Summary) -> list[str]:
    """Seeds that one side alone has are left out where one is common."""
    return [] if old.plans.keys() & new.plans.keys() else ["seeds"]


def _line(row: str, name: str, old: Metric, new: Metric, seeds: list[str]) -> Line:
    before, now = (np.array([metric.values[s] for s in seeds]) for metric in (old, new))
    falls = before - now if old.lower_is_worse else now - before
    spread = None if old.exact else over_seeds(falls, LEVEL)  # None: too few seeds to tell
    down: Verdict = "worse" if old.kind == "score" else "slower"
    up: Verdict = "better" if old.kind == "score" else "faster"
    if spread is not None:
        # The fall may be chance. Where it may also be larger than the metric's own tolerance, that is no proof of
        # anything, and fails nothing: inconclusive.
        noise, floor = spread.estimate - spread.low, FLOOR if old.kind == "score" else WORTH * before.mean()
        fall, allowed = spread.estimate, float(max(floor, noise))
        within: Verdict = "inconclusive" if spread.high > max(old.tolerance, floor) else "same"
    else:
        allowed, fall = 0.0 if old.exact else old.tolerance, float(falls.max() if old.exact else falls.mean())
        within = "same"
    verdict: Verdict = up if fall < -allowed else within if fall <= allowed else down  # NaN: down
    return Line(row=row, metric=name, before=before.mean(), now=now.mean(), tolerance=allowed, verdict=verdict)

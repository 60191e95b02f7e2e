"""PURE: Results -> which rows may be compared, what their times say, and what of the paper's ratio is the framework's."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from common.analysis.grouping import Group, both_ways, machines, unproven
from common.analysis.stats import Interval, Word, judge, ratio_interval
from common.core.results import Paired, Results, Row
from common.core.specs import JobKey, ModelSpec, Train, Value

SUSPICIOUS = 2.0  # on one model, between frameworks: so far apart they are by a setting, not by skill


@dataclass(frozen=True)
class Pair:
    """One model on two frameworks."""

    a: Group
    b: Group
    excluded: str | None = None  # why no ratio is given
    word: Word = "inconclusive"  # of a, against b
    ratio: Interval | None = None  # a's time over b's
    repeats: int = 0
    more: int = 0  # repeats that would show WORTH
    control: Interval | None = None  # b against itself: every second repeat over the one before
    f1: tuple[Paired, ...] = ()
    suspected: bool = False
    drifts: bool = False  # the control's interval leaves out 1: the machine makes differences of its own


class Attribution(Value):
    """A ratio between two rows that differ in framework and architecture, taken apart by the two crossed rows."""

    a: str
    b: str
    ratio: float = 0.0  # b's seconds an image over a's
    paths: tuple[tuple[tuple[str, float], tuple[str, float]], ...] = ()  # two ways from a to b, each a product
    interaction: float = 1.0
    refused: str = ""  # why there is no ratio


def seconds(group: Group) -> np.ndarray:
    """Training seconds an image, by repeat: of the later epochs; where there is one only, of it without its first step,
    in which graphs are built."""
    return np.array([_seconds_an_image(row) for row in group.rows])


def by_seed(group: Group) -> dict[int, float]:
    """`seconds` by seed: a repeat may be missing in one of two groups."""
    return {row.record.spec.seed: float(image_s) for row, image_s in zip(group.rows, seconds(group))}


def _seconds_an_image(row: Row) -> float:
    first, *later = row.record.epochs
    later = [e for e in later if e.epoch - 1 not in row.record.resumed_after]  # a new process builds its graphs again
    rest = first.images - row.record.spec.recipe.batch_size
    if not later and rest > 0:
        return (first.train_s - first.first_step_s) / rest
    epochs = later or [first]
    return sum(e.train_s for e in epochs) / sum(e.images for e in epochs)


def unfair(a: Group, b: Group) -> str:
    """In what the two were not given the same; "" where in nothing."""
    found = []
    for one, other in zip(a.rows, b.rows):
        found += [name for name, value in _given(one).items() if value != _given(other)[name]]
    if len(a.rows) != len(b.rows):
        found.append("number of finished repeats")
    return ", ".join(dict.fromkeys(found))


def _given(row: Row) -> dict[str, object]:
    spec, facts, environment = row.record.spec, row.record.facts, row.record.environment
    one = spec.process.devices == 1  # of several, some say how many each has, and some how many all have
    return {
        "model": spec.model, "trained part": spec.trained_part, "seed": spec.seed, "plan (split, order, balance, crops)": spec.feed.plan_hash, "labels": spec.feed.labels_hash,
        "pixels": (spec.feed.pixels_hash, spec.feed.image_side), "initial weights": (spec.weights.sha256, spec.weights.source),
        "lane": spec.lane, "preprocessing": spec.weights.preprocessing, "recipe": spec.recipe, "loader workers": spec.feed.workers,
        "device": spec.process.device, "devices": spec.process.devices, "threads": (spec.process.threads, one and environment.get("threads", "").split(" ")[0]),
        "precision": facts.get("precision"), "what the steps received": row.record.receipts, "machine": row.record.machines[-1:],
    }  # fmt: skip


def pair(a: Group, b: Group, results: Results) -> Pair:
    """What may be said of a against b."""
    whys: dict[str, list[str]] = {}
    for g in (a, b):
        if why := unproven(g, results):
            whys.setdefault(why, []).append(g.label)
    reasons = [f"{' and '.join(labels)}: {why}" for why, labels in whys.items()]
    if differing := unfair(a, b):
        reasons.append(f"they were not given the same {differing}")
    f1 = tuple(t for t in both_ways(results.paired) if _trials(a).issuperset(t.a) and _trials(b).issuperset(t.b))
    mine, theirs = seconds(a), seconds(b)
    apart = _mean(a) / _mean(b)
    alike = a.key.model == b.key.model and a.key.framework != b.key.framework
    far = alike and max(apart, 1 / apart) >= SUSPICIOUS
    if reasons:
        return Pair(a, b, excluded="; ".join(reasons), f1=f1, suspected=far)
    word, ratio, more = judge(mine, theirs)
    half = len(theirs) // 2
    control = ratio_interval(theirs[1 : 2 * half : 2], theirs[0 : 2 * half : 2]) if half else None
    drifts = control is not None and control.excludes(1.0)  # then this interval does not mean what it says here
    return Pair(
        a, b, word="inconclusive" if drifts else word, ratio=ratio, repeats=len(mine), more=more, control=control, f1=f1,
        suspected=far, drifts=drifts,
    )  # fmt: skip


def pairs(groups: list[Group], results: Results) -> list[Pair]:
    """Every two finished rows of one model on different frameworks."""
    done = [g for g in groups if g.rows]
    return [pair(a, b, results) for a, b in combinations(done, 2) if _comparable(a.key, b.key)]


def _comparable(a: JobKey, b: JobKey) -> bool:
    """Whether two frameworks do the same work, in one lane and on as many devices."""
    return a.framework != b.framework and (a.work, a.lane, a.devices) == (b.work, b.lane, b.devices)


def attribution(a: Group, b: Group, groups: list[Group]) -> Attribution:
    """b's time over a's as architecture times framework, by both ways around: through a's framework on b's architecture,
    and through b's framework on a's. Seconds are an image's, so that rows of other balance can be taken. A marked row
    enters no ratio."""
    over, under = _crossing(a, b, groups), _crossing(b, a, groups)
    (f, m), (g, n) = (_place(x) for x in (a, b))
    apart = machines([x for x in (a, b, over, under) if x])
    lacking = [f"{fw} {model}" for found, fw, model in ((over, f, n), (under, g, m)) if found is None]
    bad = [x.label for x in (a, b) if x.excluded]
    if lacking or bad or len(apart) > 1 or over is None or under is None:
        why = (
            f"{' and '.join(bad)}: enters no ratio"
            if bad
            else f"the run has no {', '.join(lacking)} that may be compared"
            if lacking
            else f"its rows ran on unlike machines ({'; '.join(apart)})"
        )
        return Attribution(a=a.label, b=b.label, refused=why)
    t, u, x, y = _mean(a), _mean(b), _mean(over), _mean(under)
    paths = (
        ((f"architecture: {a.label} to {over.label}", x / t), (f"framework: {over.label} to {b.label}", u / x)),
        ((f"framework: {a.label} to {under.label}", y / t), (f"architecture: {under.label} to {b.label}", u / y)),
    )
    return Attribution(a=a.label, b=b.label, ratio=u / t, paths=paths, interaction=(u / y) / (x / t))


def crossed(groups: list[Group]) -> tuple[Group, Group] | None:
    """The first two rows, in the order of the run, that differ in framework and architecture: with both crossings, where
    there are such."""
    plain = [g for g in groups if g.rows and _plain(g)]
    apart = [(a, b) for a, b in combinations(plain, 2) if all(x != y for x, y in zip(_place(a), _place(b)))]
    whole = [(a, b) for a, b in apart if not attribution(a, b, groups).refused]
    return next(iter(whole or apart), None)


def _crossing(of: Group, other: Group, groups: list[Group]) -> Group | None:
    """The row of `of`'s framework on `other`'s architecture, not balanced and not marked: of its variant and trained part
    where there is one, else the first."""
    place = _place(of)[0], _place(other)[1]
    there = [g for g in groups if g.rows and _place(g) == place and _plain(g) and not g.excluded]
    return next((g for g in there if _kind(g) == _kind(other)), there[0] if there else None)


def _plain(group: Group) -> bool:
    """Not balanced, and in the default lane."""
    return group.key.balance == "none" and group.key.lane == "default"


def _kind(group: Group) -> tuple[ModelSpec, Train]:
    return group.key.model, group.key.trained_part


def _place(group: Group) -> tuple[str, str]:
    return group.key.framework, group.key.model.name


def _mean(group: Group) -> float:
    """Geometric mean over the repeats: the ratios of such means multiply."""
    return float(np.exp(np.log(seconds(group)).mean()))


def _trials(group: Group) -> set[str]:
    return {row.record.spec.name for row in group.rows}

"""PURE: the summaries of many runs -> how each job's F1, seconds and memory moved, and at which run they stepped."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.analysis.check import FLOOR
from common.analysis.stats import WORTH, over_seeds
from common.analysis.summary import EPOCH_S, MACHINE, PEAK_MEMORY, Baseline, Summary, score_name
from common.core.clock import in_order
from common.core.openmp import FACT

DATA = ("labels", "images")  # of a row's context: a step may be theirs
LEAST = 3  # runs before one that can be told from them
LEVEL = 0.99  # of the interval in which a further run is expected
HOW = (
    "device",
    "threads",
    "loader workers",
    "deterministic",
    "decoded",
)  # of a row's context: other seconds, another series


@dataclass(frozen=True)
class Point:
    """One run's value of one metric: the mean over its seeds, and its interval from three seeds on."""

    run: str
    started: str
    value: float
    low: float | None
    high: float | None
    context: dict[str, str]  # machine and versions


@dataclass(frozen=True)
class Step:
    """The run at which a metric left what its earlier runs let expect."""

    run: str
    before: float
    after: float
    changed: tuple[str, ...]  # versions that are not those of the run before


@dataclass(frozen=True)
class Series:
    """One job on one machine, in the order of its runs."""

    label: str
    machine: str
    points: dict[str, tuple[Point, ...]]  # by metric
    steps: dict[str, tuple[Step, ...]]


def history(runs: Iterable[tuple[str, Baseline]]) -> list[Series]:
    """One series for each job, data, recipe and machine. runs: (when it started, its summary), in any order. Rows that did not
    finish are left out."""
    jobs: dict[tuple[str, ...], list[tuple[str, Baseline, Summary]]] = {}
    for started, run in sorted(runs, key=lambda pair: (in_order(pair[0]), pair[1].run)):
        here = ", ".join(run.context[name] for name in MACHINE if name in run.context)
        for row in run.rows:
            if row.finished:
                machine = row.context.get("ran on", here)  # on a cluster that is not where the run was started
                key = row.label, machine, *map(str, settings_of(row).items())
                jobs.setdefault(key, []).append((started, run, row))
    labels = _told_apart([found[-1][2] for found in jobs.values()])
    return [_series(label, key[1], found) for label, (key, found) in zip(labels, jobs.items())]


def settings_of(row: Summary) -> dict[str, Any]:
    """What makes its numbers those of another job, the recipe field by field, or its seconds."""
    sizes = {name: next(iter(row.metrics[name].values.values())) for name in ("images trained", "images scored")}
    return (
        {k: v for k, v in row.settings.items() if k not in ("classes", "recipe")}
        | row.settings["recipe"]
        | sizes
        | {name: row.context[name] for name in HOW}
    )


def _told_apart(rows: list[Summary]) -> list[str]:
    """The rows' labels, with the settings in which rows of one label differ."""
    labels = []
    for row in rows:
        alike = [settings_of(other) for other in rows if other.label == row.label]
        mine = settings_of(row)
        apart = [name for name in mine if any(other.get(name) != mine[name] for other in alike)]
        labels.append(row.label + "".join(f", {name} {_plain(mine[name])}" for name in apart))
    return labels


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def metrics_of(row: Summary) -> tuple[str, ...]:
    """F1 at the last percentile, seconds, memory."""
    return score_name("f1", f"{row.settings['percentiles'][-1]:g}"), EPOCH_S, PEAK_MEMORY


def _series(label: str, machine: str, found: list[tuple[str, Baseline, Summary]]) -> Series:
    points: dict[str, list[Point]] = {}
    for started, run, row in found:
        context = run.context | {name: row.context[name] for name in (FACT, *DATA) if row.context.get(name)}
        for metric in metrics_of(row):
            values = np.array(list(row.metrics[metric].values.values()))
            interval = over_seeds(values)
            low, high = (
                (max(interval.low, 0.0), interval.high) if interval else (None, None)
            )  # none of them is negative
            point = Point(run.run, started, float(values.mean()), low, high, context)
            points.setdefault(metric, []).append(point)
    floors = {name: FLOOR if metric.kind == "score" else None for name, metric in found[-1][2].metrics.items()}
    return Series(
        label,
        machine,
        {metric: tuple(p) for metric, p in points.items()},
        {metric: steps(p, floors[metric]) for metric, p in points.items()},
    )


def steps(points: list[Point], floor: float | None) -> tuple[Step, ...]:
    """Where a value lies outside Student's prediction interval of those since the last step (Hahn and Meeker 1991, 4.8),
    and by more than `floor` (None: 5 % of their mean). Assumes that runs without a step are independent and roughly normal."""
    from scipy import stats  # a second to import

    found: list[Step] = []
    since: list[float] = []
    for i, point in enumerate(points):
        if len(since) >= LEAST:
            mean, n = float(np.mean(since)), len(since)
            half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * float(np.std(since, ddof=1)) * math.sqrt(1 + 1 / n)
            if abs(point.value - mean) > max(half, WORTH * abs(mean) if floor is None else floor):
                found.append(Step(point.run, mean, point.value, _changed(points[i - 1].context, point.context)))
                since = []
        since.append(point.value)
    return tuple(found)


def _changed(before: dict[str, str], now: dict[str, str]) -> tuple[str, ...]:
    names = sorted(before.keys() | now.keys())
    return tuple(
        f"{n}: {before.get(n, 'none')}, then {now.get(n, 'none')}" for n in names if before.get(n) != now.get(n)
    )

"""PURE: Results -> what a baseline holds of them: each job's settings, context and metrics."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from common.core.openmp import FACT
from common.core.results import Results, Row
from common.core.specs import SCHEMA_VERSION, JobKey, Value

SHARE = 0.01  # an F1, precision, recall or mAP may fall by so much where the baseline has no repeats
AP, FEW_AP, FEW = 0.05, 0.2, 5  # average precision of one class; of a class with fewer positives than FEW
LOSS = 0.02  # relative
TIME = 0.5  # relative: shared machines differ by as much from one hour to the next
MACHINE = ("processor", "cores", "GPU")  # what makes seconds those of another machine
EPOCH_S, PEAK_MEMORY = "epoch s", "peak memory MiB"  # names of metrics


class Metric(Value):
    """One number of a row, by seed, and in which direction it gets worse."""

    values: dict[str, float]
    lower_is_worse: bool = True
    tolerance: float  # absolute, where the seeds are too few to tell
    exact: bool = False  # a count: every fall is one
    kind: Literal["score", "time"] = "score"


class Summary(Value):
    """One row for the comparison: what it is, what makes it comparable, what it reached."""

    label: str
    framework: str
    plans: dict[str, str]  # hash by seed
    settings: dict[str, Any]  # a difference in these makes two rows not comparable
    context: dict[str, str]  # listed where it differs, never a reason
    finished: bool
    metrics: dict[str, Metric]


class Baseline(Value):
    """The rows to check against: a file under results/baselines/, made by --update-baseline."""

    schema_version: int = SCHEMA_VERSION
    run: str
    command: str
    context: dict[str, str]  # machine and versions
    rows: tuple[Summary, ...]


def summarise(results: Results) -> Baseline:
    """The results as a baseline holds them. Repeats of one job are one row."""
    run = results.run
    jobs: dict[str, list[Row]] = {}
    for row in results.rows:
        jobs.setdefault(_label(row.record.spec.job_key()), []).append(row)
    return Baseline(
        run=run.name, command=run.command, context={**run.machine, **run.made_by},
        rows=tuple(_summary(label, rows, results) for label, rows in jobs.items()),
    )  # fmt: skip


def _label(job: JobKey) -> str:
    """The name of a job's row, by which baselines on disk know it."""
    words = [job.framework, str(job.model), job.recipe, job.train, job.balance]
    words += [job.lane] if job.lane != "default" else []  # baselines are older than lanes
    words += [f"{job.devices} devices"] if job.devices > 1 else []
    return " ".join(words)


def _summary(label: str, rows: list[Row], results: Results) -> Summary:
    spec, run = rows[0].record.spec, results.run
    settings = {
        "data": run.dataset, "classes": list(run.class_names), "image side": run.image_side,
        "percentiles": list(run.percentiles), "model": str(spec.model), "weights": spec.weights.source,
        "recipe": spec.recipe.model_dump(), "split": spec.feed.split, "augment": spec.feed.augment,
    }  # fmt: skip
    context = {
        "pixels": run.pixels_hash,
        "labels": spec.feed.labels_hash,
        "images": run.images_hash,
        "initial weights": spec.weights.sha256,
        **how(rows),
    }
    ok = [row for row in rows if row.record.status == "ok"]
    finished = len(ok) == len(rows)
    return Summary(
        label=label,
        framework=spec.framework,
        plans={str(r.record.spec.seed): r.record.spec.feed.plan_hash for r in rows},
        settings=settings,
        context=context,
        finished=finished,
        metrics=_metrics(ok) if finished else {},
    )


def score_name(score: str, percentile: str) -> str:
    """The name of the metric: of a score, such as "f1", at a percentile."""
    return f"{score} at {percentile}"


def how(rows: list[Row]) -> dict[str, str]:
    """What moves a row's seconds and not its scores."""
    spec = rows[0].record.spec
    each = (machine for row in rows for machine in row.record.machines)
    machines = dict.fromkeys(", ".join(machine[name] for name in MACHINE if name in machine) for machine in each)
    policies = dict.fromkeys(row.record.facts[FACT] for row in rows if FACT in row.record.facts)
    found = {"ran on": "; ".join(filter(None, machines)), FACT: "; ".join(policies)}
    return {
        "device": spec.process.device, "threads": str(spec.process.threads), "loader workers": str(spec.feed.workers),
        "deterministic": str(spec.process.deterministic), "decoded": "once" if spec.feed.pixels else "in every epoch",
    } | {name: value for name, value in found.items() if value}  # fmt: skip


def _metrics(rows: list[Row]) -> dict[str, Metric]:
    found: dict[str, Metric] = {}
    seeds = [str(row.record.spec.seed) for row in rows]

    def add(name: str, values: Sequence[float | None], tolerance: float, **more: Any) -> None:
        known = {seed: value for seed, value in zip(seeds, values) if value is not None}
        if known:
            found[name] = Metric(values=known, tolerance=tolerance, **more)

    scores = [row.scores for row in rows if row.scores]
    add("images scored", [s.images for s in scores], 0, exact=True)
    add("images trained", [sum(e.images for e in row.record.epochs) for row in rows], 0, exact=True)
    for percentile in scores[0].percentiles:
        for name in ("precision", "recall", "f1", "macro_f1", "micro_f1"):
            add(score_name(name, percentile), [getattr(s.percentiles[percentile], name) for s in scores], SHARE)
    add("mAP", [s.mAP for s in scores], SHARE)
    for c in range(len(scores[0].AP)):
        few = min(s.positives[c] for s in scores) < FEW
        add(f"AP of class {c}", [s.AP[c] for s in scores], FEW_AP if few else AP)
    losses = [s.validation_loss for s in scores]
    add("validation loss", losses, LOSS * float(np.mean(losses)), lower_is_worse=False)
    later = [[e.train_s for e in row.record.epochs[1:] or row.record.epochs] for row in rows]
    for name, values in (
        (EPOCH_S, [float(np.mean(seconds)) for seconds in later]),
        ("prediction s", [row.record.prediction_s for row in rows]),
        (PEAK_MEMORY, [row.record.peak_memory_bytes / 2**20 for row in rows]),
    ):
        add(name, values, TIME * float(np.mean(values)), lower_is_worse=False, kind="time")
    return found

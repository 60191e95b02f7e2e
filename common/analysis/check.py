"""PURE: a run's results against a baseline's -> what got worse, what cannot be compared, and an exit code."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from common.analysis.stats import WORTH, over_seeds
from common.core.openmp import FACT
from common.core.results import Results, Row
from common.core.specs import SCHEMA_VERSION, JobKey, Recipe, Value

FINE, WORSE, NOT_COMPARABLE, NOTHING = 0, 1, 3, 4  # exit codes; 2 is bad input, as everywhere
SHARE = 0.01  # an F1, precision, recall or mAP may fall by so much where the baseline has no repeats
LEVEL = 0.98  # of the interval of the mean fall over seeds: 99 % one-sided
FLOOR = 0.002  # and never less: summation order differs between processors
AP, FEW_AP, FEW = 0.05, 0.2, 5  # average precision of one class; of a class with fewer positives than FEW
LOSS = 0.02  # relative
TIME = 0.5  # relative: shared machines differ by as much from one hour to the next
MACHINE = ("processor", "cores", "GPU")  # what makes seconds those of another machine
Verdict = Literal["worse", "better", "same", "inconclusive", "slower", "faster"]


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
            add(f"{name} at {percentile}", [getattr(s.percentiles[percentile], name) for s in scores], SHARE)
    add("mAP", [s.mAP for s in scores], SHARE)
    for c in range(len(scores[0].AP)):
        few = min(s.positives[c] for s in scores) < FEW
        add(f"AP of class {c}", [s.AP[c] for s in scores], FEW_AP if few else AP)
    losses = [s.validation_loss for s in scores]
    add("validation loss", losses, LOSS * float(np.mean(losses)), lower_is_worse=False)
    later = [[e.train_s for e in row.record.epochs[1:] or row.record.epochs] for row in rows]
    for name, values in (
        ("epoch s", [float(np.mean(seconds)) for seconds in later]),
        ("prediction s", [row.record.prediction_s for row in rows]),
        ("peak memory MiB", [row.record.peak_memory_bytes / 2**20 for row in rows]),
    ):
        add(name, values, TIME * float(np.mean(values)), lower_is_worse=False, kind="time")
    return found


def compare(now: Baseline, before: Baseline, fail_on_times: bool = False) -> Report:
    """Every row that both have, seed by seed. Only a worsening fails; a time only where asked."""
    here, there = ({row.label: row for row in side.rows} for side in (now, before))
    absent, added = [n for n in there if n not in here], [n for n in here if n not in there]
    lines: list[Line] = []
    failed, refused = [], []
    differing = [
        f"{k}: {before.context.get(k, 'none')}, now {now.context.get(k, 'none')}"
        for k in _differing(before.context, now.context)
    ]
    for label in (name for name in there if name in here):
        old, new = there[label], here[label]
        if names := not_the_same(old, new) or _no_seed(old, new):
            refused.append(f"{label}: other {', '.join(names)}")
            continue
        differing += [
            f"{label}, {k}: {old.context.get(k)}, now {new.context.get(k)}"
            for k in _differing(old.context, new.context)
            if k in old.context and k in new.context  # a baseline may be older than what is told today
        ]
        if old.finished and not new.finished:
            failed.append(label)
            continue
        common = sorted(old.plans.keys() & new.plans.keys())
        if lost := _lost(old, new, common):
            refused.append(f"{label}: it has no {', '.join(lost)}")
        lines += [
            _line(label, name, old.metrics[name], new.metrics[name], seeds)
            for name in old.metrics
            if name not in lost and (seeds := [s for s in common if s in old.metrics[name].values])
        ]
    # Another model or recipe on the same framework stands in the place of the baseline's row: not comparable.
    frameworks = {here[name].framework for name in added}
    refused += [f"{n}: other model or recipe ({', '.join(added)})" for n in absent if there[n].framework in frameworks]
    lacking = [n for n in absent if there[n].framework not in frameworks]
    worse = failed or [x for x in lines if x.verdict == "worse" or (fail_on_times and x.verdict == "slower")]
    code = WORSE if worse else NOT_COMPARABLE if refused else NOTHING if not lines else WORSE if lacking else FINE
    return Report(
        lines=tuple(lines), failed=tuple(failed), refused=tuple(refused), context=tuple(differing), exit_code=code,
        absent=tuple(lacking), new=tuple(added),
    )  # fmt: skip


def _differing(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
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
    down, up = ("worse", "better") if old.kind == "score" else ("slower", "faster")
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

"""Run folder -> Results: everything is read back from the files, so that `report` needs nothing else."""

import itertools
import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from common.analysis.scores import at_percentile, f1_by_image, oracle_scores, prior_scores, score, share_of_way
from common.analysis.stats import bootstrap_mean, paired_test
from common.core import openmp
from common.core.errors import InputError, OtherSchema, listed, readable
from common.core.events import Built, Done, Event, Failed, Ready, Received, last_of, of_kind, read_events
from common.core.files import read_json
from common.core.results import (
    GATES,
    EpochRecord,
    EqualityGate,
    Gate,
    Paired,
    ParentRecord,
    Results,
    Row,
    RunRecord,
    TrialRecord,
    Tried,
    Tuning,
    UpperBounds,
)
from common.core.scores import REFERENCES, References, TrialPercentileScores, TrialScores
from common.core.specs import SCHEMA_VERSION, JobKey, TrialSpec

LISTED = 5  # runs named where the asked one is not there


def read_run(folder: Path) -> RunRecord:
    """The run's record. InputError where the folder is no run; OtherSchema."""
    file = folder / "run.json"
    if not file.exists():
        runs = sorted(p.parent.name for p in folder.parent.glob("*/run.json")) if folder.parent.is_dir() else []
        more = f"the last {LISTED} of {len(runs)} " if len(runs) > LISTED else ""
        there = f"; {more}runs beside it: {', '.join(runs[-LISTED:])}" if runs else ""
        raise InputError(f"no run at '{folder}' (it has no run.json){there}")
    with readable(f"the run '{folder}'"):
        raw = dict(read_json(file))
        if raw.get("schema_version") != SCHEMA_VERSION:
            raise OtherSchema(
                f"{file} has schema version {raw.get('schema_version')}, this harness reads {SCHEMA_VERSION}; "
                "run it again, or read it with the version that wrote it"
            )
        return RunRecord.model_validate(raw)


def read_trial(folder: Path, run_folder: str) -> TrialRecord:
    """What one trial's files say, whether it ended well or not, or that they are damaged."""
    spec = TrialSpec.model_validate(read_json(folder / "spec.json"))
    again = repeat_command(run_folder, folder.name)
    try:
        with readable(f"'{folder.name}'"):
            return _read_trial(folder, spec, again)
    except InputError as damaged:
        return TrialRecord(spec=spec, status="failed", reason=str(damaged), repeat_command=again)


def _read_trial(folder: Path, spec: TrialSpec, again: str) -> TrialRecord:
    events = read_events(folder / "events.jsonl")
    done = last_of(events, Done)
    seen = _seen(folder / "parent.json", events)
    ok, epochs = seen.status == "ok", of_kind(events, EpochRecord)
    found = [epoch.epoch for epoch in epochs]
    if ok and found != list(range(1, spec.recipe.epochs + 1)):
        raise InputError(
            f"'{folder / 'events.jsonl'}' is damaged: it tells of the epochs {listed([*map(str, found)]) or 'none'}"
        )
    return TrialRecord(
        spec=spec, status=seen.status, reason=seen.reason, log_tail=seen.log_tail,
        repeat_command="" if ok else again,
        **_built(events), received=_received(events), tuning=_tuning(events),
        ceilings=_ceilings(spec, events, seen) if ok else UpperBounds(),
        start_s=sum(ready.start_s for ready in of_kind(events, Ready)),
        epochs=tuple(epochs), **(done or Done()).model_dump(),
        wall_s=seen.wall_s, peak_memory_bytes=seen.peak_memory_bytes, memory_method=seen.memory_method,
        resumed_after=seen.resumed_after, node=seen.node, machines=seen.machines, contention=seen.contention,
        quiet_wait=seen.quiet_wait, receipts=seen.receipts, receipt_fault=seen.receipt_fault,
    )  # fmt: skip


def _seen(file: Path, events: list[Event]) -> ParentRecord:
    """What the trial's parent wrote; without one, as of a trial that was repeated alone, what its events show."""
    if file.exists():
        return ParentRecord.from_trial_file(read_json(file))
    if of_kind(events, Done):
        return ParentRecord(status="ok")
    if failed := last_of(events, Failed):
        return ParentRecord(status="failed", reason=failed.reason)
    return ParentRecord(status="missing", reason="ended without a word" if events else "not run")


def _built(events: list[Event]) -> dict[str, Any]:
    """What the trial read from its model, with the facts that the tuned lane changed."""
    starts = of_kind(events, Built)
    if not starts:
        return {}
    found, tuned = starts[-1].model_dump(), last_of(events, Tuning) or Tuning()
    policies = dict.fromkeys(start.facts[openmp.FACT] for start in starts if openmp.FACT in start.facts)
    if policies:  # several, of a trial that was resumed
        found["facts"] |= {openmp.FACT: ", then ".join(policies)}
    return found | {"facts": found["facts"] | tuned.facts}


def _received(events: list[Event]) -> dict[str, str]:
    """The form of the first training batch's images and labels."""
    found = next((event.model_dump() for event in of_kind(events, Received) if event.phase == "train"), {})
    return {name: found[name] for name in ("images", "labels") if name in found}


def _ceilings(spec: TrialSpec, events: list[Event], seen: ParentRecord) -> UpperBounds:
    """What was measured after the trial. Where that never ended: the reason, and the seconds that it took."""
    if bounds := last_of(events, UpperBounds):
        return bounds
    done = last_of(events, Done)
    if not spec.ceilings or done is None:
        return UpperBounds()
    lost_s = 0.0 if seen.resumed_after else seen.wall_s - done.lived_s
    return UpperBounds(
        skip_reason="measuring them came to no end; the trial's log.txt has its last words", seconds=max(lost_s, 0.0)
    )


def _tuning(events: list[Event]) -> Tuning:
    """What the tuned lane did. Of a trial that was resumed: its last choice, and the sums over every start."""
    starts = of_kind(events, Tuning)
    if not starts:
        return Tuning()
    chosen = {name: getattr(start, name) for start in starts for name in start.model_fields_set}
    sums = {name: sum(getattr(start, name) for start in starts) for name in ("tuning_s", "fill_s", "filled")}
    return Tuning(**chosen | sums, tried=tuple(of_kind(events, Tried)), gate=tuple(of_kind(events, EqualityGate)))


def repeat_command(run_folder: str, trial: str) -> str:
    """The line that repeats one trial alone, in its folder, from the project's folder."""
    return f"uv run python -m common.trial.worker {shlex.quote(str(Path(run_folder) / 'trials' / trial))}"


def read_results(folder: Path) -> Results:
    """Every trial of the run with its scores, and the prior and oracle of each split."""
    run = read_run(folder)
    with readable(f"the run '{folder}'"):
        return _read_results(folder, run)


def _read_results(folder: Path, run: RunRecord) -> Results:
    with np.load(folder / run.labels) as arrays:
        labels = arrays["labels"]
    references: dict[str, References] = {}
    rows = []
    finished: list[tuple[TrialSpec, np.ndarray, dict[str, np.ndarray]]] = []  # with its images' rows, and their F1
    for name in run.trials:
        trial = folder / "trials" / name
        record = read_trial(trial, run.folder)
        with np.load(folder / record.spec.feed.plan) as arrays:
            train, validation = arrays["train_rows"], arrays["validation_rows"]
        truth = labels[validation]
        seed = str(record.spec.seed)
        if seed not in references:
            references[seed] = reference_scores(labels[train], truth, run.percentiles)
        if record.status != "ok":
            rows.append(Row(record=record, scores=None))
            continue
        with np.load(trial / "logits.npz") as logits:
            each = {f"{p:g}": f1_by_image(logits["prediction"], truth, p) for p in run.percentiles}
            rows.append(
                Row(record=record, scores=_scores(logits, record, truth, run.percentiles, each, references[seed]))
            )
        finished.append((record.spec, validation, each))
    return Results(
        run=run, rows=tuple(rows), gates=_gates(folder), paired=paired(finished), references=references,
        sample_rows=_sample_rows(folder, run),
    )  # fmt: skip


def paired(finished: list[tuple[TrialSpec, np.ndarray, dict[str, np.ndarray]]]) -> tuple[Paired, ...]:
    """The paired test, by percentile, of one model and trained part on every two frameworks, and in both lanes of one: over
    the seeds that both finished on the same plan. finished: each trial with the rows of its validation images and their
    F1 by percentile."""
    jobs: dict[JobKey, dict[tuple[int, str], tuple[str, np.ndarray, dict[str, np.ndarray]]]] = {}
    for spec, rows, f1 in finished:
        jobs.setdefault(spec.job_key(), {})[spec.seed, spec.feed.plan_hash] = spec.name, rows, f1
    found = []
    for (one, mine), (other, theirs) in itertools.combinations(jobs.items(), 2):
        both = [(mine[turn], theirs[turn]) for turn in mine if turn in theirs]
        if not both or not _tested(one, other):
            continue
        names = tuple(zip(*((a[0], b[0]) for a, b in both)))
        images = np.concatenate([a[1] for a, _ in both])
        for percentile in both[0][0][2]:
            apart = np.concatenate([a[2][percentile] - b[2][percentile] for a, b in both])
            # One image's differences are not independent of each other, where several seeds validate on it.
            by_image = np.bincount(images, weights=apart)[np.unique(images)]
            found.append(Paired(
                a=names[0], b=names[1], lanes=one.lane != other.lane, percentile=percentile,
                difference=float(apart.mean()), p=paired_test(by_image, np.zeros(len(by_image))),
            ))  # fmt: skip
    return tuple(found)


def _tested(one: JobKey, other: JobKey) -> bool:
    """Whether two jobs of one model and trained part differ in their framework or in their lane, and not in both."""
    mine, theirs = ((job.model, job.trained_part, job.devices) for job in (one, other))
    return mine == theirs and (one.framework != other.framework) != (one.lane != other.lane)


def _gates(folder: Path) -> tuple[Gate, ...]:
    """What the parity gate found before a matched run; nothing before any other."""
    file = folder / GATES
    return tuple(Gate.model_validate(found) for found in read_json(file)) if file.exists() else ()


def reference_scores(train: np.ndarray, truth: np.ndarray, percentiles: tuple[float, ...]) -> References:
    """Of the scorers that never look and always know. train, truth: 0/1 [n, classes], of the two splits."""
    prior = prior_scores(train.sum(axis=0, dtype=np.int64), len(truth))
    return {"prior": score(prior, truth, percentiles), "oracle": score(oracle_scores(truth), truth, percentiles)}


def image_words(image: str, labels: np.ndarray, class_names: tuple[str, ...]) -> str:
    """What stands under an image: its name and its labels. labels: 0/1 [classes]."""
    return f"{image}: " + (", ".join(class_names[c] for c in np.flatnonzero(labels)) or "none")


def _sample_rows(folder: Path, run: RunRecord) -> tuple[str, ...]:
    """The words under each image of samples.npz; none where the run was published without its images."""
    if not (folder / "samples.npz").exists():
        return ()
    with np.load(folder / "samples.npz") as samples, np.load(folder / run.labels) as arrays:
        ids, labels = arrays["ids"], arrays["labels"]
        return tuple(image_words(ids[row], labels[row], run.class_names) for row in samples["rows"])


def _scores(
    logits: Mapping[str, np.ndarray],
    record: TrialRecord,
    truth: np.ndarray,
    percentiles: tuple[float, ...],
    image_f1: dict[str, np.ndarray],
    references: References,
) -> TrialScores:
    """Of a finished trial. image_f1: of each image, by percentile."""
    found = score(logits["prediction"], truth, percentiles)
    by_percentile = {}
    for percentile, values in found.percentiles.items():
        prior, oracle = (references[which].percentiles[percentile].f1 for which in REFERENCES)
        interval = bootstrap_mean(image_f1[percentile])
        by_percentile[percentile] = TrialPercentileScores(
            **dict(values), share=share_of_way(values.f1, prior, oracle), f1_low=interval.low, f1_high=interval.high
        )
    return TrialScores(
        **dict(found) | {"percentiles": by_percentile},
        validation_loss=min((epoch.validation_loss for epoch in record.epochs), default=math.nan),
        f1_by_epoch=tuple(at_percentile(logits[f"epoch{e.epoch}"], truth, percentiles[-1]).f1 for e in record.epochs),
    )

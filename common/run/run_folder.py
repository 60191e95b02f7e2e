"""What a run folder holds before its first trial: labels, paths, plans, samples, spec.json of each trial, the record."""

import itertools
import os
import uuid
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common.core import clock, registry
from common.core.dataset import Dataset
from common.core.files import PROJECT, cache_folder, write_arrays, write_json
from common.core.fingerprint import made_by
from common.core.hashing import hash_arrays
from common.core.machine import cores, machine
from common.core.results import RunRecord
from common.core.settings import HEAD_LEARNING_RATE, LEARNING_RATE, Settings
from common.core.specs import Device, FeedSpec, Job, ProcessSpec, Recipe, TrialSpec, WeightsSpec
from common.data import plan
from common.data.pixel_store import read_contents
from common.run.naming import trial_name
from common.run.plans import Key, Plans, described
from common.run.samples import FIRST, write_samples
from common.run.weights import Initial


class Pixels(NamedTuple):
    """Where the pixels lie, and which rows have none."""

    folder: Path  # of the store; of its record alone where everything is decoded while it trains
    hash: str
    side: int
    stored: bool
    bad: dict[int, str]  # row -> why; test rows are numbered on from the labelled ones
    decoded: int  # images, now: the others had been before
    seconds: float  # that, and checking what had been before


def write_data(folder: Path, settings: Settings, dataset: Dataset, plans: Plans, pixels: Pixels) -> dict[Key, FeedSpec]:
    """Labels, paths and plans as files of the run folder, and the feed made of each plan."""
    write_arrays(folder / "labels.npz", ids=dataset.ids, labels=dataset.labels, test_ids=dataset.test_ids)
    decodes = not pixels.stored or settings.augment != "none"
    if decodes:
        write_paths(folder, dataset, pixels)
    workers = settings.workers if settings.workers is not None else max(1, cores() // 4) if decodes else 0
    write_samples(folder / "samples.npz", dataset, next(iter(plans.values())).train_rows, read_contents(pixels.folder))
    feeds = {}
    for (seed, balance), drawn in plans.items():
        file = f"plans/seed{seed}-{balance}.npz"
        write_arrays(folder / file, **vars(drawn))
        feeds[seed, balance] = FeedSpec(
            plan=file, plan_hash=plan.plan_hash(drawn), balance=balance, split=settings.split,
            shuffle=settings.shuffle, augment=settings.augment, labels="labels.npz",
            labels_hash=hash_arrays(dataset.labels), pixels=below(folder, pixels.folder) if pixels.stored else "",
            pixels_hash=pixels.hash, files="files.npz" if decodes else "", image_side=pixels.side, workers=workers,
            classes=dataset.labels.shape[1], train_images=len(drawn.visits),
            validation_images=len(drawn.validation_rows), test_images=len(drawn.test_rows),
        )  # fmt: skip
    return feeds


def write_paths(folder: Path, dataset: Dataset, pixels: Pixels) -> None:
    """Where the images lie, as seen from the run folder, and the hash of what each holds: for trials that decode."""
    paths = [below(folder, Path(p)) for p in (*dataset.paths, *dataset.test_paths)]
    write_arrays(folder / "files.npz", paths=np.array(paths), contents=read_contents(pixels.folder))


def write_specs(
    folder: Path,
    settings: Settings,
    jobs: list[Job],
    feeds: dict[Key, FeedSpec],
    initial: Initial,
    on: Device,
) -> list[TrialSpec]:
    """spec.json of every trial, in the order to run."""
    specs: list[TrialSpec] = []
    others = sorted(
        set(registry.real()) - {job.framework for job in jobs}
    )  # what the run has not will bring its peak too
    for repeat in range(settings.repeats):
        turns = list(itertools.product(jobs, settings.lanes, settings.devices))
        for job, lane, devices in turns if repeat % 2 == 0 else reversed(turns):
            seed = settings.seed + repeat
            found = initial[seed, job]
            path = below(folder, Path(found.path)) if found.path else ""
            spec = TrialSpec(
                name=trial_name(len(specs) + 1, job, lane, devices, seed), lane=lane, features=settings.features,
                ceilings=settings.ceilings, peaks_of=others if settings.ceilings and not specs else (), framework=job.framework, model=job.model,
                weights=found.model_copy(update={"path": path}), recipe=recipe(settings, job, found),
                feed=feeds[seed, job.balance], process=process(settings, on, devices), seed=seed, repeat=repeat,
            )  # fmt: skip
            write_json(folder / "trials" / spec.name / "spec.json", spec.model_dump())
            specs.append(spec)
    return specs


def recipe(settings: Settings, job: Job, initial: WeightsSpec) -> Recipe:
    """The settings' recipe; its learning rate, where none is given, is the default one of what trains."""
    head_only = job.train == "head" and (job.keep_frozen or not initial.random)
    rate = settings.learning_rate or (HEAD_LEARNING_RATE if head_only else LEARNING_RATE)
    return Recipe(
        name=settings.recipe, train=job.train, learning_rate=rate, batch_size=settings.batch_size,
        epochs=settings.epochs, schedule=settings.schedule, frozen_norm=settings.frozen_norm,
        formulas=settings.formulas, keep_frozen=job.keep_frozen,
    )  # fmt: skip


def process(settings: Settings, on: Device, devices: int) -> ProcessSpec:
    """How a trial's process is set up."""
    return ProcessSpec(
        device=on, deterministic=settings.deterministic, threads=settings.threads or cores(), devices=devices,
        timeout_s=settings.timeout_s, stall_s=settings.stall_s, wait_for_quiet_s=settings.wait_for_quiet_s,
    )  # fmt: skip


def record(
    folder: Path,
    settings: Settings,
    dataset: Dataset,
    plans: Plans,
    pixels: Pixels,
    specs: list[TrialSpec],
    notes: list[str],
) -> RunRecord:
    """What the run is about, with the hash of every array that its trials are given."""
    splits, audits = described(dataset, plans)
    drawn = next(iter(plans.values()))
    first = np.union1d(drawn.train_rows, drawn.validation_rows)[:FIRST]
    return RunRecord(
        id=uuid.uuid4().hex, name=folder.name, suite=settings.suite, command=settings.command, dataset=dataset.name,
        published=dataset.published, started=clock.now(), class_names=dataset.class_names,
        rows=len(dataset), image_side=pixels.side, percentiles=settings.percentiles, predict_at=settings.predict_at,
        labels="labels.npz", splits=splits, audits=audits, machine=machine(), folder=below(PROJECT, folder),
        trials=tuple(spec.name for spec in specs), notes=tuple(notes), asked_device=settings.device,
        reading=dataset.reading, class_numbers=dataset.class_numbers,
        pixels_hash=pixels.hash, images_hash=images_hash(dataset, pixels), decoded=pixels.decoded, decode_s=pixels.seconds, first_rows={str(dataset.ids[row]): tuple(map(int, dataset.labels[row])) for row in first},
        settings=settings.model_dump(), made_by=made_by(specs),
    )  # fmt: skip


def images_hash(dataset: Dataset, pixels: Pixels) -> str:
    """Of the labelled images' files, in order. Empty for images that the harness draws itself: their bytes change with the
    version of the library that draws them, and what that changes is for `check` to show."""
    if Path(dataset.folder).is_relative_to(cache_folder().resolve()):
        return ""
    return hash_arrays(read_contents(pixels.folder)[: len(dataset)])


def below(folder: Path, path: Path) -> str:
    """`path` as seen from the run folder, so that a run says nothing about the machine it ran on."""
    return os.path.relpath(os.path.abspath(path), folder.resolve())  # a link stays the name that the user gave

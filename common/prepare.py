"""Settings -> a run folder with everything that the trials need: labels, plans, pixels, weights, specs."""

import itertools
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from common import device, loading, plan, select, weights
from common.balance import audit
from common.errors import InputError
from common.files import PROJECT, hash_arrays, write_arrays, write_json
from common.machine import cores, machine
from common.pixels import PixelStore, store
from common.types import (
    Balance,
    Dataset,
    FeedSpec,
    Job,
    Plan,
    ProcessSpec,
    Recipe,
    RunRecord,
    Settings,
    TrialSpec,
    WeightsSpec,
)

HEAD_RATE, BODY_RATE = 3e-3, 1e-3
Plans = dict[tuple[int, Balance], Plan]  # by seed and balance


def make_run(
    settings: Settings, say: Callable[[str], None], progress: Callable[[int, int], None]
) -> tuple[Path, RunRecord, list[TrialSpec]]:
    """Write the run folder and return it with its trials in the order to run: repeats take turns (A B, A B).

    Everything that can be refused is refused before the folder exists.
    """
    jobs, notes = select.jobs(settings)
    dataset = read_data(settings)
    on, device_notes = device.choose(settings.device, [job.framework for job in jobs])
    plans = draw_plans(settings, dataset, jobs)
    initial = find_weights(settings, jobs, say)
    pixels = store(dataset, settings.image_size or dataset.default_side, say, progress)
    folder = new_folder(Path(settings.results_dir), settings.name, run_name(settings, jobs, dataset))
    feeds = write_data(folder, settings, dataset, plans, pixels)
    specs = write_specs(folder, settings, jobs, feeds, initial, on)
    run = record(folder, settings, dataset, plans, pixels, specs, notes + device_notes)
    write_json(folder / "run.json", run.model_dump())
    return folder, run, specs


def read_data(settings: Settings) -> Dataset:
    path = Path(settings.data)
    dataset = loading.format_of(path).read(path)
    return dataset.first(settings.limit) if settings.limit else dataset


def draw_plans(settings: Settings, dataset: Dataset, jobs: list[Job]) -> Plans:
    """One plan for each seed and balance that the jobs ask for."""
    seeds = range(settings.seed, settings.seed + settings.repeats)
    balances = dict.fromkeys(job.balance for job in jobs)
    return {(s, b): plan.make_plan(dataset.labels, s, settings.epochs, b) for s in seeds for b in balances}


def find_weights(settings: Settings, jobs: list[Job], say: Callable[[str], None]) -> dict[Job, WeightsSpec]:
    """The initial weights of every job; a model's are looked for once."""
    weights.check_choices([job.model for job in jobs], settings.weights)
    found: dict[tuple, WeightsSpec] = {}
    for job in jobs:
        key = (job.framework, job.model)
        found[key] = found.get(key) or weights.resolve(job, settings.weights, say)
    by_job = {job: found[job.framework, job.model] for job in jobs}
    weights.check_assumed(by_job)
    return by_job


def recipe(settings: Settings, job: Job, initial: WeightsSpec) -> Recipe:
    """The default recipe: 3e-3 where only the head trains, else 1e-3; random weights make everything train."""
    head_only = job.train == "head" and not initial.random
    rate = settings.learning_rate or (HEAD_RATE if head_only else BODY_RATE)
    return Recipe(train=job.train, learning_rate=rate, batch_size=settings.batch_size, epochs=settings.epochs)


def write_data(
    folder: Path, settings: Settings, dataset: Dataset, plans: Plans, pixels: PixelStore
) -> dict[tuple[int, Balance], FeedSpec]:
    """Labels and plans as files of the run folder, and the feed made of each plan."""
    write_arrays(folder / "labels.npz", ids=dataset.ids, labels=dataset.labels)
    feeds = {}
    for (seed, balance), drawn in plans.items():
        file = f"plans/seed{seed}-{balance}.npz"
        write_arrays(folder / file, **vars(drawn))
        feeds[seed, balance] = FeedSpec(
            plan=file, plan_hash=plan.hashes(drawn)["plan"], balance=balance, labels="labels.npz",
            labels_hash=hash_arrays(dataset.labels), pixels_hash=pixels.hash,
            pixels=below(folder, pixels.folder), image_side=pixels.meta["side"], workers=settings.workers,
            classes=dataset.labels.shape[1], train_images=len(drawn.visits), validation_images=len(drawn.validation_rows),
        )  # fmt: skip
    return feeds


def write_specs(
    folder: Path,
    settings: Settings,
    jobs: list[Job],
    feeds: dict[tuple[int, Balance], FeedSpec],
    initial: dict[Job, WeightsSpec],
    on: str,
) -> list[TrialSpec]:
    """spec.json of every trial, in the order to run."""
    process = ProcessSpec(
        device=on, deterministic=settings.deterministic, threads=cores(), timeout_s=settings.timeout_s
    )
    specs = []
    for repeat in range(settings.repeats):
        for job in jobs:
            seed, found = settings.seed + repeat, initial[job]
            path = below(folder, Path(found.path)) if found.path else ""
            spec = TrialSpec(
                name=trial_name(len(specs) + 1, job, seed), framework=job.framework, model=job.model,
                weights=found.model_copy(update={"path": path}), recipe=recipe(settings, job, found),
                feed=feeds[seed, job.balance], process=process, seed=seed, repeat=repeat,
            )  # fmt: skip
            write_json(folder / "trials" / spec.name / "spec.json", spec.model_dump())
            specs.append(spec)
    return specs


def record(
    folder: Path,
    settings: Settings,
    dataset: Dataset,
    plans: Plans,
    pixels: PixelStore,
    specs: list[TrialSpec],
    notes: list[str],
) -> RunRecord:
    """What the run is about, with the hash of every array that its trials are given."""
    splits, audits = {}, {}
    for (seed, balance), drawn in plans.items():
        hashes = plan.hashes(drawn)
        splits[str(seed)] = {
            "train": len(drawn.train_rows), "validation": len(drawn.validation_rows), "split_hash": hashes["split"],
        }  # fmt: skip
        audits[f"seed {seed}, balance {balance}"] = audit(dataset.labels, drawn.train_rows, drawn.visits) | hashes
    return RunRecord(
        name=folder.name, suite=settings.suite, command=settings.command, dataset=dataset.name,
        published=dataset.published, started=time.strftime("%Y-%m-%d %H:%M"),
        class_names=dataset.class_names, rows=len(dataset), image_side=pixels.meta["side"],
        percentiles=settings.percentiles, labels="labels.npz", splits=splits, audits=audits, machine=machine(),
        folder=below(PROJECT, folder), trials=tuple(spec.name for spec in specs), notes=tuple(notes), asked_device=settings.device,
        pixels_hash=pixels.hash,
    )  # fmt: skip


def new_folder(parent: Path, name: str, otherwise: str) -> Path:
    """A folder that was not there before: no run overwrites another. Without a name: the other one, numbered where two
    runs begin in the same second."""
    for number in itertools.count(1):
        folder = parent / (name or otherwise + (f"-{number}" if number > 1 else ""))
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            if name:
                raise InputError(f"the run '{folder}' exists; take another --name, or remove it") from None
    raise AssertionError


def below(folder: Path, path: Path) -> str:
    """`path` as seen from the run folder, so that a run says nothing about the machine it ran on."""
    return os.path.relpath(os.path.abspath(path), folder.resolve())  # a link stays the name that the user gave


def run_name(settings: Settings, jobs: list[Job], dataset: Dataset) -> str:
    what = settings.suite or "-".join(dict.fromkeys(job.framework for job in jobs))
    return f"{time.strftime('%Y-%m-%d-%H%M%S')}-{what}-{dataset.name}"


def trial_name(number: int, job: Job, seed: int) -> str:
    words = [f"{number:02}", job.framework, str(job.model), job.train]
    words += [job.balance] if job.balance != "none" else []
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", "-".join([*words, f"seed{seed}"]))

"""Settings -> a run folder with everything that the trials need: labels, plans, pixels, weights, specs."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from common import device, loading, plan, select, weights
from common.balance import audit
from common.errors import InputError
from common.files import write_arrays, write_json
from common.pixels import store
from common.types import Dataset, FeedSpec, Job, ProcessSpec, Recipe, RunRecord, Settings, TrialSpec, WeightsSpec

HEAD_RATE, BODY_RATE = 3e-3, 1e-3


def read_data(settings: Settings) -> Dataset:
    path = Path(settings.data)
    dataset = loading.format_of(path).read(path)
    return dataset.first(settings.limit) if settings.limit else dataset


def recipe(settings: Settings, job: Job, initial: WeightsSpec) -> Recipe:
    """The default recipe: 3e-3 where only the head trains, else 1e-3; random weights make everything train."""
    head_only = job.train == "head" and not initial.random
    rate = settings.learning_rate or (HEAD_RATE if head_only else BODY_RATE)
    return Recipe(train=job.train, learning_rate=rate, batch_size=settings.batch_size, epochs=settings.epochs)


def make_run(
    settings: Settings, say: Callable[[str], None], progress: Callable[[int, int], None]
) -> tuple[Path, RunRecord, list[TrialSpec]]:
    """Write the run folder and return it with its trials in the order to run: repeats take turns (A B, A B).

    Everything that can be refused is refused before the folder exists.
    """
    dataset = read_data(settings)
    jobs, notes = select.jobs(settings)
    for job in jobs:
        select.train_part(job)
    on, device_notes = device.choose(settings.device, [job.framework for job in jobs])
    initial = {}
    for job in jobs:
        key = (job.framework, job.model)
        initial[key] = initial.get(key) or weights.resolve(job, settings.weights, say)
    side = settings.image_size or dataset.default_side
    plans = {
        (settings.seed + repeat, balance): plan.make_plan(
            dataset.labels, settings.seed + repeat, settings.epochs, balance
        )
        for repeat in range(settings.repeats)
        for balance in dict.fromkeys(job.balance for job in jobs)
    }
    pixels = store(dataset, side, say, progress)
    folder = new_folder(Path(settings.results_dir), settings.name or _name(settings, jobs, dataset))
    write_arrays(folder / "labels.npz", ids=dataset.ids, labels=dataset.labels)
    specs, splits, audits = [], {}, {}
    for (seed, balance), drawn in plans.items():
        file = f"plans/seed{seed}-{balance}.npz"
        write_arrays(folder / file, **vars(drawn))
        hashes = plan.hashes(drawn)
        splits[str(seed)] = {
            "train": len(drawn.train_rows),
            "validation": len(drawn.validation_rows),
            "split_hash": hashes["split"],
        }
        audits[f"seed {seed}, balance {balance}"] = audit(dataset.labels, drawn.train_rows, drawn.visits) | hashes
        for job in jobs:
            if job.balance == balance:
                feed = FeedSpec(
                    plan=file, plan_hash=hashes["plan"], balance=balance, labels="labels.npz",
                    pixels=_below(folder, pixels.folder), image_side=side, workers=settings.workers,
                    classes=dataset.labels.shape[1], train_images=len(drawn.visits),
                    validation_images=len(drawn.validation_rows),
                )  # fmt: skip
                process = ProcessSpec(
                    device=on, deterministic=settings.deterministic, threads=device.cores(), timeout_s=settings.timeout_s
                )
                found = initial[job.framework, job.model]
                if found.path:
                    found = found.model_copy(update={"path": _below(folder, Path(found.path))})
                specs.append(
                    TrialSpec(
                        name="", framework=job.framework, model=job.model, weights=found, feed=feed, process=process,
                        recipe=recipe(settings, job, found), seed=seed, repeat=seed - settings.seed,
                    )  # fmt: skip
                )
    order = {(job.framework, job.model, job.train, job.balance): i for i, job in enumerate(jobs)}
    specs.sort(key=lambda s: (s.repeat, order[s.framework, s.model, s.recipe.train, s.feed.balance]))
    specs = [spec.model_copy(update={"name": _trial_name(i, spec)}) for i, spec in enumerate(specs, start=1)]
    for spec in specs:
        write_json(folder / "trials" / spec.name / "spec.json", spec.model_dump())
    run = RunRecord(
        name=folder.name, suite=settings.suite, command=settings.command, dataset=dataset.name,
        started=time.strftime("%Y-%m-%d %H:%M"), class_names=dataset.class_names, rows=len(dataset), image_side=side,
        percentiles=settings.percentiles, labels="labels.npz", splits=splits, audits=audits, machine=device.machine(),
        trials=tuple(spec.name for spec in specs), notes=tuple(notes + device_notes), asked_device=settings.device,
        pixels_hash=pixels.hash, published=loading.format_of(Path(settings.data)).PUBLISHED,
    )  # fmt: skip
    write_json(folder / "run.json", run.model_dump())
    return folder, run, specs


def new_folder(parent: Path, name: str) -> Path:
    """A folder that was not there before: no run overwrites another."""
    folder = parent / name
    if folder.exists():
        raise InputError(f"the run '{folder}' exists; take another --name, or remove it")
    folder.mkdir(parents=True)
    return folder


def _below(folder: Path, path: Path) -> str:
    """`path` as seen from the run folder, so that a run says nothing about the machine it ran on."""
    return os.path.relpath(path.resolve(), folder.resolve())


def _name(settings: Settings, jobs: list[Job], dataset: Dataset) -> str:
    what = settings.suite or "-".join(dict.fromkeys(job.framework for job in jobs))
    return f"{time.strftime('%Y-%m-%d-%H%M%S')}-{what}-{dataset.name}"


def _trial_name(number: int, spec: TrialSpec) -> str:
    words = [f"{number:02}", spec.framework, str(spec.model), spec.recipe.train]
    words += [spec.feed.balance] if spec.feed.balance != "none" else []
    words += [f"seed{spec.seed}"]
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", "-".join(words))

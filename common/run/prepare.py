"""Settings -> a run folder with everything that the trials need: labels, plans, pixels, weights, specs."""

import itertools
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common.core import clock, registry
from common.core.audit import PlanAudit, PlanName, SplitSizes
from common.core.dataset import Dataset
from common.core.errors import InputError
from common.core.files import PROJECT, cache_folder, check_writable, write_arrays, write_json
from common.core.hashing import hash_arrays
from common.core.locks import hold, use_cache
from common.core.machine import cores, limits_note, machine, made_by
from common.core.results import RunRecord
from common.core.settings import HEAD_LEARNING_RATE, LEARNING_RATE, Settings
from common.core.specs import Balance, FeedSpec, Job, Plan, PlanSpec, ProcessSpec, Recipe, TrialSpec, WeightsSpec
from common.data import plan
from common.data.bad_images import check_missing, without_bad
from common.data.balance import audit
from common.data.pixel_store import read_contents, store
from common.data.reading import check
from common.report.reading import described as reading_lines
from common.run import device, weight_files
from common.run.jobs import list_jobs
from common.run.naming import check_free, new_folder, run_name, trial_name
from common.run.preflight import TryOuts, check_packages
from common.run.samples import write_samples

Key = tuple[int, Balance]  # a plan's: seed and balance
FIRST = 5  # images whose 0/1 rows the page shows


def make_run(
    settings: Settings, say: Callable[[str], None], progress: Callable[[int, int], None]
) -> tuple[Path, RunRecord, list[TrialSpec]]:
    """Write the run folder and return it with its trials in the order to run: repeats take turns (A B, B A).

    Everything that can be refused is refused before the folder exists.
    """
    if Path(settings.name).name != settings.name or settings.name == "..":
        raise InputError(f"--name is one folder's name, not '{settings.name}'; take --results-dir for another place")
    check_writable(Path(settings.results_dir), "--results-dir")
    if settings.name:
        check_free(Path(settings.results_dir) / settings.name)
    use_cache()
    jobs, notes = list_jobs(settings)
    check_packages(jobs)
    device.check_several(settings, jobs)
    dataset = read_data(settings)
    if settings.track:
        registry.tracker(settings.track).check(dataset.name)
    for what, value in reading_lines(dataset, settings.percentiles):
        say(f"{what}: {value}")
    check_missing(settings, dataset)
    on, device_notes = device.choose(settings.device, [job.framework for job in jobs])
    # What can be refused without decoding is refused before it; which rows a run may start from is known only after.
    balances = tuple(dict.fromkeys(job.balance for job in jobs))
    everyone = draw_plans(settings, dataset, balances, rows_known(settings, dataset), np.arange(0))
    launching = process(settings, on, max(settings.devices))
    registry.launcher(settings.launcher).check(launching, settings.address)
    initial = find_weights(settings, jobs, {}, dataset, say)
    tried = TryOuts(settings, dataset.labels.shape[1], settings.image_size or dataset.default_side, say)
    initial = tried.check_models(initial)
    tried.check_batches(initial, everyone)
    pixels = decode_all(settings, dataset, say, progress)
    usable, test_rows, bad_notes = without_bad(settings, dataset, pixels.bad)
    plans = draw_plans(settings, dataset, balances, usable, test_rows)
    if settings.init_from:
        initial = find_weights(settings, jobs, plans, dataset, say)
    tried.check_batches(initial, plans)  # images that cannot be decoded may be gone
    folder = new_folder(Path(settings.results_dir), settings.name, run_name(settings, jobs, dataset))
    try:
        hold(folder)
        feeds = write_data(folder, settings, dataset, plans, pixels)
        specs = write_specs(folder, settings, jobs, feeds, initial, on)
        notes += [
            *filter(None, [limits_note(settings.threads)]),
            *device_notes,
            *bad_notes,
            *plan.few_notes(plans.values()),
            *registry.recipe(settings.recipe).NOTES,
        ]
        run = record(folder, settings, dataset, plans, pixels, specs, notes)
        write_json(folder / "run.json", run.model_dump())
    except BaseException:  # a full disk, Ctrl-C: no half-written run keeps the name
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder, run, specs


def read_data(settings: Settings) -> Dataset:
    """The rows that the user asked for. InputError where a row names an image that cannot be allowed."""
    path = Path(settings.data)
    dataset = registry.format_of(path, settings.format).read(path, settings)
    check(dataset)
    if settings.split == "given" and not len(dataset.in_validation):
        raise InputError(
            f"--split given: '{dataset.name}' has no split of its author; take --split random or iterative"
        )
    return dataset.first(settings.limit) if settings.limit else dataset


def rows_known(settings: Settings, dataset: Dataset) -> np.ndarray:
    """The labelled rows that a run may have as far as is known before decoding: without those that --on-bad-image skip leaves
    out, since their file is missing."""
    there = np.array([path not in dataset.missing for path in dataset.paths.tolist()], bool)
    return np.flatnonzero(there | (settings.on_bad_image != "skip"))


class Pixels(NamedTuple):
    """Where the pixels lie, and which rows have none."""

    folder: Path  # of the store; of its record alone where everything is decoded while it trains
    hash: str
    side: int
    stored: bool
    bad: dict[int, str]  # row -> why; test rows are numbered on from the labelled ones
    decoded: int  # images, now: the others had been before
    seconds: float  # that, and checking what had been before


def decode_all(
    settings: Settings, dataset: Dataset, say: Callable[[str], None], progress: Callable[[int, int], None]
) -> Pixels:
    """Every image decoded once, so that a bad one is known before anything trains."""
    side = settings.image_size or dataset.default_side
    stored = settings.pixels == "store" and settings.augment != "everywhere"  # nothing would be read from it
    paths = np.concatenate([dataset.paths, dataset.test_paths]) if len(dataset.test_paths) else dataset.paths
    began = time.perf_counter()
    folder, found, decoded = store(dataset.name, paths, side, say, progress, keep=stored)
    seconds = time.perf_counter() - began
    return Pixels(folder, found.hash, side, stored, found.missing, decoded, seconds)


def draw_plans(
    settings: Settings, dataset: Dataset, balances: Iterable[Balance], usable: np.ndarray, test_rows: np.ndarray
) -> dict[Key, Plan]:
    """One plan for each seed and balance."""
    plans = {}
    for seed in range(settings.seed, settings.seed + settings.repeats):
        for balance in balances:
            spec = PlanSpec(
                seed=seed, split=settings.split, balance=balance, shuffle=settings.shuffle, augment=settings.augment
            )
            plans[seed, balance] = plan.make_plan(
                dataset.labels, spec, settings.epochs, usable, test_rows, dataset.in_validation, dataset.groups
            )
    return plans


def find_weights(
    settings: Settings, jobs: list[Job], plans: dict[Key, Plan], dataset: Dataset, say: Callable[[str], None]
) -> dict[tuple[int, Job], WeightsSpec]:
    """The initial weights of every job and seed; a model's are looked for once. plans: of the rows that may be used;
    none where these are not known yet."""
    seeds = range(settings.seed, settings.seed + settings.repeats)
    if settings.init_from:
        run = Path(settings.init_from)
        splits = {seed: plan.hashes(drawn)["split"] for (seed, _), drawn in plans.items()}
        classes = dataset.class_names
        return {(s, job): weight_files.from_run(run, job, s, splits.get(s, ""), classes) for s in seeds for job in jobs}
    weight_files.check_choices([job.model for job in jobs], settings.weights)
    found: dict[tuple, WeightsSpec] = {}
    matched = settings.formulas == "matched"  # then one file for all frameworks, of the first that has one

    def key(job: Job) -> tuple:
        return (job.model,) if matched else (job.framework, job.model)

    refused: dict[tuple, InputError] = {}
    for job in jobs:
        if key(job) not in found or (matched and found[key(job)].random):
            try:
                found[key(job)] = weight_files.resolve(job, settings.weights, say)
            except InputError as error:
                if not matched:
                    raise
                refused.setdefault(key(job), error)  # another framework may have the one file for all
    if lacking := [error for what, error in refused.items() if what not in found]:
        raise lacking[0]
    by_job = {job: found[key(job)] for job in jobs}
    weight_files.check_assumed(by_job)
    return {(seed, job): spec for seed in seeds for job, spec in by_job.items()}


def recipe(settings: Settings, job: Job, initial: WeightsSpec) -> Recipe:
    """The settings' recipe; its learning rate, where none is given, is the default one of what trains."""
    head_only = job.train == "head" and (job.keep_frozen or not initial.random)
    rate = settings.learning_rate or (HEAD_LEARNING_RATE if head_only else LEARNING_RATE)
    return Recipe(
        name=settings.recipe, train=job.train, learning_rate=rate, batch_size=settings.batch_size,
        epochs=settings.epochs, schedule=settings.schedule, frozen_norm=settings.frozen_norm,
        formulas=settings.formulas, keep_frozen=job.keep_frozen,
    )  # fmt: skip


def write_data(
    folder: Path, settings: Settings, dataset: Dataset, plans: dict[Key, Plan], pixels: Pixels
) -> dict[Key, FeedSpec]:
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
    initial: dict[tuple[int, Job], WeightsSpec],
    on: str,
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


def process(settings: Settings, on: str, devices: int) -> ProcessSpec:
    """How a trial's process is set up."""
    return ProcessSpec(
        device=on, deterministic=settings.deterministic, threads=settings.threads or cores(), devices=devices,
        timeout_s=settings.timeout_s, stall_s=settings.stall_s, wait_for_quiet_s=settings.wait_for_quiet_s,
    )  # fmt: skip


def record(
    folder: Path,
    settings: Settings,
    dataset: Dataset,
    plans: dict[Key, Plan],
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
        settings=settings.model_dump(), made_by=made_by(),
    )  # fmt: skip


def images_hash(dataset: Dataset, pixels: Pixels) -> str:
    """Of the labelled images' files, in order. Empty for images that the harness draws itself: their bytes change with the
    version of the library that draws them, and what that changes is for `check` to show."""
    if Path(dataset.folder).is_relative_to(cache_folder().resolve()):
        return ""
    return hash_arrays(read_contents(pixels.folder)[: len(dataset)])


def described(dataset: Dataset, plans: dict[Key, Plan]) -> tuple[dict[str, SplitSizes], dict[str, PlanAudit]]:
    """Sizes and hash of every split, by seed; what each plan's epoch sees before and after balancing, by plan."""
    splits, audits = {}, {}
    for (seed, balance), drawn in plans.items():
        hashes = plan.hashes(drawn)
        splits[str(seed)] = SplitSizes(
            train=len(drawn.train_rows), validation=len(drawn.validation_rows), test=len(drawn.test_rows),
            split_hash=hashes["split"],
        )  # fmt: skip
        found = audit(dataset.labels, drawn.train_rows, drawn.visits)
        audits[str(PlanName(str(seed), balance))] = found.model_copy(update=hashes)
    return splits, audits


def below(folder: Path, path: Path) -> str:
    """`path` as seen from the run folder, so that a run says nothing about the machine it ran on."""
    return os.path.relpath(os.path.abspath(path), folder.resolve())  # a link stays the name that the user gave

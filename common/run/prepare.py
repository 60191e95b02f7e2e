"""Settings -> a run folder with everything that the trials need: labels, plans, pixels, weights, specs."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.core import registry
from common.core.callbacks import Progress, Say
from common.core.dataset import Dataset
from common.core.errors import InputError
from common.core.files import check_writable, write_json
from common.core.locks import hold, use_cache
from common.core.machine import limits_note
from common.core.results import RunRecord
from common.core.settings import Settings
from common.core.specs import Device, Job, TrialSpec
from common.data import plan
from common.data.bad_images import check_missing, without_bad
from common.data.pixel_store import store
from common.data.reading import check
from common.report.reading import described as reading_lines
from common.run import device
from common.run.jobs import list_jobs
from common.run.naming import check_free, new_folder, run_name
from common.run.plans import Plans, draw_plans, rows_known
from common.run.preflight import TryOuts, check_packages
from common.run.run_folder import Pixels, process, record, write_data, write_specs
from common.run.trained_run import TrainedRun
from common.run.weights import Initial, find_weights


def make_run(settings: Settings, say: Say, progress: Progress) -> tuple[Path, RunRecord, list[TrialSpec]]:
    """Write the run folder and return it with its trials in the order to run: repeats take turns (A B, B A).

    InputError for whatever can be refused, before the folder exists.
    """
    checked = _check(settings, say)
    pixels = decode_all(settings, checked.dataset, say, progress)
    plans, bad_notes = _plans_of_decoded(checked, settings, pixels)
    folder = new_folder(Path(settings.results_dir), settings.name, run_name(settings, checked.jobs, checked.dataset))
    try:
        hold(folder)
        feeds = write_data(folder, settings, checked.dataset, plans, pixels)
        specs = write_specs(folder, settings, checked.jobs, feeds, checked.initial, checked.device)
        notes = [*checked.notes, *bad_notes, *plan.few_notes(plans.values()), *registry.recipe(settings.recipe).NOTES]
        run = record(folder, settings, checked.dataset, plans, pixels, specs, notes)
        write_json(folder / "run.json", run.model_dump())
    except BaseException:  # a full disk, Ctrl-C: no half-written run keeps the name
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder, run, specs


@dataclass(frozen=True)
class _Checked:
    """What a run consists of as far as it is known before an image is decoded.

    Only images that cannot be decoded can still be a reason to refuse it: they are bad, or the rows that are left give
    other plans.
    """

    jobs: list[Job]
    dataset: Dataset
    device: Device
    trained: TrainedRun | None  # --init-from
    initial: Initial
    rows: tuple[np.ndarray, np.ndarray]  # labelled and test rows, of which the plans are
    plans: Plans
    tried: TryOuts
    notes: list[str]


def _check(settings: Settings, say: Say) -> _Checked:
    """InputError for whatever can be refused without decoding. The cheapest checks come first."""
    _check_name(settings)
    use_cache()
    jobs, notes = list_jobs(settings)
    check_packages(job.framework for job in jobs)
    device.check_several(settings, jobs)
    dataset = read_data(settings)
    if settings.track:
        registry.tracker(settings.track).check(dataset.name)
    for what, value in reading_lines(dataset, settings.percentiles):
        say(f"{what}: {value}")
    check_missing(settings, dataset)
    on, device_notes = device.choose(settings.device, [job.framework for job in jobs])
    rows = rows_known(settings, dataset)
    plans = draw_plans(settings, dataset, [job.balance for job in jobs], *rows)
    registry.launcher(settings.launcher).check(process(settings, on, max(settings.devices)), settings.address)
    trained = TrainedRun(Path(settings.init_from), dataset.class_names) if settings.init_from else None
    initial = trained.initial(jobs, settings.seeds) if trained else find_weights(settings, jobs, say)
    if trained and settings.on_bad_image == "fail":  # otherwise decoding may leave out rows, which changes the splits
        trained.check_splits(plans)
    tried = TryOuts(settings, dataset.labels.shape[1], settings.image_size or dataset.default_side, say)
    initial = tried.check_models(initial)
    tried.check_batches(initial, plans)
    notes += [*filter(None, [limits_note(settings.threads)]), *device_notes]
    return _Checked(jobs, dataset, on, trained, initial, rows, plans, tried, notes)


def _check_name(settings: Settings) -> None:
    if Path(settings.name).name != settings.name or settings.name == "..":
        raise InputError(f"--name is one folder's name, not '{settings.name}'; take --results-dir for another place")
    check_writable(Path(settings.results_dir), "--results-dir")
    if settings.name:
        check_free(Path(settings.results_dir) / settings.name)


def _plans_of_decoded(checked: _Checked, settings: Settings, pixels: Pixels) -> tuple[Plans, list[str]]:
    """The plans, drawn again only where images were left out that cannot be decoded; and notes on these.

    InputError for what depends on the rows that are left.
    """
    *rows, notes = without_bad(settings, checked.dataset, pixels.bad)
    plans = checked.plans
    fewer = not all(map(np.array_equal, rows, checked.rows))
    if fewer:
        plans = draw_plans(settings, checked.dataset, [job.balance for job in checked.jobs], *rows)
    if checked.trained:
        checked.trained.check_splits(plans)
    if fewer:
        checked.tried.check_batches(checked.initial, plans)
    return plans, notes


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


def decode_all(settings: Settings, dataset: Dataset, say: Say, progress: Progress) -> Pixels:
    """Every image decoded once, so that a bad one is known before anything trains."""
    side = settings.image_size or dataset.default_side
    stored = settings.pixels == "store" and settings.augment != "everywhere"  # nothing would be read from it
    paths = np.concatenate([dataset.paths, dataset.test_paths]) if len(dataset.test_paths) else dataset.paths
    began = time.perf_counter()
    folder, found, decoded = store(dataset.name, paths, side, say, progress, keep=stored)
    seconds = time.perf_counter() - began
    return Pixels(folder, found.hash, side, stored, found.missing, decoded, seconds)

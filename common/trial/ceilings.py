"""The CHILD's ceilings: what loading alone, computing alone and the machine itself could reach, measured after training."""

import contextlib
import os
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from common.core.errors import InputError
from common.core.events import last
from common.core.results import EpochRecord, Peaks, UpperBounds
from common.data.feed import Decoded, Feed, Held
from common.process.question import ask
from common.process.questions import PEAKS
from common.trial.contract import Adapter, Measurable
from common.trial.driver import Trial
from common.trial.stopwatch import unwatched

PASS_S = 3.0  # about so much training is loaded, and computed
LOADED = (
    40  # batches are loaded at the least: Keras on TensorFlow reads two beforehand in every pass, to know their form
)
LEAST_S = 0.3  # of each product
TIMES = 3  # of which the fastest counts: other work only adds time
PRECISIONS = ("float32", "bfloat16")


def measured(trial: Trial) -> UpperBounds:
    """The upper bounds, or why they were not measured: a finished trial stands without them."""
    began = time.perf_counter()
    if not isinstance(trial.adapter, Measurable):
        return UpperBounds(skip_reason="the framework's folder offers no ceilings", seconds=0.0)
    try:
        found = measure(trial, trial.adapter)
    except Exception as error:
        traceback.print_exc()  # into the trial's log
        found = UpperBounds(skip_reason=f"{type(error).__name__}: {error}"[:300])
    return found.model_copy(update={"seconds": time.perf_counter() - began})


def measure(trial: Trial, adapter: Measurable) -> UpperBounds:
    """Images/s of the loader alone (cold: the system has forgotten the files) and of training from one batch in memory,
    and the GFLOP/s of the library's best product in the precision that computes. The weights move: the last thing done."""
    spec = trial.spec
    batch, steps = spec.recipe.batch_size, _steps(trial)
    rows = np.resize(trial.plan.orders[0], max(steps, LOADED) * batch)
    crops: np.ndarray = trial.plan.crops[0] if len(trial.plan.crops) else np.empty(0)
    if len(crops):
        crops = np.resize(crops, (len(rows), crops.shape[1]))  # repeated as the rows are
    feed = trial.feed(rows, trial.labels[rows], crops)
    one = np.resize(rows[:batch], steps * batch)
    held = Feed(
        Held(feed.batch(0)[0]), np.resize(np.arange(batch, dtype=np.int32), len(one)), trial.labels[one], batch, 0
    )

    def train() -> float:
        watch, began = unwatched("train", held.batches), time.perf_counter()
        adapter.train_epoch(trial.model, held, watch)
        adapter.fence()
        return time.perf_counter() - began - watch.first_step_s  # graphs, and starting the pass

    process = spec.process
    return UpperBounds(
        loader_cold=len(rows) / _fastest(lambda: adapter.consume(feed), lambda: _forget(feed.source, rows)),
        loader_warm=len(rows) / _fastest(lambda: adapter.consume(feed)),
        compute=(len(one) - batch) / min(train() for _ in range(TIMES)),
        peaks=every_peak(adapter),
        peaks_of_others={name: _of_another(name, process.threads, process.device) for name in spec.peaks_of},
    )


def _of_another(framework: str, threads: int, device: str) -> Peaks:
    """The machine's peak is the best of all libraries that are installed, also where the run has only one of them; {} where
    one is not."""
    try:
        return ask(framework, PEAKS, threads, device)
    except InputError as error:
        print(f"no peak of {framework}: {error}")  # into the trial's log
        return {}


def every_peak(adapter: Adapter) -> Peaks:
    """GFLOP/s by precision and product."""
    return {p: peaks(adapter, p) if isinstance(adapter, Measurable) else {} for p in PRECISIONS}


def peaks(adapter: Measurable, precision: str) -> dict[str, float]:
    """GFLOP/s by product; none where the machine or the library has no products in that precision: a finished trial stands."""
    try:
        return {
            name: flops / fastest_call_s(run, LEAST_S) / 1e9
            for name, (flops, run) in adapter.products(precision).items()
        }
    except Exception:
        traceback.print_exc()  # into the trial's log
        return {}


def _steps(trial: Trial) -> int:
    """As many as an epoch trains in about PASS_S."""
    # Where the trial was taken up after its last epoch, the event alone knows.
    epoch_s = trial.epoch_s
    if not epoch_s and (epoch := last(trial.folder / "events.jsonl", EpochRecord)):
        epoch_s = epoch.train_s
    seconds = epoch_s / -(-trial.plan.orders.shape[1] // trial.spec.recipe.batch_size)
    return int(np.clip(PASS_S / max(seconds, 1e-6), 2, 200))


def _fastest(run: Callable[[], Any], before: Callable[[], None] = lambda: None) -> float:
    """Seconds."""
    took: list[float] = []
    for _ in range(TIMES):
        before()
        began = time.perf_counter()
        run()
        took.append(time.perf_counter() - began)
    return min(took)


def fastest_call_s(run: Callable[[], Any], seconds: float) -> float:
    """Of the calls of so many seconds, at least three, after one that is not counted."""
    run()
    took: list[float] = []
    began = time.perf_counter()
    while len(took) < 3 or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        run()
        took.append(time.perf_counter() - start)
    return min(took)


def _forget(source: Any, rows: np.ndarray) -> None:
    """Have the system drop what it holds of the files that are read; where it cannot, cold is warm."""
    for path in source.paths[rows].tolist() if isinstance(source, Decoded) else source.folder.glob("*.*"):
        with contextlib.suppress(OSError, AttributeError), open(path, "rb") as stream:
            os.fsync(stream.fileno())
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

"""The CHILD's search for the fastest execution config of a part of a model, setting by setting, by measurement."""

import shutil
import time
from collections.abc import Callable

import numpy as np

from common.core.results import Tried
from common.core.specs import ExecutionConfig, Part, SearchSpace
from common.process.trial_files import TUNING
from common.trial.contract import Optimizable
from common.trial.driver import Trial
from common.trial.stopwatch import unwatched

TIMED_S = 0.7  # of each config of the frozen part
STEPS, STEPS_S, LEAST_STEPS = 20, 2.0, 3  # a training config is timed for 20 steps or 2 s, at least 3 steps
WORTH_COMPILING_S = 300.0  # a compiler takes up to half a minute, and has saved a tenth: tried where so much is to run
WORTH_TRYING_S = 5.0  # of other configs: a measurement takes one
GAIN = 1.03  # less is this machine's noise

Extractor = Callable[[np.ndarray], np.ndarray]
Measure = Callable[[ExecutionConfig], tuple[float, float]]  # images/s, and the seconds until the first were done


def search(
    part: Part,
    space: SearchSpace,
    slow: tuple[str, ...],
    measure: Measure,
    images: int,
    report: Callable[[Tried], None],
) -> tuple[ExecutionConfig, float]:
    """The fastest config for so many images, and its images/s; found setting by setting, each in the best config so far.

    What cannot pay back is not tried: the rest of the work is shorter than trying, or than building where that is slow.
    The config of training is built once more after the search: a slow one is chosen where it saves more than that.
    RuntimeError where no config runs.
    """

    def tried(config: ExecutionConfig) -> tuple[float, float]:
        try:
            rate, build_s = measure(config)
        except Exception as error:  # a config that this machine or library does not have
            failures.append(f"{type(error).__name__}: {error}"[:300])
            report(Tried(part=part, config=config, failed=failures[-1]))
            return 0.0, 0.0
        report(Tried(part=part, config=config, images_per_s=rate, build_s=build_s))
        return rate, build_s

    failures: list[str] = []
    best = {setting: values[0] for setting, values in space.items()}
    rate, _ = tried(best)
    for setting, values in space.items():
        for value in values[1:]:
            config, left_s = best | {setting: value}, images / max(rate, 1e-9)
            if left_s < (WORTH_COMPILING_S if value in slow else WORTH_TRYING_S):
                report(Tried(part=part, config=config, skipped=f"not worth trying, {left_s:.0f} s are to run"))
                continue
            now, build_s = tried(config)
            pays = part == "frozen" or value not in slow or (now and left_s - images / now > build_s)
            if now and now >= rate * GAIN and pays:
                best, rate = config, now
    if not rate:
        raise RuntimeError(f"no way of the tuned lane ran; the first failed with {failures[0]}")
    return best, rate


def rate_of_frozen(extractor: Callable[[ExecutionConfig], Extractor], images: np.ndarray) -> Measure:
    """Measures the frozen part. images: uint8 [n, side, side, 3]; n a multiple of every micro batch."""

    def measure(config: ExecutionConfig) -> tuple[float, float]:
        began, size = time.perf_counter(), int(config.get("micro batch", 32))
        extract = extractor(config)
        extract(images[:size])
        built, done = time.perf_counter(), 0
        while time.perf_counter() - built < TIMED_S:
            at = done % len(images)
            extract(images[at : at + size])
            done += size
        return done / (time.perf_counter() - built), built - began

    return measure


def rate_of_training(trial: Trial, adapter: Optimizable) -> Measure:
    """Measures training steps of the trial, after which the model is as it was before."""

    def measure(config: ExecutionConfig) -> tuple[float, float]:
        state = trial.folder / TUNING / "state"
        state.parent.mkdir(exist_ok=True)
        adapter.save(trial.model, state)
        try:
            began = time.perf_counter()
            trial.execute_as(config)
            _step_s(trial, 1)
            build_s = time.perf_counter() - began
            step_s = _step_s(trial, LEAST_STEPS)
            if (more := min(STEPS, int(STEPS_S / step_s))) > LEAST_STEPS:
                step_s = _step_s(trial, more)
            return trial.spec.recipe.batch_size / step_s, build_s
        finally:
            adapter.restore(trial.model, state)
            adapter.run_as(trial.model, {}, None)
            shutil.rmtree(state.parent)

    return measure


def _step_s(trial: Trial, steps: int) -> float:
    """Seconds of a training step; the first one is not counted."""
    rows = np.resize(trial.plan.orders[0], steps * trial.spec.recipe.batch_size)
    feed = trial.feed(rows, trial.labels[rows], np.empty(0))
    watch, began = unwatched("train", feed.batches), time.perf_counter()
    trial.adapter.train_epoch(trial.model, feed, watch)
    trial.adapter.fence()
    return max(time.perf_counter() - began - watch.first_step_s, 1e-9) / max(steps - 1, 1)

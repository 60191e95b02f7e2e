"""What a check of an adapter works with: the adapter, a model, feeds, and ways to fail or to be skipped."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from common.core.errors import InputError
from common.core.events import Events
from common.core.framework_info import FrameworkInfo
from common.core.registry import framework_info
from common.core.specs import BuildSpec, ModelSpec, ProcessSpec, WeightsSpec
from common.data.chunk_store import ChunkStore, is_finished, save
from common.data.feed import Feed, Held
from common.data.receipts import fault, receipt
from common.trial.contract import Adapter, load_adapter
from common.trial.initial_weights import initialise
from common.trial.stopwatch import Watch

CLASSES, SIDE, IMAGES, BATCH = 5, 64, 10, 4  # two full batches and a short one
RATE = 1e-3
_RNG = np.random.default_rng(0)
PIXELS = _RNG.integers(0, 256, (IMAGES, SIDE, SIDE, 3), np.uint8)
LABELS = (_RNG.random((IMAGES, CLASSES)) < 0.4).astype(np.uint8)
ROWS = _RNG.permutation(IMAGES).astype(np.int32)  # the order of the feeds


class Skip(Exception):
    """The check does not apply to this adapter; the message is the reason."""


@dataclass(frozen=True)
class Context:
    """One adapter and one of its models. folder: empty, for one check alone; rng: the check's own, always the same."""

    adapter: Adapter
    info: FrameworkInfo
    model_spec: ModelSpec
    folder: Path
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))

    def build(self, **changes: Any) -> Any:
        """A new model with the head's initial weights. changes: fields of its BuildSpec."""
        spec = BuildSpec(
            model=self.model_spec, classes=CLASSES, side=SIDE, train="head", learning_rate=RATE, formulas="matched",
            preprocessing=self.adapter.preprocessing(self.model_spec),
        ).model_copy(update=changes)  # fmt: skip
        model = self.adapter.build(spec)
        initialise(self.adapter, model, WeightsSpec(source="random"), Path("/"), np.ones(CLASSES), 0, matched=True)
        return model

    def build_or_skip(self, **changes: Any) -> Any:
        """`build`. Skip where the adapter refuses the spec."""
        try:
            return self.build(**changes)
        except InputError as error:
            raise Skip(f"the adapter refuses it: {error}") from error

    def feed(self, train: bool, rows: np.ndarray = ROWS, workers: int = 0) -> Feed:
        """The rows of PIXELS from a store on disk; with labels to train, without them to predict."""
        if not is_finished(self.folder):
            save(self.folder, PIXELS)
        return Feed(ChunkStore(self.folder), rows, LABELS[rows] if train else None, BATCH, workers)

    def redrawn_norms(self, model: Any) -> dict[str, np.ndarray]:
        """The model's tensors with norms that are not the identity: wrong folding of an identity would change nothing, and
        random convolutions would fade to 1e-8."""
        return {
            name: (array * self.rng.uniform(0.8, 1.2, array.shape) + 0.1).astype(np.float32) if array.ndim == 1 else array
            for name, array in self.adapter.dump(model).items()
        }  # fmt: skip


def contexts(framework: str, model: str = "") -> Callable[[Path], Context]:
    """Load the adapter of a framework, once, and return a function of an empty folder -> Context.

    model: NAME or NAME:VARIANT; empty: the framework's default model, else its first.
    """
    info = framework_info(framework)
    name, _, variant = (model or next(iter([*info.DEFAULT_MODELS, *info.MODELS]))).partition(":")
    variants = info.MODELS[name].variants if name in info.MODELS else ()
    spec = ModelSpec(name=name, variant=variant or (variants[0] if variants else ""))
    adapter = load_adapter(info.NAME)(ProcessSpec(device="cpu", deterministic=False, threads=2, timeout_s=0), 0)
    return partial(Context, adapter, info, spec)


def features_feed(features: np.ndarray, train: bool, rows: np.ndarray = ROWS) -> Feed:
    """Like `Context.feed`, from features in memory in place of pixels."""
    return Feed(Held(features), rows, LABELS[rows] if train else None, BATCH, 0)


def new_watch(path: Path = Path(os.devnull), phase: str = "train") -> Watch:
    """The stopwatch of one pass; its events go to `path`."""
    return Watch(Events(path), phase, 1, 3)


def require(condition: object, message: str) -> None:
    """AssertionError with the message unless the condition holds; also under python -O."""
    if not condition:
        raise AssertionError(message)


def require_close(value: float, expected: float, relative: float, what: str) -> None:
    """AssertionError unless |value - expected| <= relative * |expected|."""
    require(
        abs(value - expected) <= max(relative * abs(expected), 1e-12),
        f"{what} is {value:.9g}, not {expected:.9g} (allowed relative error {relative:g})",
    )


def require_equal_arrays(value: np.ndarray, expected: np.ndarray, relative: float, what: str) -> None:
    """AssertionError unless the norm of the difference is at most `relative` of the norm of `expected`."""
    error, allowed = np.linalg.norm(value - expected), relative * np.linalg.norm(expected)
    require(error <= allowed, f"{what}: the difference has a norm of {error:.3g} (allowed {allowed:.3g})")


def require_plan(watch: Watch, images: np.ndarray) -> None:
    """AssertionError unless the steps of a pass over ROWS received these images [10, ...] with their labels, in that order."""
    found = fault(watch.receipts, receipt(images[ROWS], LABELS[ROWS].astype(np.float32), ROWS), BATCH)
    require(found == "", f"a training step did not receive the plan: {found}")


@dataclass(frozen=True)
class Check:
    """One check; `run` raises AssertionError (or any error of the adapter's) where it fails, and Skip."""

    name: str
    run: Callable[[Context], None]


class Checks(list[Check]):
    """Checks in the order in which they are defined."""

    def add(self, **cases: Iterable[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Add the decorated function; with a keyword, such as workers=(0, 2), once for each of its values."""

        def append(function: Callable[..., None]) -> Callable[..., None]:
            name = function.__name__
            if not cases:
                self.append(Check(name, function))
            for key, values in cases.items():
                self.extend(Check(f"{name}[{key}={value}]", partial(function, **{key: value})) for value in values)
            return function

        return append

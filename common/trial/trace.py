"""The CHILD's part of the parity gate: one framework's arithmetic on a few images, written down tensor by tensor.

Gradients are read off a real training step, in the framework's own idiom: plain gradient descent with a learning rate
of 2^20 moves every parameter by 2^20 times its gradient, which leaves no digit of the gradient behind the parameter's
own. So what is compared is what the step did, with no second way of computing it.
"""

import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from common.core.errors import InputError, listed
from common.core.parity_stages import (
    FORWARD,
    GRADIENTS,
    LOSS,
    OPTIMISER,
    STATISTICS,
    STEPS,
    TRAINING_FORWARD,
    WEIGHTS,
    WHOLE_STEPS,
    Precision,
    StageKind,
)
from common.core.specs import BuildSpec, WeightsSpec
from common.data.feed import Feed, Held
from common.process.questions import Trace
from common.trial.contract import Adapter
from common.trial.initial_weights import initialise
from common.trial.stopwatch import unwatched

LARGE = 2.0**20
MOVED = 1e-3  # see off_kinks
# Of the whole steps. At a trial's own 1e-3, rounding grows tenfold a step and more in a network that starts from random
# weights: ResNet-50's two frameworks, 1e-9 apart after one step, were 7e-5 apart after five; at 1e-5 they were 2e-9.
RATE = 1e-5
FACTORS = (1.0, -0.5, 1e-3, 2.0, 1e-6)  # of the recorded gradients, in the optimiser's five steps: large and tiny ones


def off_kinks(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors, every kernel moved by a thousandth of its size.

    Where two values under a max pool are equal, either may get the gradient. Pruned weights make such ties: on photographs
    two frameworks, equal to the last digit in the forward pass, differed by 1.3e-3 in the gradient of ResNet-50's stem.
    """
    found = {}
    for name, array in tensors.items():
        noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(array.shape)
        moved = array + MOVED * np.sqrt(np.mean(np.square(array))) * noise
        found[name] = moved.astype(np.float32).astype(array.dtype) if array.ndim > 1 else array
    return found


class Tracer:
    """Builds models of one spec in several forms, from the same initial weights, and keeps what they compute."""

    def __init__(self, adapter: Adapter, spec: BuildSpec, weights: WeightsSpec, pixels: np.ndarray, labels: np.ndarray):
        self.adapter, self.spec, self.weights = adapter, spec, weights
        self.pixels, self.labels, self.images = pixels, labels, len(pixels) // STEPS
        self.found: dict[str, np.ndarray] = {}
        self.facts: dict[str, dict[str, str]] = {}

    def start(self, **changes: Any) -> tuple[Any, dict[str, np.ndarray]]:
        """A new model with the initial weights, and these."""
        spec = self.spec.model_copy(update=changes)
        model = self.adapter.build(spec)
        odds = np.linspace(0.5, 2, spec.classes)  # the head's bias is then not zero, and shows in the logits
        initialise(self.adapter, model, self.weights, Path("/"), odds, 0, matched=spec.formulas == "matched")
        self.adapter.load(model, off_kinks(self.adapter.dump(model)))
        before = self.adapter.dump(model)
        if found := {str(array.dtype) for array in before.values()} - {spec.precision}:
            raise InputError(
                f"the model was to be built in {spec.precision}, and has tensors in {listed(sorted(found))}"
            )
        return model, before

    def step(self, model: Any, number: int) -> float:
        """One training step on the images of that number; its loss."""
        rows = np.arange((number - 1) * self.images, number * self.images, dtype=np.int32)
        feed = Feed(Held(self.pixels), rows, self.labels[rows], self.images, 0)
        return float(self.adapter.train_epoch(model, feed, unwatched("train", 1)))

    def keep(self, stage: StageKind, arrays: dict[str, np.ndarray]) -> None:
        self.found |= {stage.key(name): array for name, array in arrays.items()}

    def one_step(self, precision: Precision) -> float:
        """Forward in both modes, loss, gradients and running statistics, everything training. Returns the seconds of the
        third step, when nothing is built any more."""
        model, before = self.start(train="all", optimiser="sgd", learning_rate=LARGE, precision=precision)
        if precision == "float64":
            self.keep(WEIGHTS, {name: array.astype(np.float32) for name, array in before.items()})
            self.facts["everything trains"] = self._layers(model)
        images = self.pixels[: self.images]
        self.keep(FORWARD[precision], self.adapter.activations(model, images, training=False))
        if precision == "float64":
            self.keep(TRAINING_FORWARD, self.adapter.activations(model, images, training=True))
            self.adapter.load(model, before)
        loss, trained = self.step(model, 1), self.adapter.trainable(model)
        after = self.adapter.dump(model)
        gradients = {n: (before[n] - after[n]) / LARGE for n in before if n in trained}
        self.keep(LOSS[precision], {"loss": np.array([loss])})
        self.keep(GRADIENTS[precision], dict(reversed(gradients.items())))  # as they are computed: last layer first
        if precision == "float64":
            self.keep(STATISTICS, {n: after[n] - before[n] for n in before if n not in trained})
        for number in (2, 3):  # after the first `load`, JAX compiles once more
            self.adapter.load(model, before)
            began = time.perf_counter()
            self.step(model, number)
        return time.perf_counter() - began

    def optimiser(self, gradients: dict[str, np.ndarray]) -> None:
        """Five steps of the optimiser alone, on recorded gradients."""
        model, before = self.start(precision="float64", learning_rate=RATE)
        for stage, factor in zip(OPTIMISER, FACTORS, strict=True):
            self.adapter.apply(model, {name: array * factor for name, array in gradients.items()})
            self.keep(stage, self._moved(model, before, self.adapter.trainable(model)))

    def whole_steps(self) -> None:
        """Five training steps as a trial makes them, the frozen part frozen."""
        model, before = self.start(precision="float64", learning_rate=RATE)
        said = self.adapter.facts(model)
        self.facts["steps"] = self._layers(model) | {k: said[k] for k in ("optimiser", "loss")}
        for number, stage in enumerate(WHOLE_STEPS, start=1):
            self.step(model, number)
            self.keep(stage, self._moved(model, before, set(before)))

    def _layers(self, model: Any) -> dict[str, str]:
        said = self.adapter.layer_facts(model)
        return said | {"logits": said[self.adapter.head(model)[0].rpartition(".")[0]]}

    def _moved(self, model: Any, before: dict[str, np.ndarray], names: set[str]) -> dict[str, np.ndarray]:
        """By how much each tensor differs from its start; half the digits are enough for what is compared."""
        after = self.adapter.dump(model)
        return {name: (after[name] - before[name]).astype(np.float32) for name in before if name in names}


def trace(
    adapter: Adapter, spec: BuildSpec, weights: WeightsSpec, batch: Path, recorded: Path | None, target: Path
) -> Trace:
    """Everything that two frameworks are compared in, as arrays `stage/tensor` in `target`.

    batch: .npz of pixels uint8 [5 n, side, side, 3] and labels [5 n, classes]. recorded: the trace of the framework
    whose gradients the optimiser is fed with; None: its own. Returns facts by layer and seconds of a step.
    """
    with np.load(batch) as arrays:
        tracer = Tracer(adapter, spec, weights, arrays["pixels"], arrays["labels"])
    tracer.one_step("float64")
    step_s = tracer.one_step("float32")
    before = GRADIENTS["float64"].key("")
    source: Mapping[str, np.ndarray] = np.load(recorded) if recorded else tracer.found
    tracer.optimiser({name.removeprefix(before): source[name] for name in source if name.startswith(before)})
    tracer.whole_steps()
    with open(target, "wb") as stream:
        np.savez(stream, allow_pickle=False, **tracer.found)
    return Trace(step_s=step_s, facts=tracer.facts)

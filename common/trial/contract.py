"""What a trial asks of a framework: the protocols that adapters fulfil. Imports no framework.

Authors of adapters find these types in frameworks/contract.py.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from common.core.registry import framework_info
from common.core.specs import BuildSpec, ExecutionConfig, ModelSpec, Preprocessing, ProcessSpec, SearchSpace
from common.data.feed import Feed
from common.trial.stopwatch import Watch

Noted = tuple[dict[str, np.ndarray], Preprocessing, str]  # what `Adapter.export` returns, with a note for the user


class Adapter(Protocol):
    """How one framework builds, trains and predicts. One object per child process: of each rank, on several devices.

    Adapters never shuffle, balance, augment, choose a threshold, read a clock, score, print or write results;
    labels of the validation split never reach them.
    """

    def __init__(self, process: ProcessSpec, seed: int) -> None:
        """Set device, threads, determinism and every random generator. InputError: the device is not there."""

    def environment(self) -> dict[str, str]:
        """Versions, threads, device and flags in force, read from the framework."""

    def models(self) -> list[str]:
        """Every model name that `build` takes."""

    def build(self, spec: BuildSpec) -> Any:
        """Network (uint8 RGB [n, side, side, 3] in, logits [n, classes] out) and optimiser."""

    def head(self, model: Any) -> tuple[str, str]:
        """Canonical names of the last layer's weight [classes, features] and bias [classes]."""

    def trainable(self, model: Any) -> set[str]:
        """Canonical names of the tensors that training changes by gradient."""

    def dump(self, model: Any) -> dict[str, np.ndarray]:
        """All parameters and buffers under canonical names, in the model's precision and the canonical layout (O, I, H,
        W). Copies."""

    def load(self, model: Any, tensors: dict[str, np.ndarray]) -> None:
        """Set the named tensors; names and shapes are those of `dump`."""

    def train_epoch(self, model: Any, feed: Feed, watch: Watch) -> float:
        """One pass over the feed in its order, in the framework's own idiom. Returns the mean loss over images. Tells the
        watch what its steps took (common/data/receipts.py), computed from the very tensors that they trained on."""

    def receipt(self, model: Any, images: np.ndarray, labels: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """int64 [n, 3]: what `train_epoch` tells the watch of a step with this batch, by the same operations."""

    def validated(self, model: Any, loss: float) -> None:
        """The harness's validation loss of the epoch, for the learning rate's schedule."""

    def save(self, model: Any, path: Path) -> None:
        """Everything that is needed to go on after a kill as if there had been none: weights, optimiser, schedule,
        random state."""

    def restore(self, model: Any, path: Path) -> None:
        """Put back what `save` wrote, into a model built from the same spec."""

    def predict(self, model: Any, feed: Feed, watch: Watch) -> np.ndarray:
        """Logits [feed.images, classes] in the feed's order, in inference mode."""

    def activations(self, model: Any, pixels: np.ndarray, training: bool) -> dict[str, np.ndarray]:
        """For the parity gate: what each layer makes of uint8 [n, side, side, 3], in the order of the computation, by
        canonical name, [n, h, w, c] or [n, features]; first "input", the preprocessed pixels, last "logits". Layers
        with parameters are all there, blocks where they have a name. training: in the mode of a training step."""

    def apply(self, model: Any, gradients: dict[str, np.ndarray]) -> None:
        """For the parity gate: one step of the optimiser with these gradients, by canonical name."""

    def layer_facts(self, model: Any) -> dict[str, str]:
        """For the parity gate: "input" and each layer with parameters in words, read from live objects."""

    def facts(self, model: Any) -> dict[str, Any]:
        """What is in force, read from live objects, never from the spec. `parameters`, `trainable_parameters`
        and `gmac` (forward, one image) are numbers; the rest is words, compared between rows as they are: `precision`,
        `optimiser` and `loss` are always there."""

    def fence(self) -> None:
        """Return when all work handed to the device is done."""

    def peak_device_bytes(self) -> int:
        """Highest device memory in use since the process began; 0 without a device."""

    def preprocessing(self, model: ModelSpec) -> Preprocessing:
        """What the library does to an image before the model with the library's own weights."""

    def export(self, model: ModelSpec, source: str) -> tuple[dict[str, np.ndarray], Preprocessing] | Noted:
        """Canonical tensors of `source` ('imagenet': the library's own loader; else a file that READS names),
        and the preprocessing that belongs to them; with a sentence where something had to be chosen, e.g. of two copies."""


@runtime_checkable
class Optimizable(Adapter, Protocol):
    """An adapter that offers the tuned lane, the same mathematics as fast as the framework can do it.

    A way is a value for each setting; the first of a setting's values is where the search begins. "micro batch" means
    something to the harness: how many images `extractor` is called with; the largest is a multiple of the others.
    """

    SLOW: tuple[str, ...]  # values that may take half a minute to build: tried only where they can pay back

    def frozen_ways(self, model: Any) -> SearchSpace:
        """Setting -> values for the frozen part; empty where nothing is frozen, or where it ends is not known."""

    def extractor(self, model: Any, way: ExecutionConfig, dtype: str) -> Callable[[np.ndarray], np.ndarray]:
        """A function of uint8 [n, side, side, 3] -> dtype [n, ...]: the frozen part, in inference mode."""

    def training_ways(self, model: Any, from_features: bool) -> SearchSpace:
        """Setting -> values for what trains; empty where there is nothing to choose. from_features: the frozen part is
        not run with it."""

    def run_as(self, model: Any, way: ExecutionConfig, example: np.ndarray | None) -> None:
        """From now on `train_epoch` and `predict` run in this way ({}: as in the default lane), on batches of features like
        the example [1, ...] (None: of pixels). Weights, optimiser and names stay as they are."""


@runtime_checkable
class Normalising(Adapter, Protocol):
    """An adapter whose networks have batch norm."""

    def fewest_normalised(self, model: Any) -> int:
        """Over how few values in each channel a batch norm normalises in a training step with one image, at the side that the
        model was built for: the fewest of all those that normalise by the batch; 0 where none does."""


@runtime_checkable
class Measurable(Adapter, Protocol):
    """An adapter that offers the pieces of `--ceilings`. `facts` then has `gmac_trained`, the part of
    `gmac` that trains."""

    def consume(self, feed: Feed) -> None:
        """Take every batch of the feed from the framework's own loader, and do nothing with it."""

    def products(self, precision: str) -> dict[str, tuple[float, Callable[[], Any]]]:
        """Matrix products and convolutions in that precision, by name: floating-point operations of a call, and the call,
        which returns when the work is done."""


def load_adapter(name: str) -> type[Adapter]:
    """The `Adapter` class of a framework. This imports the framework: only a child process does so."""
    return importlib.import_module(f"{framework_info(name).__name__}.adapter").Adapter

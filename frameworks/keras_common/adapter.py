"""Keras 3 behind the contract, on whatever backend: Model.fit over a PyDataset, as its guides do it."""

from abc import abstractmethod
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from common.feed import Feed
from common.types import BuildSpec, Way
from common.watch import FORWARD, Watch
from frameworks.keras_common import models, optimisers, tuned, weights
from frameworks.keras_common.data import Batches, Tell

EXPORT_SIDE = 224
DRIFT_NOT = "Keras keeps frozen batch norm in inference mode; its ResNet has no dropout before the last block"
PLATEAU_STATE = ("best", "wait", "cooldown_counter")
Form = namedtuple("Form", "dtype shape")


class Observed(keras.Model):
    """A model whose training step tells the watch what it has taken.

    Model.fit hands data to the step inside a compiled function, and reads batches that it never trains on, so neither
    a callback nor the PyDataset can tell. Each backend's subclass calls `tell` from within the step.
    """

    watch: Any = None
    images_taken: int = 0  # in the last step
    tells_parts: bool = True

    def tell(self, receipt: np.ndarray) -> None:
        """receipt: int64 [n, 3], computed from the step's own tensors."""
        n, classes, given = len(receipt), self.output_shape[-1], self.inputs[0]
        self.images_taken = n
        images, labels = Form(given.dtype, (n, *given.shape[1:])), Form("float32", (n, classes))
        self.watch.received(images, labels, Form("int64", (n,)))
        self.watch.took(receipt)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:  # fmt: skip
        """The forward pass is done: the step's other parts are inside one compiled function."""
        if self.watch is not None and self.tells_parts:
            y_pred = self.forward_done(y_pred)
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def forward_done(self, y_pred: Any) -> Any:
        """y_pred, once the watch has been told that it is there."""
        self.watch.part(FORWARD)
        return y_pred

    def settle(self) -> None:
        """Wait until `tell` has been called for every step that was handed over."""


class Model:
    """A compiled network, the architecture whose names its tensors bear, and the learning rate's schedule."""

    def __init__(self, network: Observed, spec: BuildSpec):
        self.network, self.architecture, self.spec = network, spec.model.name, spec
        self.runs = network  # in steps and predictions: the network, or what trains of it
        self.plateau = None
        if spec.schedule == "plateau":  # Keras's patience counts one epoch less than torch's: 3 is torch's 2
            self.plateau = keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.1, patience=3, min_delta=1e-4)
            self.plateau.set_model(network)
            self.plateau.on_train_begin()

    def name_of(self, layer: str) -> str:
        return weights.layer_name(self.architecture, layer)


class KerasAdapter:
    """See frameworks/contract.py. What depends on the backend is each framework's own."""

    Network: type[Observed]
    jit = False

    @abstractmethod
    def backend_facts(self, network: Observed) -> dict[str, str]:
        """Precision flags, compilation and determinism, read from the backend and the network."""

    def models(self) -> list[str]:
        return models.names()

    def build(self, spec: BuildSpec) -> Model:
        network = models.build(spec, self.Network)
        loss = models.loss(spec.positive_weights)
        optimiser = optimisers.optimiser(spec)
        optimiser.build(network.trainable_variables)
        _compile(network, optimiser, loss, self.jit)
        return Model(network, spec)

    def head(self, model: Model) -> tuple[str, str]:
        name = model.network.layers[-1].name
        return f"{name}.weight", f"{name}.bias"

    def trainable(self, model: Model) -> set[str]:
        trained = {id(v) for v in model.network.trainable_variables}
        found = weights.variables(model.network, model.architecture)
        return {name for name, (_, variable, _) in found.items() if id(variable) in trained}

    def dump(self, model: Model) -> dict[str, np.ndarray]:
        return weights.dump(model.network, model.architecture)

    def load(self, model: Model, tensors: dict[str, np.ndarray]) -> None:
        weights.load(model.network, model.architecture, tensors)

    def train_epoch(self, model: Model, feed: Feed, watch: Watch) -> float:
        model.runs.watch = watch
        history = model.runs.fit(Batches(feed), epochs=1, shuffle=False, verbose=0, callbacks=[Tell(watch)])
        return history.history["loss"][0]

    def validated(self, model: Model, loss: float) -> None:
        if model.plateau:  # fit never sees the validation split, so its callback is told here
            model.plateau.on_epoch_end(0, {"val_loss": loss})

    def save(self, model: Model, path: Path) -> None:
        plateau = {k: vars(model.plateau)[k] for k in PLATEAU_STATE} if model.plateau else {}
        with open(path, "wb") as stream:
            np.savez(
                stream,
                **{f"variable{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(_state(model.network))},
                **plateau,
            )

    def restore(self, model: Model, path: Path) -> None:
        with np.load(path) as arrays:
            for i, variable in enumerate(_state(model.network)):
                variable.assign(arrays[f"variable{i}"])
            for key in PLATEAU_STATE if model.plateau else ():
                setattr(model.plateau, key, arrays[key].item())

    def predict(self, model: Model, feed: Feed, watch: Watch) -> np.ndarray:
        return model.runs.predict(Batches(feed), verbose=0, callbacks=[Tell(watch)])

    def consume(self, feed: Feed) -> None:
        batches = Batches(feed)
        for index in range(batches.num_batches):
            batches[index]

    def products(self, precision: str) -> dict[str, tuple[float, Callable[[], Any]]]:
        return tuned.products(precision, self.jit)

    def frozen_ways(self, model: Model) -> dict[str, tuple[str | int, ...]]:
        spec = model.spec
        frozen = spec.train != "all" and spec.frozen_norm == "inference" and tuned.cut(model.network) is not None
        return tuned.FROZEN if frozen else {}

    def extractor(self, model: Model, way: Way) -> Callable[[np.ndarray], np.ndarray]:
        return tuned.extractor(model.network, way)

    def training_ways(self, model: Model, from_features: bool) -> dict[str, tuple[str | int, ...]]:
        head_alone = from_features and model.spec.train == "head"
        return {} if head_alone else tuned.TRAINED

    def run_as(self, model: Model, way: Way, example: np.ndarray | None) -> None:
        network = model.network
        plain = {"precision": "float32", "compiler": "XLA" if self.jit else "none"}
        model.runs = tuned.rest(network, self.Network, plain | way, example)
        if example is not None and example.ndim == 2:
            model.runs.tells_parts = False  # a head's step is shorter than the telling

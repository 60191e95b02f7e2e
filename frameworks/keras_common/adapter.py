"""Keras 3 behind the contract, on whatever backend: Model.fit over a PyDataset, as its guides do it."""

from abc import abstractmethod
from collections import namedtuple
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np

from common.core.errors import InputError
from common.core.events import FORWARD
from common.core.results import NOT_AS_THE_RECIPE_SAYS
from common.core.specs import BuildSpec, ExecutionConfig, ModelSpec, Preprocessing, SearchSpace
from common.data.feed import Feed
from common.trial.stopwatch import Watch
from frameworks.contract import EFFICIENTNET_LITE0
from frameworks.keras_common import models, optimisers, tuned, weights
from frameworks.keras_common.data import Batches, Tell, nothing_of

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
        if self.watch is not None and self.watch.takes_apart and self.tells_parts:
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
    # What jit_compile may be for the frozen part and for a training step; the first: the default lane's.
    compilers: tuple[tuple[str, ...], tuple[str, ...]] = (("none",), ("none",))

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """See frameworks/contract.py."""

    @abstractmethod
    def backend_facts(self, network: Observed) -> dict[str, str]:
        """Precision flags, compilation and determinism, read from the backend and the network."""

    def models(self) -> list[str]:
        return models.names()

    def scope(self) -> AbstractContextManager:
        """Where a network is made: on several devices, what keeps its variables on each."""
        return nullcontext()

    def _kind(self) -> str:
        return "cpu" if self.environment()["device"].startswith("cpu") else "cuda"

    def build(self, spec: BuildSpec) -> Model:
        with self.scope():
            network = models.build(spec, self.Network)
            loss = models.loss(spec.positive_weights)
            optimiser = optimisers.optimiser(spec)
            optimiser.build(network.trainable_variables)
            _compile(network, optimiser, loss, self.compilers[1][0] != "none")
        # A GPU does its work later than it is told to: there a step is not taken apart.
        network.tells_parts = self.Network.tells_parts and self._kind() == "cpu"
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
        pixels = feed.item(0)[0]
        nothing_of(pixels.shape, str(pixels.dtype)).predict(Batches(feed), verbose=0)

    def products(self, precision: str) -> dict[str, tuple[float, Callable[[], Any]]]:
        return tuned.products(precision, self.compilers[0][0] != "none")

    SLOW: tuple[str, ...] = tuned.SLOW

    def frozen_ways(self, model: Model) -> SearchSpace:
        spec = model.spec
        frozen = spec.train != "all" and spec.frozen_norm == "inference" and tuned.cut(model.network) is not None
        return tuned.frozen_ways(self._kind(), self.compilers[0]) if frozen else {}

    def extractor(self, model: Model, way: ExecutionConfig, dtype: str) -> Callable[[np.ndarray], np.ndarray]:
        return tuned.extractor(model.network, way, dtype)

    def training_ways(self, model: Model, from_features: bool) -> SearchSpace:
        head_alone = from_features and model.spec.train == "head"
        return {} if head_alone else tuned.TRAINED_WAYS | {"compiler": self.compilers[1]}

    def run_as(self, model: Model, way: ExecutionConfig, example: np.ndarray | None) -> None:
        network = model.network
        way = {"precision": "float32", "compiler": self.compilers[1][0], **way}
        model.runs = tuned.rest(network, self.Network, way, example)
        # A head's step is shorter than the telling.
        model.runs.tells_parts = network.tells_parts and (example is None or example.ndim == 4)
        _compile(model.runs, network.optimizer, network.loss, way["compiler"] != "none")

    def activations(self, model: Model, pixels: np.ndarray, training: bool) -> dict[str, np.ndarray]:
        return models.activations(model.network, pixels, training, model.name_of)

    def apply(self, model: Model, gradients: dict[str, np.ndarray]) -> None:
        found = weights.variables(model.network, model.architecture)
        names = {id(variable): (name, layer, suffix) for name, (layer, variable, suffix) in found.items()}
        values = []
        for variable in model.network.trainable_variables:
            name, layer, suffix = names[id(variable)]
            value = weights.from_canonical(layer, gradients[name], tuple(variable.shape), suffix)
            values.append(keras.ops.convert_to_tensor(value, variable.dtype))
        model.network.optimizer.apply(values, model.network.trainable_variables)

    def layer_facts(self, model: Model) -> dict[str, str]:
        return models.layer_facts(model.network, model.name_of)

    def fewest_normalised(self, model: Model) -> int:
        return models.fewest_normalised(model.network)

    def facts(self, model: Model) -> dict[str, Any]:
        network = model.network
        leaves = models.leaves(network)
        norms = [layer for layer in leaves if isinstance(layer, keras.layers.BatchNormalization)]
        moving, forms = models.moving_norms(network), sorted({models.norm_words(layer) for layer in norms})
        dropouts = [layer.rate for layer in leaves if isinstance(layer, keras.layers.Dropout)]
        frozen_body = not any(layer.trainable_variables for layer in network.layers[:-1])  # runs in inference mode
        return {
            "parameters": sum(int(np.prod(v.shape)) for layer in leaves for v in _parameters(layer)),
            "trainable_parameters": sum(int(np.prod(v.shape)) for v in network.trainable_variables),
            "gmac": models.gmac(models.leaves(network)),
            "gmac_trained": models.gmac([layer for layer in models.leaves(network) if layer.trainable]),
            "precision": models.precision_words(network),
            "initialisation": "of Keras's layers",
            "layout": models.layout_words(network),
            "optimiser": optimisers.words(network.optimizer),
            "loss": models.loss_words(network.loss),
            "batch norm": "; ".join([f"{moving} of {len(norms)} in training mode", *forms]),
            "dropout": ", ".join(f"{rate:g}" for rate in dropouts if not frozen_body) or "none",
            "schedule": "ReduceLROnPlateau, patience 3 (torch's 2), threshold absolute"
            if model.plateau
            else "constant",
            "loader": "PyDataset; workers are threads, at least two",
            **self.backend_facts(network),
        } | ({NOT_AS_THE_RECIPE_SAYS: DRIFT_NOT} if model.spec.frozen_norm == "drift" else {})

    def preprocessing(self, model: ModelSpec) -> Preprocessing:
        lite = model.name == models.LITE
        return EFFICIENTNET_LITE0.preprocessing if lite else models.library_preprocessing(model)

    def export(self, model: ModelSpec, source: str) -> tuple[dict[str, np.ndarray], Preprocessing]:
        if source != "imagenet":
            body = models.body_from_file(model, EXPORT_SIDE, source)
        elif model.name not in models.applications() or model.variant not in ("", "v1"):
            raise InputError(f"keras.applications has no {source} weights for {model}")
        else:
            body = models.library_body(model.name, EXPORT_SIDE, weights="imagenet")
        return weights.dump(body, model.name), self.preprocessing(model)


def _compile(network: Observed, optimiser: keras.optimizers.Optimizer, loss: keras.losses.Loss, jit: bool) -> None:
    network.compile(optimizer=optimiser, loss=loss, jit_compile=jit)
    # Unless its loss is built, `fit` takes the first batch from the queue to build it, and on torch and jax does not
    # put it back: the first epoch then trained on the batches 2, 3, ..., 1, as the receipts showed.
    nothing = keras.ops.zeros((1, network.output_shape[-1]))
    network.compute_loss(y=nothing, y_pred=nothing)


def _state(network: Observed) -> list[keras.Variable]:
    """Weights, statistics, random state, and the optimiser's moments, step and learning rate."""
    return [*network.variables, *network.optimizer.variables]


def _parameters(layer: keras.layers.Layer) -> list[keras.Variable]:
    """What training could change, frozen or not: without batch norm's statistics and random state."""
    if isinstance(layer, keras.layers.Normalization):
        return []  # the library's constants
    buffers = {"moving_mean", "moving_variance"}
    return [v for v in layer.weights if v.name not in buffers and "seed_generator" not in v.path]

"""TensorFlow through Keras 3 behind the contract: Model.fit over a PyDataset, float32, as its guides do it."""

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.config import is_op_determinism_enabled

from common.errors import InputError
from common.feed import Feed
from common.types import BuildSpec, ModelSpec, Preprocessing, ProcessSpec
from common.watch import Watch
from frameworks.tensorflow_keras import MODELS, models, weights
from frameworks.tensorflow_keras.data import Batches, Tell

EXPORT_SIDE = 224
DRIFT_NOT = "Keras keeps frozen batch norm in inference mode; its ResNet has no dropout before the last block"
PLATEAU_STATE = ("best", "wait", "cooldown_counter")


class Model:
    """A compiled network, the architecture whose names its tensors bear, and the learning rate's schedule."""

    def __init__(self, network: models.Observed, spec: BuildSpec):
        self.network, self.architecture, self.spec = network, spec.model.name, spec
        self.plateau = None
        if spec.schedule == "plateau":  # Keras's patience counts one epoch less than torch's: 3 is torch's 2
            self.plateau = keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.1, patience=3, min_delta=1e-4)
            self.plateau.set_model(network)
            self.plateau.on_train_begin()


class Adapter:
    """See frameworks/contract.py."""

    def __init__(self, process: ProcessSpec, seed: int) -> None:
        gpus = tf.config.list_physical_devices("GPU")
        if process.device == "cuda" and not gpus:
            raise InputError("TensorFlow sees no CUDA device; take --device cpu, or install tensorflow[and-cuda]")
        if process.device == "cpu":
            tf.config.set_visible_devices([], "GPU")  # also where no variable hides it: a trial repeated alone
        for gpu in gpus if process.device == "cuda" else ():
            tf.config.experimental.set_memory_growth(gpu, True)  # else it takes all of the GPU's memory
        tf.config.threading.set_intra_op_parallelism_threads(process.threads)
        tf.config.threading.set_inter_op_parallelism_threads(process.threads)
        tf.config.experimental.enable_tensor_float_32_execution(False)  # one setting for all frameworks
        keras.utils.set_random_seed(seed)
        if process.deterministic:
            tf.config.experimental.enable_op_determinism()
        self.device = process.device

    def environment(self) -> dict[str, str]:
        threading = tf.config.threading
        words = "cuda" if tf.config.get_visible_devices("GPU") else "cpu"
        if words == "cuda":
            details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
            words += f" ({details.get('device_name', 'unnamed')})"
        return {
            "framework": f"tensorflow {tf.__version__}, keras {keras.__version__}",
            "device": words,
            "threads": f"{threading.get_intra_op_parallelism_threads()} intra-op, "
            f"{threading.get_inter_op_parallelism_threads()} inter-op",
            "cpu kernels": f"oneDNN {'off' if os.environ.get('TF_ENABLE_ONEDNN_OPTS') == '0' else 'on (default)'}",
        }

    def models(self) -> list[str]:
        return models.names()

    def build(self, spec: BuildSpec) -> Model:
        network = models.build(spec)
        network.compile(
            optimizer=keras.optimizers.Adam(spec.learning_rate),
            loss=models.loss(spec.positive_weights),
            jit_compile=False,
        )
        network.optimizer.build(network.trainable_variables)
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
        model.network.watch = watch
        history = model.network.fit(Batches(feed), epochs=1, shuffle=False, verbose=0, callbacks=[Tell(watch)])
        return history.history["loss"][0]

    def validated(self, model: Model, loss: float) -> None:
        if model.plateau:  # fit never sees the validation split, so its callback is told here
            model.plateau.on_epoch_end(0, {"val_loss": loss})

    def save(self, model: Model, path: Path) -> None:
        plateau = {k: vars(model.plateau)[k] for k in PLATEAU_STATE} if model.plateau else {}
        with open(path, "wb") as stream:
            np.savez(stream, **{f"variable{i}": v.numpy() for i, v in enumerate(_state(model.network))}, **plateau)

    def restore(self, model: Model, path: Path) -> None:
        with np.load(path) as arrays:
            for i, variable in enumerate(_state(model.network)):
                variable.assign(arrays[f"variable{i}"])
            for key in PLATEAU_STATE if model.plateau else ():
                setattr(model.plateau, key, arrays[key].item())

    def predict(self, model: Model, feed: Feed, watch: Watch) -> np.ndarray:
        return model.network.predict(Batches(feed), verbose=0, callbacks=[Tell(watch)])

    def facts(self, model: Model) -> dict[str, Any]:
        network, optimiser = model.network, model.network.optimizer
        leaves = models.leaves(network)
        norms = [layer for layer in leaves if isinstance(layer, keras.layers.BatchNormalization)]
        moving = sum(layer.trainable for layer in norms)
        dropouts = [layer.rate for layer in leaves if isinstance(layer, keras.layers.Dropout)]
        frozen_body = not any(layer.trainable_variables for layer in network.layers[:-1])  # runs in inference mode
        return {
            "parameters": sum(int(np.prod(v.shape)) for layer in leaves for v in _parameters(layer)),
            "trainable_parameters": sum(int(np.prod(v.shape)) for v in network.trainable_variables),
            "gmac": models.gmac(network),
            "precision": str(network.trainable_variables[0].dtype),
            "TF32": "matrix products {0}, convolutions {0}".format(
                "on" if tf.config.experimental.tensor_float_32_execution_enabled() else "off"
            ),
            "initialisation": "of Keras's layers",
            "layout": keras.config.image_data_format().replace("_", " "),
            "compiled": f"tf.function, XLA {'on' if network.jit_compile else 'off'}",
            "optimiser": f"Adam, learning rate {float(optimiser.learning_rate):g}, betas {(optimiser.beta_1, optimiser.beta_2)}, "
            f"eps {optimiser.epsilon:g} added to the uncorrected sqrt(v)",
            "batch norm": f"{moving} of {len(norms)} in training mode"
            + (
                f", eps {norms[0].epsilon:g}, momentum {1 - norms[0].momentum:g} of the new value, running variance biased"
                if norms
                else ""
            ),
            "dropout": ", ".join(f"{rate:g}" for rate in dropouts if not frozen_body) or "none",
            "schedule": "ReduceLROnPlateau, patience 3 (torch's 2), threshold absolute"
            if model.plateau
            else "constant",
            "loader": "PyDataset; workers are threads, at least two",
            "deterministic kernels": str(is_op_determinism_enabled()),
        } | ({"not as the recipe says": DRIFT_NOT} if model.spec.frozen_norm == "drift" else {})

    def fence(self) -> None:
        if self.device == "cuda":
            tf.test.experimental.sync_devices()

    def peak_device_bytes(self) -> int:
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] if self.device == "cuda" else 0

    def preprocessing(self, model: ModelSpec) -> Preprocessing:
        return MODELS[model.name].preprocessing if model.name == models.LITE else models.library_preprocessing(model)

    def export(self, model: ModelSpec, source: str) -> tuple[dict[str, np.ndarray], Preprocessing]:
        if source != "imagenet":
            body = models.body_from_file(model, EXPORT_SIDE, source)
        elif model.name == models.LITE:
            raise InputError(f"keras.applications has no {source} weights for {model.name}")
        else:
            body = models.make_body(model, EXPORT_SIDE, weights="imagenet")
        return weights.dump(body, model.name), self.preprocessing(model)


def _state(network: models.Observed) -> list[keras.Variable]:
    """Weights, statistics, random state, and the optimiser's moments, step and learning rate."""
    return [*network.variables, *network.optimizer.variables]


def _parameters(layer: keras.layers.Layer) -> list[keras.Variable]:
    """What training could change, frozen or not: without batch norm's statistics and random state."""
    if isinstance(layer, keras.layers.Normalization):
        return []  # the library's constants
    buffers = {"moving_mean", "moving_variance"}
    return [v for v in layer.weights if v.name not in buffers and "seed_generator" not in v.path]

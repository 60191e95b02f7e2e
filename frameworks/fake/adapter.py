"""Logistic regression in NumPy behind the same contract as the real frameworks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from common.core.errors import InputError
from common.core.specs import BuildSpec, ExecutionConfig, ModelSpec, Preprocessing, ProcessSpec, SearchSpace
from common.data.feed import Feed
from common.data.receipts import receipt
from common.trial.loss import bce_with_logits
from common.trial.stopwatch import Watch
from frameworks.contract import Measurable, Optimizable
from frameworks.fake import MODELS
from frameworks.fake.faults import AT_STEP, FAULTY_STEP, asked

GRID = 4  # mean colours of a 4 x 4 grid: 48 features
HEAD = ("head.weight", "head.bias")
PATIENCE = 2


class Logistic:
    """weight [classes, features] and bias [classes], trained by plain gradient descent."""

    def __init__(self, spec: BuildSpec):
        self.kind, self.side, self.learning_rate = spec.model.name, spec.side, spec.learning_rate
        self.mean, self.std = np.array(spec.preprocessing.mean), np.array(spec.preprocessing.std)
        self.positive_weights = np.array(spec.positive_weights, np.float32) if spec.positive_weights else None
        self.plateau = Plateau() if spec.schedule == "plateau" else None
        self.weight = np.zeros((spec.classes, GRID * GRID * 3), spec.precision)
        self.bias = np.zeros(spec.classes, spec.precision)
        self.epoch = 0
        # Pixels to features; in the tuned lane batches hold features already.
        self.given: Callable[[np.ndarray], np.ndarray] = self.features

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 [n, h, w, 3] -> [n, 48] around 0, in the weights' precision."""
        cut = self.side // GRID
        x = pixels[:, : cut * GRID, : cut * GRID].reshape(len(pixels), GRID, cut, GRID, cut, 3)
        means = (x.mean(axis=(2, 4), dtype=np.float64) - self.mean) / self.std
        return (means.reshape(len(pixels), -1) / 128 - 1).astype(self.weight.dtype)

    def logits(self, x: np.ndarray) -> np.ndarray:
        return x @ self.weight.T + self.bias


class Plateau:
    """A tenth of the learning rate once the loss has not fallen for two epochs: torch's ReduceLROnPlateau(patience=2)."""

    def __init__(self) -> None:
        self.best, self.waited = np.inf, 0

    def factor(self, loss: float) -> float:
        if loss < self.best * (1 - 1e-4):
            self.best, self.waited = loss, 0
            return 1.0
        self.waited += 1
        if self.waited <= PATIENCE:
            return 1.0
        self.waited = 0
        return 0.1


class Adapter:
    """See frameworks/contract.py."""

    def __init__(self, process: ProcessSpec, seed: int) -> None:
        if process.device != "cpu":
            raise InputError(f"the fake framework has no device '{process.device}'; there is: cpu")

    def environment(self) -> dict[str, str]:
        return {"framework": f"NumPy {np.__version__}", "device": "cpu"}

    def models(self) -> list[str]:
        return list(MODELS)

    def build(self, spec: BuildSpec) -> Logistic:
        return Logistic(spec)

    def head(self, model: Logistic) -> tuple[str, str]:
        return HEAD

    def trainable(self, model: Logistic) -> set[str]:
        return set(HEAD)

    def dump(self, model: Logistic) -> dict[str, np.ndarray]:
        return {HEAD[0]: model.weight.copy(), HEAD[1]: model.bias.copy()}

    def load(self, model: Logistic, tensors: dict[str, np.ndarray]) -> None:
        kind = model.weight.dtype
        model.weight, model.bias = tensors[HEAD[0]].astype(kind), tensors[HEAD[1]].astype(kind)

    def train_epoch(self, model: Logistic, feed: Feed, watch: Watch) -> float:
        total = 0.0
        last = feed.batches - (model.kind == "skip")
        for step, (pixels, labels, ids) in enumerate(watch.fetch(map(feed.batch, range(last))), start=1):
            watch.received(pixels, labels, ids)
            watch.took(receipt(pixels, labels, ids))
            asked(f"{watch.epoch}:{step}")
            if step == FAULTY_STEP and model.kind in AT_STEP:
                AT_STEP[model.kind]()
            x = model.given(pixels)
            z = model.logits(x)
            loss = float("nan") if model.kind == "nan" else bce_with_logits(z, labels, model.positive_weights)
            p, w = 1 / (1 + np.exp(-z)), 1 if model.positive_weights is None else model.positive_weights
            error = ((1 - labels) * p - labels * w * (1 - p)) / labels.size
            model.weight -= model.learning_rate * error.T @ x
            model.bias -= model.learning_rate * error.sum(axis=0)
            total += loss * len(pixels)
            watch.stepped(len(pixels), loss)
        if model.kind == "worse":
            model.bias += 1
        model.epoch = watch.epoch
        return total / feed.images

    def receipt(self, model: Logistic, images: np.ndarray, labels: np.ndarray, ids: np.ndarray) -> np.ndarray:
        return receipt(images, labels, ids)

    def validated(self, model: Logistic, loss: float) -> None:
        if model.plateau:
            model.learning_rate *= model.plateau.factor(loss)

    def save(self, model: Logistic, path: Path) -> None:
        plateau = (model.plateau.best, model.plateau.waited) if model.plateau else ()
        with open(path, "wb") as stream:
            stream.write(b"half a checkpoint")
            stream.flush()
            asked(f"save:{model.epoch}")
            stream.seek(0)
            np.savez(stream, weight=model.weight, bias=model.bias, learning_rate=model.learning_rate, plateau=plateau)

    def restore(self, model: Logistic, path: Path) -> None:
        with np.load(path) as arrays:
            model.weight, model.bias = arrays["weight"], arrays["bias"]
            model.learning_rate = float(arrays["learning_rate"])
            if model.plateau:
                model.plateau.best, model.plateau.waited = float(arrays["plateau"][0]), int(arrays["plateau"][1])

    def predict(self, model: Logistic, feed: Feed, watch: Watch) -> np.ndarray:
        parts = []
        for (pixels,) in watch.fetch(map(feed.batch, range(feed.batches))):
            parts.append(model.logits(model.given(pixels)))
            watch.stepped(len(pixels))
        return np.concatenate(parts)[: feed.images - (model.kind == "lie")]

    def consume(self, feed: Feed) -> None:
        for index in range(feed.batches):
            feed.batch(index)

    def products(self, precision: str) -> dict[str, tuple[float, Callable[[], Any]]]:
        if precision != "float32":
            return {}
        a = np.ones((512, 512), np.float32)
        return {"matrix product 512": (2.0 * 512**3, lambda: a @ a)}

    SLOW: tuple[str, ...] = ("another",)

    def frozen_ways(self, model: Logistic) -> SearchSpace:
        return {"precision": ("float32", "float16"), "micro batch": (32, 8)}

    def extractor(self, model: Logistic, way: ExecutionConfig, dtype: str) -> Callable[[np.ndarray], np.ndarray]:
        scale = 3.0 if model.kind == "untrue" else 1.0
        if lacking := self.frozen_ways(model).keys() - way.keys():
            raise KeyError(f"the way leaves open: {', '.join(lacking)}")

        def extract(pixels: np.ndarray) -> np.ndarray:
            asked("features")
            return (scale * model.features(pixels).astype(str(way["precision"]))).astype(dtype)

        return extract

    def training_ways(self, model: Logistic, from_features: bool) -> SearchSpace:
        return {"precision": ("float32", "float16"), "compiler": ("none", "another")}

    def run_as(self, model: Logistic, way: ExecutionConfig, example: np.ndarray | None) -> None:
        if way.get("precision") == "float16":
            raise ValueError("the fake framework trains in float32 alone")
        model.given = model.features if example is None else lambda features: features.astype(model.weight.dtype)

    def activations(self, model: Logistic, pixels: np.ndarray, training: bool) -> dict[str, np.ndarray]:
        x = model.features(pixels)
        return {"input": x, "head": model.logits(x), "logits": model.logits(x)}

    def apply(self, model: Logistic, gradients: dict[str, np.ndarray]) -> None:
        model.weight -= model.learning_rate * gradients[HEAD[0]]
        model.bias -= model.learning_rate * gradients[HEAD[1]]

    def layer_facts(self, model: Logistic) -> dict[str, str]:
        return {"input": f"mean colours of a {GRID} x {GRID} grid", "head": "linear, bias"}

    def fewest_normalised(self, model: Logistic) -> int:
        return int(model.kind == "norm")

    def facts(self, model: Logistic) -> dict[str, Any]:
        parameters = model.weight.size + model.bias.size
        return {
            "parameters": parameters,
            "trainable_parameters": parameters,
            "gmac": model.weight.size / 1e9,
            "gmac_trained": model.weight.size / 1e9,
            "precision": str(model.weight.dtype),
            "optimiser": f"gradient descent, learning rate {model.learning_rate:g}"
            + ("" if model.given == model.features else ", over features"),
            "loss": "binary cross-entropy from logits, mean over images",
        }

    def fence(self) -> None:
        pass

    def peak_device_bytes(self) -> int:
        return 0

    def preprocessing(self, model: ModelSpec) -> Preprocessing:
        return MODELS[model.name].preprocessing

    def export(self, model: ModelSpec, source: str) -> tuple[dict[str, np.ndarray], Preprocessing]:
        raise InputError("the fake framework has no weights to export")


# mypy checks the signatures.
PROTOCOLS: tuple[type[Optimizable], type[Measurable]] = (Adapter, Adapter)

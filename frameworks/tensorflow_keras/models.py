"""The networks: keras.applications' own, with a new head, and which of their parts trains."""

import math
import sys
from collections import namedtuple
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from common.errors import InputError
from common.types import BuildSpec, ModelSpec, Preprocessing
from frameworks.tensorflow_keras import efficientnet_lite

LITE = "efficientnet_lite0"
LAST_BLOCKS = {"vgg19": ("block5_",), "resnet50": ("conv5_",), LITE: ("blocks.6.", "conv_head", "bn2")}
HEADS = {"resnet50": "fc", LITE: "classifier"}
Form = namedtuple("Form", "dtype shape")


def applications() -> dict[str, Any]:
    """keras.applications' functions by their names in lower case."""
    return {n.lower(): f for n, f in vars(keras.applications).items() if n[0].isupper() and callable(f)}


def names() -> list[str]:
    return sorted({LITE, *applications()})


class Preprocess(layers.Layer):
    """uint8 [n, h, w, 3] -> float32, channels and scale as the weights want them."""

    def __init__(self, preprocessing: Preprocessing, **kwargs: Any):
        super().__init__(trainable=False, **kwargs)
        self.flip = preprocessing.channels == "bgr"
        self.mean, self.std = np.float32(preprocessing.mean), np.float32(preprocessing.std)

    def call(self, images: Any) -> Any:
        x = keras.ops.cast(images, "float32")
        return ((keras.ops.flip(x, axis=-1) if self.flip else x) - self.mean) / self.std


class Observed(keras.Model):
    """A model whose training step tells the watch when it has its batch.

    Model.fit hands data to the step inside a compiled graph, and reads batches that it never trains on, so neither
    a callback nor the PyDataset can tell. A host call in the graph can: about 0.1 ms a step.
    """

    watch: Any = None
    images_received: int = 0  # in the last step

    def train_step(self, data: Any) -> Any:
        images, labels = data

        def seen(images_shape: np.ndarray, labels_shape: np.ndarray) -> None:
            self.images_received = int(images_shape[0])
            self.watch.received(Form(images.dtype.name, images_shape), Form(labels.dtype.name, labels_shape))

        told = tf.numpy_function(seen, [tf.shape(images), tf.shape(labels)], [])
        with tf.control_dependencies([told]):
            images = tf.identity(images)
        return super().train_step((images, labels))


def build(spec: BuildSpec) -> Observed:
    """uint8 in, logits out: the library's body, average pool, Dense."""
    train, name = spec.train, spec.model.name
    body = make_body(spec.model, spec.side)
    if train == "last-block" and name not in LAST_BLOCKS:
        raise InputError("where this model's last block begins is not known; take --train head or --train all")
    for layer in body.layers:
        layer.trainable = train == "all" or (train == "last-block" and layer.name.startswith(LAST_BLOCKS[name]))
    inputs = keras.Input((spec.side, spec.side, 3), dtype="uint8")
    x = Preprocess(spec.preprocessing, name="preprocess")(inputs)
    # A frozen body runs in inference mode whole: a frozen batch norm would anyway, a dropout in it would not.
    x = body(x, training=False) if train == "head" else body(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return Observed(inputs, layers.Dense(spec.classes, name=HEADS.get(name, "head"))(x))


def make_body(model: ModelSpec, side: int, weights: str | None = None) -> keras.Model:
    """float32 [n, side, side, 3] -> features, without the library's own classifier."""
    if model.name == LITE:
        return efficientnet_lite.body(side)
    functions = applications()
    if model.name not in functions:
        raise InputError(f"keras.applications has no '{model.name}'; see run_bench.py list --all tf")
    try:
        return functions[model.name](include_top=False, weights=weights, input_shape=(side, side, 3))
    except ValueError as error:
        raise InputError(f"keras.applications refuses {model.name} at {side} pixels: {error}") from error


def leaves(model: keras.Model) -> list[layers.Layer]:
    """Every layer that is not itself a model, in order."""
    return [layer for layer in model._flatten_layers(include_self=False) if not isinstance(layer, keras.Model)]


def gmac(model: keras.Model) -> float:
    """Multiply-accumulates of one image's forward pass, in 1e9: kernel elements times output positions."""
    total = 0
    for layer in leaves(model):
        for name in ("kernel", "depthwise_kernel", "pointwise_kernel"):
            if (kernel := getattr(layer, name, None)) is not None:
                total += math.prod(kernel.shape) * math.prod(layer.output.shape[1:-1])
    return total / 1e9


def library_preprocessing(model: ModelSpec) -> Preprocessing:
    """What the library's preprocess_input does, read off by applying it: it is (x[channels] - mean) / std."""
    module = sys.modules[applications()[model.name].__module__]

    def applied(rgb: tuple[float, float, float]) -> np.ndarray:
        return np.asarray(module.preprocess_input(np.array(rgb, np.float32).reshape(1, 1, 1, 3).copy())).reshape(3)

    black, white, red = applied((0, 0, 0)), applied((255, 255, 255)), applied((255, 0, 0))
    std = 255 / (white - black)
    mean = -black * std
    flipped = abs(red[0] - black[0]) < abs(red[2] - black[2])
    return Preprocessing(
        channels="bgr" if flipped else "rgb",
        mean=tuple(round(float(v), 3) for v in mean),
        std=tuple(round(float(v), 3) for v in std),
    )

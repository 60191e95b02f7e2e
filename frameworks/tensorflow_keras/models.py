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


def loss(positive_weights: tuple[float, ...]) -> Any:
    """Binary cross-entropy from logits, averaged over classes and images; a weight on each class's positives."""
    if not positive_weights:
        return keras.losses.BinaryCrossentropy(from_logits=True)
    weights = tf.constant(positive_weights, tf.float32)

    def weighted(truth: Any, logits: Any) -> Any:
        return tf.reduce_mean(tf.nn.weighted_cross_entropy_with_logits(truth, logits, weights), axis=-1)

    return weighted


def body_from_file(model: ModelSpec, side: int, path: str) -> keras.Model:
    """The body with the weights of a .weights.h5 file, saved with the library's own top or without."""
    said = ""
    for top in (False, True):
        body = make_body(model, side, top=top)
        try:
            body.load_weights(path)
            return body
        except (ValueError, KeyError, OSError) as error:
            said = said or (str(error) or type(error).__name__).splitlines()[0]
    raise InputError(f"{path} does not hold {model.name} as Keras saves it, with its own top or without: {said}")


def make_body(model: ModelSpec, side: int, weights: str | None = None, top: bool = False) -> keras.Model:
    """float32 [n, side, side, 3] -> features; with `top`: -> the library's own 1,000 classes."""
    if model.name == LITE:
        return efficientnet_lite.body(side)
    functions = applications()
    if model.name not in functions:
        raise InputError(f"keras.applications has no '{model.name}'; see run_bench.py list --all tf")
    try:
        return functions[model.name](include_top=top, weights=weights, input_shape=(side, side, 3))
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

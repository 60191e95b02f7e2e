"""The tuned lane on Keras: the network cut in two, its frozen part folded and in a lower precision."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from common.core.specs import ExecutionConfig, SearchSpace
from frameworks.keras_common.models import Preprocess, leaves

# The first value of each: how the search begins.
# On a processor a small batch stays in the cache; a GPU is not filled by it.
MICRO_BATCHES = {"cpu": (32, 16, 8, 64), "cuda": (64, 128, 256, 32)}
TRAINED_WAYS = {"precision": ("float32", "bfloat16")}
SLOW = ("XLA", "inductor")
CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D)


def parts_of(network: keras.Model) -> tuple[Preprocess, keras.Model, layers.Layer, layers.Layer]:
    """Preprocessing, body, pool and head of a network that `models.build` made."""
    return tuple(x for x in network.layers if not isinstance(x, layers.InputLayer))


def cut(network: keras.Model) -> keras.KerasTensor | None:
    """What the frozen layers of the body hand to those that train: its output where the head alone does. None where
    nothing is frozen, or where they hand over more than one tensor."""
    _, body, _, _ = parts_of(network)
    trained = [layer for layer in body.layers if layer.trainable and not isinstance(layer, layers.InputLayer)]
    if not any(layer.weights for layer in trained):
        return body.output
    frozen = {id(layer) for layer in body.layers} - {id(layer) for layer in trained}
    given = {id(t): t for layer in trained for t in _inputs(layer) if id(t._keras_history.operation) in frozen}
    tensors = list(given.values())
    only_input = len(tensors) == 1 and isinstance(tensors[0]._keras_history.operation, layers.InputLayer)
    return tensors[0] if len(tensors) == 1 and not only_input else None


def _inputs(layer: layers.Layer) -> list[Any]:
    return layer.input if isinstance(layer.input, list) else [layer.input]


def frozen_ways(device: str, compilers: tuple[str, ...]) -> SearchSpace:
    """Setting -> values, the micro batch before the compiler, which builds for one size."""
    return {"precision": ("float32", "bfloat16"), "micro batch": MICRO_BATCHES[device], "compiler": compilers}


def extractor(network: keras.Model, way: ExecutionConfig, dtype: str) -> Callable[[np.ndarray], np.ndarray]:
    """uint8 [n, side, side, 3] -> dtype [n, h, w, c], or [n, features] where the head alone trains."""
    preprocess, body, pool, _ = parts_of(network)
    ends = cut(network)
    inputs = keras.Input(network.input.shape[1:], dtype="uint8")
    x = folded(keras.Model(body.input, ends), str(way["precision"]))(preprocess(inputs))
    if ends is body.output:
        x = type(pool).from_config(pool.get_config())(x)  # in float32: a mean over hundreds of values
    x = layers.Activation("linear", dtype=dtype)(x)
    frozen = keras.Model(inputs, x)
    frozen.compile(jit_compile=way["compiler"] != "none")
    return lambda pixels: np.ascontiguousarray(frozen.predict_on_batch(pixels))  # torch's layout may be another


class Gone(layers.Layer):
    """In the place of a batch norm that has been folded away; called with what the norm was called with."""

    def call(self, x: Any, training: bool | None = None, mask: Any = None) -> Any:
        return x


def folded(body: keras.Model, precision: str) -> keras.Model:
    """A copy in inference mode and in that precision, each batch norm folded into the convolution before it."""
    used: dict[int, int] = {}
    for layer in body.layers:
        for tensor in [] if isinstance(layer, layers.InputLayer) else _inputs(layer):
            used[id(tensor)] = used.get(id(tensor), 0) + 1
    norms = {}  # convolution -> its batch norm
    for layer in body.layers:
        if isinstance(layer, layers.BatchNormalization):
            before = layer.input._keras_history.operation
            if (
                isinstance(before, CONVOLUTIONS)
                and used[id(layer.input)] == 1
                and before.activation is keras.activations.linear
            ):
                norms[before.name] = layer
    gone = {norm.name for norm in norms.values()}

    def remake(layer: layers.Layer) -> layers.Layer:
        if layer.name in gone:
            return Gone(name=layer.name, dtype=precision)
        config = layer.get_config() | {"dtype": precision}
        return type(layer).from_config(config | ({"use_bias": True} if layer.name in norms else {}))

    copy = keras.models.clone_model(body, clone_function=remake)
    for layer in copy.layers:
        if layer.weights:
            old = body.get_layer(layer.name)
            values = [keras.ops.convert_to_numpy(v).astype(np.float32) for v in old.weights]
            layer.set_weights(_folded(values, norms[layer.name]) if layer.name in norms else values)
    copy.trainable = False
    return copy


def _folded(conv: list[np.ndarray], norm: layers.BatchNormalization) -> list[np.ndarray]:
    """Kernel and bias of convolution and norm together. conv: kernel, and bias where it has one."""
    gamma, beta, mean, variance = (keras.ops.convert_to_numpy(v) for v in _scale_and_statistics(norm))
    scale = gamma / np.sqrt(variance + norm.epsilon)
    kernel, bias = conv[0], conv[1] if len(conv) > 1 else 0.0
    shape = (
        scale.shape if kernel.shape[-1] == len(scale) else kernel.shape[-2:]
    )  # depthwise: h, w, channels, multiplier
    return [kernel * scale.reshape(shape), (bias - mean) * scale + beta]


def _scale_and_statistics(norm: layers.BatchNormalization) -> tuple[Any, ...]:
    size = norm.moving_mean.shape
    gamma = norm.gamma if norm.scale else np.ones(size, np.float32)
    return gamma, norm.beta if norm.center else np.zeros(size, np.float32), norm.moving_mean, norm.moving_variance


def rest(
    network: keras.Model, kind: type[keras.Model], way: ExecutionConfig, example: np.ndarray | None
) -> keras.Model:
    """The network from its cut on (example: features [1, ...]) or whole (None), sharing the layers, which from now on compute
    as the way says; the head's logits stay float32."""
    _, body, pool, head = parts_of(network)
    policy = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[str(way["precision"])]
    for layer in [layer for layer in leaves(body) if layer.trainable or example is None] + [pool]:
        layer.dtype_policy = policy
    if example is None:
        return network
    inputs = keras.Input(example.shape[1:], dtype=str(example.dtype))
    x = layers.Activation("linear", dtype="float32")(inputs)
    if example.ndim == 4:
        x = pool(keras.Model(cut(network), body.output)(x))
    return kind(inputs, head(x))


def products(precision: str, jit: bool) -> dict[str, tuple[float, Callable[[], Any]]]:
    """See frameworks/contract.py. Each is a network of one layer, called as `predict` calls the ones that are trained."""
    found, policy = {}, {"float32": "float32", "bfloat16": "bfloat16"}[precision]

    def timed(name: str, flops: float, layer: layers.Layer, shape: tuple[int, ...], n: int) -> None:
        inputs = keras.Input(shape, dtype=policy)
        model = keras.Model(
            inputs, layers.GlobalAveragePooling2D()(layer(inputs)) if len(shape) == 3 else layer(inputs)
        )
        model.compile(jit_compile=jit)
        x = keras.ops.cast(np.random.default_rng(0).random((n, *shape), np.float32), policy)
        found[name] = (flops, lambda: model.predict_on_batch(x))

    for n in (1024, 2048):
        timed(f"matrix product {n}", 2.0 * n**3, layers.Dense(n, use_bias=False, dtype=policy), (n,), n)
    for channels, side, kernel in ((256, 14, 3), (512, 7, 3), (256, 56, 1), (64, 56, 3), (512, 28, 3)):
        layer = layers.Conv2D(channels, kernel, padding="same", use_bias=False, dtype=policy)
        flops = 2.0 * 8 * side**2 * channels**2 * kernel**2
        timed(f"convolution {kernel}x{kernel}, {channels} at {side}", flops, layer, (side, side, channels), 8)
    return found

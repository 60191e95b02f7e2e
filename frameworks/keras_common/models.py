"""The networks: keras.applications' own, with a new head, and which of their parts trains."""

import math
import sys
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from keras.src.backend.common import dtypes

from common.core.errors import InputError
from common.core.specs import BuildSpec, ModelSpec, Preprocessing
from frameworks.keras_common import efficientnet_lite, remade

PROMOTED = dtypes.BIT64_TO_BIT32_DTYPE["float64"]  # Keras's own answer
LITE = "efficientnet_lite0"
RESNETS = ("resnet50", "resnext50_32x4d")
LAST_BLOCKS = {
    "vgg19": ("block5_",), LITE: ("blocks-6-", "conv_head", "bn2"), **dict.fromkeys(RESNETS, ("conv5_",))
}  # fmt: skip
HEADS = {LITE: "classifier", **dict.fromkeys(RESNETS, "fc")}


def applications() -> dict[str, Any]:
    """keras.applications' functions by their names in lower case."""
    return {n.lower(): f for n, f in vars(keras.applications).items() if n[0].isupper() and callable(f)}


def names() -> list[str]:
    return sorted({LITE, *RESNETS, *applications()})


class Preprocess(layers.Layer):
    """uint8 [n, h, w, 3] -> floats, channels and scale as the weights want them."""

    def __init__(self, preprocessing: Preprocessing, **kwargs: Any):
        super().__init__(trainable=False, **kwargs)
        self.flip = preprocessing.channels == "bgr"
        self.mean, self.std = (np.array(x, self.compute_dtype) for x in (preprocessing.mean, preprocessing.std))

    def call(self, images: Any) -> Any:
        x = ops.cast(images, self.compute_dtype)
        return ((ops.flip(x, axis=-1) if self.flip else x) - self.mean) / self.std

    def words(self) -> str:
        mean, std = (", ".join(f"{v:g}" for v in x) for x in (self.mean, self.std))
        return f"{'BGR' if self.flip else 'RGB'}, minus ({mean}), over ({std})"


def _compute_in(precision: str) -> None:
    """Keras promotes float64 to float32 on every backend but TensorFlow, whatever it was told to compute in: so its
    batch norm would. The parity gate asks for float64 throughout."""
    keras.config.set_floatx(precision)
    keras.config.set_dtype_policy(precision)  # once asked for, the policy no longer follows floatx
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64" if precision == "float64" else PROMOTED


def build(spec: BuildSpec, network: type[keras.Model]) -> keras.Model:
    """uint8 in, logits out: the library's body, average pool, Dense. network: the class that tells the watch."""
    _compute_in(spec.precision)
    train, name = spec.train, spec.model.name
    body = make_body(spec.model, spec.side, matched=spec.formulas == "matched")
    if train == "last-block" and name not in LAST_BLOCKS:
        raise InputError("where this model's last block begins is not known; take --train head or --train all")
    for layer in body.layers:
        layer.trainable = train == "all" or (train == "last-block" and layer.name.startswith(LAST_BLOCKS[name]))
    inputs = keras.Input((spec.side, spec.side, 3), dtype="uint8")
    x = Preprocess(spec.preprocessing, name="preprocess")(inputs)
    # A frozen body runs in inference mode whole: a frozen batch norm would anyway, a dropout in it would not.
    x = body(x, training=False) if train == "head" else body(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return network(inputs, layers.Dense(spec.classes, name=HEADS.get(name, "head"))(x))


class WeightedLoss(keras.losses.Loss):
    """Binary cross-entropy from logits with a weight on each class's positives."""

    def __init__(self, positive_weights: tuple[float, ...]):
        super().__init__()
        self.weights = np.array(positive_weights, keras.config.floatx())

    def call(self, truth: Any, logits: Any) -> Any:
        # As a tensor: NumPy's own product refuses torch's.
        factor = 1 + keras.ops.convert_to_tensor(self.weights - 1) * truth
        return ops.mean((1 - truth) * logits + factor * ops.softplus(-logits), axis=-1)


def loss(positive_weights: tuple[float, ...]) -> keras.losses.Loss:
    """Binary cross-entropy from logits, averaged over classes and images; a weight on each class's positives."""
    return WeightedLoss(positive_weights) if positive_weights else keras.losses.BinaryCrossentropy(from_logits=True)


def loss_words(of: keras.losses.Loss) -> str:
    reduction = "mean" if of.reduction == "sum_over_batch_size" else str(of.reduction)
    weighted = ", positives weighted" if isinstance(of, WeightedLoss) else ""
    return f"binary cross-entropy from logits, {reduction} over images{weighted}"


def body_from_file(model: ModelSpec, side: int, path: str) -> keras.Model:
    """The body with the weights of a .weights.h5 file, saved with the library's own top or without."""
    said = ""
    for top in (False, True):
        body = library_body(model.name, side, top=top)
        try:
            body.load_weights(path)
            return body
        except (ValueError, KeyError, OSError) as error:
            said = said or (str(error) or type(error).__name__).splitlines()[0]
    raise InputError(f"{path} does not hold {model.name} as Keras saves it, with its own top or without: {said}")


def library_body(name: str, side: int, weights: str | None = None, top: bool = False) -> keras.Model:
    """keras.applications' own network; float [n, side, side, 3] -> features, with `top`: -> its 1,000 classes."""
    if name == LITE:
        return efficientnet_lite.body(side)
    if name not in applications():
        raise InputError(f"keras.applications has no '{name}'; see run_bench.py list --all FRAMEWORK")
    try:
        return applications()[name](include_top=top, weights=weights, input_shape=(side, side, 3))
    except ValueError as error:
        raise InputError(f"keras.applications refuses {name} at {side} pixels: {error}") from error


def make_body(model: ModelSpec, side: int, matched: bool = False) -> keras.Model:
    """float [n, side, side, 3] -> features: the library's body, remade where the library lacks the network."""
    if model.name == LITE:
        return efficientnet_lite.body(side, matched)
    if model.name not in RESNETS:
        return library_body(model.name, side)
    return remade.resnet(library_body("resnet50", side), model, matched)


def activations(network: keras.Model, pixels: np.ndarray, training: bool, name_of: Any) -> dict[str, np.ndarray]:
    """What every layer makes of uint8 [n, side, side, 3], by canonical name, in the order of the computation.

    A layer's activation that is a layer of its own named after it (`-act`) is shown in its place, as timm does; the end
    of a residual block under the block's name.
    """
    preprocess, body, pool, head = (x for x in network.layers if not isinstance(x, layers.InputLayer))
    inner: dict[str, Any] = {}
    for layer in leaves(body):
        if not isinstance(layer, layers.InputLayer):
            name = name_of(layer.name.removesuffix("-act").removesuffix("-add"))
            inner.pop(name, None)
            inner[name] = layer.output
    x = preprocess(ops.convert_to_tensor(pixels))
    frozen = not body.trainable_variables  # such a body runs in inference mode whole: see `build`
    values = keras.Model(body.input, [*inner.values(), body.output])(x, training=training and not frozen)
    logits = head(pool(values[-1]))
    found = dict(zip(inner, values)) | {name_of(head.name): logits, "logits": logits}
    return {name: np.array(ops.convert_to_numpy(value)) for name, value in ({"input": x} | found).items()}


def layer_facts(network: keras.Model, name_of: Any) -> dict[str, str]:
    """Each layer with parameters in words, from the live layers."""
    found = {"input": network.get_layer("preprocess").words()}
    for layer in leaves(network):
        if isinstance(layer, layers.DepthwiseConv2D | layers.Conv2D):
            kernel, stride = ("x".join(map(str, x)) for x in (layer.kernel_size, layer.strides))
            padding = "1x1" if isinstance(layer, remade.Padded) else {"valid": "0x0"}.get(layer.padding, layer.padding)
            groups = getattr(layer, "groups", layer.input.shape[-1])  # depthwise: a group for each channel
            words = f"convolution {kernel}, stride {stride}, padding {padding}, groups {groups}"
            found[name_of(layer.name)] = f"{words}, {'bias' if layer.use_bias else 'no bias'}"
        elif isinstance(layer, layers.BatchNormalization):
            mode = "training" if layer.trainable else "inference"
            found[name_of(layer.name)] = f"batch norm, {norm_words(layer)}, {mode} mode"
        elif isinstance(layer, layers.Dense):
            found[name_of(layer.name)] = f"linear, {'bias' if layer.use_bias else 'no bias'}"
    return found


def moving_norms(network: keras.Model) -> int:
    """How many batch norms normalise by the batch, and move their statistics, in a training step."""
    return sum(layer.trainable for layer in leaves(network) if isinstance(layer, layers.BatchNormalization))


def fewest_normalised(network: keras.Model) -> int:
    """Values in each channel of one image at the batch norms that normalise by the batch: the fewest; 0 where none does."""
    norms = [layer for layer in leaves(network) if isinstance(layer, layers.BatchNormalization) and layer.trainable]
    return min((math.prod(layer.output.shape[1:-1]) for layer in norms), default=0)


def norm_words(layer: layers.BatchNormalization) -> str:
    form = "unbiased" if isinstance(layer, remade.UnbiasedNorm) else "biased"
    return f"eps {layer.epsilon:g}, momentum {1 - layer.momentum:g} of the new value, running variance {form}"


def precision_words(network: keras.Model) -> str:
    """What variables are stored in, and what layers compute in where that is another."""
    forms = {(layer.variable_dtype, layer.compute_dtype) for layer in leaves(network) if layer.weights}
    return "; ".join(sorted(stored if stored == used else f"{stored}, computed in {used}" for stored, used in forms))


def layout_words(network: keras.Model) -> str:
    """Of the convolutions."""
    kinds = (layers.Conv2D, layers.DepthwiseConv2D)
    found = {layer.data_format for layer in leaves(network) if isinstance(layer, kinds)}
    return ", ".join(sorted(found)).replace("_", " ") or "no convolution"


def leaves(model: keras.Model) -> list[layers.Layer]:
    """Every layer that is not itself a model, in order."""
    return [layer for layer in model._flatten_layers(include_self=False) if not isinstance(layer, keras.Model)]


def gmac(of: list[layers.Layer]) -> float:
    """Multiply-accumulates of one image's forward pass through the layers, in 1e9: kernel elements times output positions."""
    total = 0
    for layer in of:
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

"""Keras variables <-> canonical tensors: names of torchvision and timm where they have the network, O I H W."""

import re

import keras
import numpy as np
from keras import layers

from frameworks.keras_common.models import RESNETS, leaves

SUFFIXES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
BLOCK_END = re.compile(r"conv(\d)_block(\d+)_out")
RESNET = re.compile(r"conv(\d)_block(\d+)_(\d)_(conv|bn)")


def layer_name(architecture: str, name: str) -> str:
    """Keras's name of a layer -> the canonical one."""
    if architecture not in RESNETS:
        return name.replace("-", ".")  # EfficientNet-Lite0 bears timm's names; VGG19's published file bears Keras's
    if match := RESNET.fullmatch(name):
        stage, block, place, kind = int(match[1]) - 1, int(match[2]) - 1, int(match[3]), match[4]
        part = f"downsample.{int(kind == 'bn')}" if place == 0 else f"{kind}{place}"
        return f"layer{stage}.{block}.{part}"
    if match := BLOCK_END.fullmatch(name):
        return f"layer{int(match[1]) - 1}.{int(match[2]) - 1}"
    return {"conv1_conv": "conv1", "conv1_bn": "bn1"}.get(name, name)


def to_canonical(layer: layers.Layer, array: np.ndarray, suffix: str) -> np.ndarray:
    """Keras's layout -> O I H W (kernels); other variables as they are."""
    if suffix != "weight" or array.ndim == 1:
        return array
    if isinstance(layer, layers.DepthwiseConv2D):
        h, w, channels, multiplier = array.shape
        return array.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, h, w)
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T


def from_canonical(layer: layers.Layer, array: np.ndarray, shape: tuple[int, ...], suffix: str) -> np.ndarray:
    """The inverse of `to_canonical`, for a variable of `shape`."""
    if suffix != "weight" or array.ndim == 1:
        return array
    if isinstance(layer, layers.DepthwiseConv2D):
        h, w, channels, multiplier = shape
        return array.reshape(channels, multiplier, h, w).transpose(2, 3, 0, 1)
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


def variables(model: keras.Model, architecture: str) -> dict[str, tuple[layers.Layer, keras.Variable, str]]:
    """Canonical name -> layer, variable, canonical suffix."""
    found = {}
    for layer in leaves(model):
        for variable in layer.weights:
            if "seed_generator" in variable.path:
                continue
            suffix = SUFFIXES.get(variable.name, variable.name)
            found[f"{layer_name(architecture, layer.name)}.{suffix}"] = (layer, variable, suffix)
    return found


def _bias_of(name: str) -> str | None:
    """ResNet-50: the convolution's bias that a batch norm's running mean can swallow. Keras has it, torchvision not."""
    if not name.endswith(".running_mean"):
        return None
    norm = name.removesuffix(".running_mean")
    if norm.endswith("downsample.1"):
        return norm.removesuffix("1") + "0.bias"
    head, _, last = norm.rpartition(".")
    return f"{head}{'.' if head else ''}{last.replace('bn', 'conv')}.bias"


def is_swallowed(architecture: str, name: str) -> bool:
    return architecture in RESNETS and bool(re.search(r"(conv\d|downsample\.0)\.bias$", name))


def dump(model: keras.Model, architecture: str) -> dict[str, np.ndarray]:
    """All variables as canonical tensors. norm(conv + b) with mean m equals norm(conv) with mean m - b, so
    ResNet-50's convolution biases end in the running means, and torchvision's network takes the file."""
    found = variables(model, architecture)
    arrays = {n: to_canonical(layer, np.array(keras.ops.convert_to_numpy(v)), s) for n, (layer, v, s) in found.items()}
    if architecture in RESNETS:
        for name in arrays:
            bias = _bias_of(name)
            if bias in arrays:
                arrays[name] = arrays[name] - arrays[bias]
    return {n: np.ascontiguousarray(a) for n, a in arrays.items() if not is_swallowed(architecture, n)}


def load(model: keras.Model, architecture: str, tensors: dict[str, np.ndarray]) -> None:
    """Set the named variables; a loaded convolution of the library's ResNet-50 gets the bias 0 (see `dump`)."""
    found = variables(model, architecture)
    for name, array in tensors.items():
        layer, variable, suffix = found[name]
        variable.assign(from_canonical(layer, array, tuple(variable.shape), suffix))
        bias = name.removesuffix(".weight") + ".bias"
        if is_swallowed(architecture, bias) and bias in found:
            found[bias][1].assign(np.zeros(found[bias][1].shape, np.float32))

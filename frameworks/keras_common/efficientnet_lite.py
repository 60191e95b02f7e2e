"""EfficientNet-Lite0 in Keras: keras.applications lacks it. Layers bear timm's names, so tensors map one to one; with
"-" for ".", which Keras on torch does not take in a name.

Tan and Le 2019 (EfficientNet), without squeeze-and-excitation and with ReLU6 (the Lite variants). `same` padding is
TensorFlow's own, for which the published weights were trained.
"""

from typing import Any

import keras
from keras import layers

from frameworks.keras_common import remade

# expansion, output channels, kernel, stride of the first, repeats
STAGES = (
    (1, 16, 3, 1, 1), (6, 24, 3, 2, 2), (6, 40, 5, 2, 2), (6, 80, 3, 2, 3), (6, 112, 5, 1, 3), (6, 192, 5, 2, 4), (6, 320, 3, 1, 1),
)  # fmt: skip
EPSILON, MOMENTUM = 1e-3, 0.99


def _conv(x: keras.KerasTensor, channels: int, kernel: int, stride: int, name: str) -> keras.KerasTensor:
    return layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False, name=name)(x)


def body(side: int, matched: bool = False) -> keras.Model:
    """float [n, side, side, 3] -> features [n, h, w, 1280]. matched: with timm's momentum and form of the variance."""
    momentum = remade.MOMENTUM if matched else MOMENTUM

    def norm(x: keras.KerasTensor, name: str, activate: bool) -> keras.KerasTensor:
        x = remade.norm(matched)(epsilon=EPSILON, momentum=momentum, name=name)(x)
        return layers.ReLU(6.0, name=f"{name}-act")(x) if activate else x

    def block(x: keras.KerasTensor, name: str, expansion: int, channels: int, kernel: int, stride: int) -> Any:
        """timm's InvertedResidual; without expansion its DepthwiseSeparableConv."""
        start, inner = x, x.shape[-1] * expansion
        if expansion > 1:
            x = norm(_conv(x, inner, 1, 1, f"{name}-conv_pw"), f"{name}-bn1", activate=True)
        x = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False, name=f"{name}-conv_dw")(x)
        x = norm(x, f"{name}-bn{2 if expansion > 1 else 1}", activate=True)
        x = _conv(x, channels, 1, 1, f"{name}-conv_pwl" if expansion > 1 else f"{name}-conv_pw")
        x = norm(x, f"{name}-bn{3 if expansion > 1 else 2}", activate=False)
        if stride == 1 and start.shape[-1] == channels:
            x = layers.Add(name=f"{name}-add")([start, x])
        return x

    inputs = keras.Input((side, side, 3))
    x = norm(_conv(inputs, 32, 3, 2, "conv_stem"), "bn1", activate=True)
    for stage, (expansion, channels, kernel, stride, repeats) in enumerate(STAGES):
        for i in range(repeats):
            x = block(x, f"blocks-{stage}-{i}", expansion, channels, kernel, stride if i == 0 else 1)
    x = norm(_conv(x, 1280, 1, 1, "conv_head"), "bn2", activate=True)
    return keras.Model(inputs, x, name="efficientnet_lite0")

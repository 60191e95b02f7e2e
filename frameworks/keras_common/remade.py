"""keras.applications' ResNet-50 remade layer by layer: as v1.5, as ResNeXt-50 32x4d, with torch's batch norm."""

import re
from typing import Any

import keras
from keras import layers, ops

from common.core.specs import ModelSpec

BLOCK_CONV = re.compile(r"conv(\d)_block(\d+)_(\d)_conv")
EPSILON, MOMENTUM = 1e-5, 0.9  # torch's default batch norm: its momentum .1 is of the new value
GROUPS, WIDTH = 32, 2  # ResNeXt-50 32x4d (Xie et al. 2017): 32 groups, twice the inner channels


@keras.saving.register_keras_serializable("framework_bench")
class Padded(layers.Conv2D):
    """One pixel of padding on every side, as torch has it: `same` pads a stride of 2 on one side alone."""

    def call(self, x: Any) -> Any:
        return super().call(ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]))

    def compute_output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        n, h, w, channels = shape
        return super().compute_output_shape((n, h + 2, w + 2, channels))


@keras.saving.register_keras_serializable("framework_bench")
class UnbiasedNorm(layers.BatchNormalization):
    """The running variance moves towards the unbiased variance of the batch, as torch's does; Keras's own towards the
    biased one."""

    def call(self, x: Any, training: bool | None = None, mask: Any = None) -> Any:
        before = ops.copy(self.moving_variance)
        outputs = super().call(x, training=training, mask=mask)
        if training and self.trainable:
            n = ops.cast(ops.size(x) // x.shape[-1], self.moving_variance.dtype)
            kept = before * self.momentum
            self.moving_variance.assign(kept + (self.moving_variance - kept) * (n / (n - 1)))
        return outputs


def norm(matched: bool) -> type[layers.BatchNormalization]:
    return UnbiasedNorm if matched else layers.BatchNormalization


def resnet(body: keras.Model, model: ModelSpec, matched: bool) -> keras.Model:
    """The library's ResNet-50 v1 without top, as the variant and formulas want it. The library's own where it has it.

    v1.5 and ResNeXt, which it lacks, have torchvision's layers: no biases, epsilon 1e-5, equal padding, and the stride
    in the 3x3. matched: so has v1, and batch norm has torch's momentum and form of the variance.
    """
    grouped, late_stride = model.name == "resnext50_32x4d", model.variant != "v1"
    if not (matched or late_stride):
        return body

    def remake(layer: layers.Layer) -> layers.Layer:
        config, kind = layer.get_config(), type(layer)
        if isinstance(layer, layers.Conv2D):
            config["use_bias"] = False
            if match := BLOCK_CONV.fullmatch(layer.name):
                stage, block, place = int(match[1]), int(match[2]), int(match[3])
                first = stage > 2 and block == 1
                if late_stride and first and place in (1, 2):
                    config["strides"] = (place, place)
                if late_stride and first and place == 2:
                    kind, config["padding"] = Padded, "valid"
                if grouped and place in (1, 2):
                    config["filters"] *= WIDTH
                    config["groups"] = GROUPS if place == 2 else 1
        if isinstance(layer, layers.BatchNormalization):
            config["epsilon"] = EPSILON
            if matched:
                kind, config["momentum"] = UnbiasedNorm, MOMENTUM
        return kind.from_config(config)

    return keras.models.clone_model(body, clone_function=remake)

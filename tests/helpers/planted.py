"""Runs in a process of its own (test_gate.py): torch's adapter with one mistake planted in it, held by the parity gate
against a trace of another framework. Prints a JSON object: mistake -> [stage, tensor, words]."""

import json
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from torch import nn

from common.analysis import parity
from common.core.errors import InputError
from common.core.specs import BuildSpec, ProcessSpec, WeightsSpec
from common.trial.trace import trace
from frameworks.pytorch import adapter as pytorch
from frameworks.pytorch import models


@contextmanager
def built(change):
    """What `build` makes, changed."""
    real = pytorch.Adapter.build

    def build(self, spec):
        model = real(self, spec)
        change(model)
        return model

    with patch.object(pytorch.Adapter, "build", build):
        yield


def norms(model):
    return [m for m in model.network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


def first_norm(**values):
    def change(model):
        for name, value in values.items():
            setattr(norms(model)[0], name, value)

    return built(change)


def biased(kind):
    """The running variance moves towards the biased variance of the batch."""

    class Biased(kind):
        def forward(self, x):
            kept = self.running_var.clone() * (1 - self.momentum)
            y = super().forward(x)
            if self.training:
                n = x.numel() / x.shape[1]
                self.running_var.data.copy_(kept + (self.running_var - kept) * ((n - 1) / n))
            return y

    return Biased


def biased_variance():
    def change(model):
        norms(model)[0].__class__ = biased(type(norms(model)[0]))

    return built(change)


def inference_mode():
    """The first batch norm normalises by its running statistics in training."""

    def change(model):
        norms(model)[0].train = lambda mode=True: nn.Module.train(norms(model)[0], False)
        norms(model)[0].train()

    return built(change)


def equal_padding():
    """The stem's convolution pads a stride of 2 equally on both sides."""

    def change(model):
        old = model.network.conv_stem
        new = nn.Conv2d(old.in_channels, old.out_channels, 3, 2, padding=1, bias=False).to(old.weight)
        new.weight = old.weight
        model.network.conv_stem = new

    return built(change)


def no_bias():
    """The head's bias is in the file and in no sum."""

    def change(model):
        head = model.network.get_submodule(model.built.head)
        head.register_forward_hook(lambda module, inputs, output: output - module.bias)

    return built(change)


def bgr():
    def change(model):
        model.preprocess.flip = not model.preprocess.flip

    return built(change)


def stride_elsewhere():
    """ResNet-50 v1 where v1.5 was asked for; in EfficientNet-Lite0 two blocks change theirs. Every later shape is right."""

    def change(model):
        if hasattr(model.network, "blocks"):
            blocks = model.network.blocks
            blocks[1][0].conv_dw.stride, blocks[4][0].conv_dw.stride = (1, 1), (2, 2)
        else:
            block = model.network.layer2[0]
            block.conv1.stride, block.conv2.stride = (2, 2), (1, 1)

    return built(change)


class OtherAdam(torch.optim.Adam):
    """eps added to the uncorrected sqrt(v), as TensorFlow 1 and Keras's own Adam do."""

    @torch.no_grad()
    def step(self):
        group = self.param_groups[0]
        (b1, b2), lr, eps = group["betas"], group["lr"], group["eps"]
        for p in (p for p in group["params"] if p.grad is not None):
            state = self.state[p]
            if not state:
                state |= {"n": 0, "m": torch.zeros_like(p), "v": torch.zeros_like(p)}
            state["n"] += 1
            state["m"].lerp_(p.grad, 1 - b1)
            state["v"].mul_(b2).addcmul_(p.grad, p.grad, value=1 - b2)
            rate = lr * (1 - b2 ** state["n"]) ** 0.5 / (1 - b1 ** state["n"])
            p.sub_(rate * state["m"] / (state["v"].sqrt() + eps))


def sum_loss():
    def change(model):
        model.loss = nn.BCEWithLogitsLoss(reduction="sum")

    return built(change)


def skipped_step():
    """The third step of every model computes and does not move."""

    def change(model):
        real, taken = model.optimiser.step, []

        def step():
            taken.append(1)
            if len(taken) != 3:
                real()

        model.optimiser.step = step

    return built(change)


def unfrozen_norm():
    """Frozen batch norms normalise by the batch and move, as requires_grad=False alone leaves them."""
    real = models.train_mode
    return patch.object(models, "train_mode", lambda built, frozen: real(built, "drift"))


@contextmanager
def swapped_weights(both_ways=True):
    """The weights of two equal layers change places on their way in, and back on their way out."""
    load, dump = pytorch.Adapter.load, pytorch.Adapter.dump

    def turned(model, tensors):
        shapes = {}
        for name, array in tensors.items():
            if array.ndim == 4:
                if array.shape in shapes:
                    other = shapes[array.shape]
                    return tensors | {name: tensors[other], other: tensors[name]}
                shapes[array.shape] = name
        return tensors

    with patch.object(pytorch.Adapter, "load", lambda self, model, tensors: load(self, model, turned(model, tensors))):
        out = (lambda self, model: turned(model, dump(self, model))) if both_ways else dump
        with patch.object(pytorch.Adapter, "dump", out):
            yield


def quietly_float64():
    """What is asked for in float32 is built, and computed, in float64."""
    real = pytorch.Adapter.build
    return patch.object(
        pytorch.Adapter, "build", lambda self, spec: real(self, spec.model_copy(update={"precision": "float64"}))
    )


MISTAKES = {
    "quietly float64": quietly_float64,
    "nothing": lambda: built(lambda model: None),
    "stride": stride_elsewhere,
    "padding": equal_padding,
    "eps": lambda: first_norm(eps=1e-2),
    "mode": inference_mode,
    "momentum": lambda: first_norm(momentum=0.01),
    "variance": biased_variance,
    "bias": no_bias,
    "bgr": bgr,
    "adam": lambda: patch.dict(pytorch.OPTIMISERS, adam=OtherAdam),
    "sum": sum_loss,
    "unfrozen": unfrozen_norm,
    "skipped": skipped_step,
    "swapped": swapped_weights,
    "swapped on load": lambda: swapped_weights(both_ways=False),
}


def main(request):
    spec, weights = BuildSpec(**request["spec"]), WeightsSpec(**request["weights"])
    adapter = pytorch.Adapter(ProcessSpec(device="cpu", deterministic=False, threads=2, timeout_s=0), 0)
    found = {}
    for mistake in request["mistakes"]:
        with tempfile.TemporaryDirectory() as folder, MISTAKES[mistake]():
            file, reference = Path(folder) / "torch.npz", Path(request["reference"])
            try:
                traced = trace(adapter, spec, weights, Path(request["batch"]), reference, file)
            except InputError as error:  # as the gate has it: no trace, not passed
                found[mistake] = ["", "", str(error)]
                continue
            with np.load(reference) as a, np.load(file) as b:
                stages, stage, tensor = parity.compare(a, b)
            facts = {"tf": request["facts"], "torch": traced.facts}
            found[mistake] = [
                stage.name if stage else "",
                tensor,
                parity.described(stage, tensor, stages[-1], facts) if stage else "",
            ]
    print(json.dumps(found))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))

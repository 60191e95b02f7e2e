"""The networks: torchvision's and timm's own, with a new head, and which of their parts trains."""

import os
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

# Its downloader reads from sockets where nobody can see from outside whether bytes still come.
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")

import numpy as np
import timm
import torch
import torchvision
from torch import nn

from common.core.errors import ImageSizeError, InputError
from common.core.specs import FrozenNorm, ModelSpec, Preprocessing, Train
from frameworks.contract import TORCHVISION

DROPOUT = 0.5  # before layer4, as in the paper's code
NORMS = (nn.BatchNorm2d, timm.layers.BatchNormAct2d)  # torch's running variance is the unbiased one
TORCHVISIONS = ("resnet50", "resnext50_32x4d", "vgg19")


@dataclass(frozen=True)
class Built:
    """A network (logits out, float NCHW in), the canonical name of its head, and where its last block begins."""

    network: nn.Module
    head: str
    last_block: tuple[str, ...]  # name prefixes of the tensors that `last-block` trains; empty: not known
    dropout: nn.Dropout | None = None


class Head(nn.Linear):
    """In its weights' precision, whatever the rest runs in: logits of bfloat16's 8 bits would tie, and a tie at the percentile
    is not picked."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.to(self.weight.dtype))


def names() -> list[str]:
    return sorted({*TORCHVISIONS, "efficientnet_lite0", *timm.list_models()})


def build(model: ModelSpec, classes: int, side: int, dropout: bool = True) -> Built:
    """The library's network with random weights and `classes` outputs."""
    if model.name == "vgg19":
        return _vgg19(classes)
    if model.name in TORCHVISIONS:
        return _resnet(model, classes, dropout)
    if model.name == "efficientnet_lite0":
        lite = timm.create_model("tf_efficientnet_lite0", num_classes=classes)
        return Built(lite, "classifier", ("blocks.6.", "conv_head.", "bn2.", "classifier."))
    if model.name not in timm.list_models():
        raise InputError(
            f"neither torchvision's models here nor timm have '{model.name}'; see run_bench.py list --all torch"
        )
    network: Any = timm.create_model(model.name, num_classes=classes)
    wanted = network.default_cfg.get("input_size", (3, side, side))[-1]
    if network.default_cfg.get("fixed_input_size") and wanted != side:
        raise ImageSizeError(f"timm's {model.name} takes images of {wanted} pixels alone; take --image-size {wanted}")
    head = network.default_cfg.get("classifier")
    if not isinstance(head, str) or not isinstance(network.get_submodule(head), nn.Linear):
        raise InputError(
            f"timm's {model.name} does not end in one linear layer (its classifier is {head}); "
            "take another: run_bench.py list --all torch"
        )
    return Built(network, head, ())


def _vgg19(classes: int) -> Built:
    """torchvision's convolutions under the names of Keras's published file, average pool, one linear layer: the paper's
    head in place of the library's own three layers of 124 million parameters."""
    network, block, place = nn.Sequential(), 1, 1
    for layer in torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["E"]):
        if isinstance(layer, nn.MaxPool2d):
            network.add_module(f"block{block}_pool", layer)
            block, place = block + 1, 1
        elif isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")  # as torchvision.models.VGG does
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
            network.add_module(f"block{block}_conv{place}", layer)
        else:
            network.add_module(f"block{block}_conv{place}_relu", layer)
            place += 1
    network.add_module("pool", nn.AdaptiveAvgPool2d(1))
    network.add_module("flatten", nn.Flatten())
    network.add_module("head", nn.Linear(512, classes))
    return Built(network, "head", ("block5_", "head."))


def vgg19_names(tensors: dict[str, Any]) -> dict[str, Any]:
    """torchvision's tensors of the convolutions under our names: they stand in the same order. Its classifier is not
    used; a file that has our names stays as it is."""
    names = [f"{n}.{part}" for n, layer in _vgg19(1).network.named_children() if isinstance(layer, nn.Conv2d) for part in ("weight", "bias")]  # fmt: skip
    theirs = [tensor for name, tensor in tensors.items() if name.startswith("features.")]
    return dict(zip(names, theirs)) if len(theirs) == len(names) else tensors


def _resnet(model: ModelSpec, classes: int, with_dropout: bool) -> Built:
    network = getattr(torchvision.models, model.name)(weights=None)
    if model.variant == "v1":  # the stride stands in a stage's first 1x1; torchvision has it in the 3x3
        for stage in (network.layer2, network.layer3, network.layer4):
            stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    network.fc = nn.Linear(network.fc.in_features, classes)
    if not with_dropout:
        return Built(network, "fc", ("layer4.", "fc."))
    dropout = nn.Dropout(DROPOUT)
    network.layer3.add_module("dropout", dropout)  # last in layer3: no tensor's name changes
    return Built(network, "fc", ("layer4.", "fc."), dropout)


def with_synchronised_norms(built: Built) -> Built:
    """Batch norm that normalises by the batches of all ranks."""
    return replace(built, network=nn.SyncBatchNorm.convert_sync_batchnorm(built.network))


def freeze(built: Built, train: Train) -> None:
    """Leave gradients on for the trained part alone."""
    prefixes = {"head": (built.head + ".",), "last-block": built.last_block, "all": ("",)}[train]
    if not prefixes:
        raise InputError("where this model's last block begins is not known; take --train head or --train all")
    for name, parameter in built.network.named_parameters():
        parameter.requires_grad_(name.startswith(prefixes))


def train_mode(built: Built, frozen_norm: FrozenNorm) -> None:
    """Training mode for what trains; the frozen part stays in inference mode, batch norm and dropout with it. "drift":
    training mode for everything, as the paper's code had it.

    torch's requires_grad=False alone would leave batch norm normalising by batch statistics and moving its
    running ones. The dropout before layer4 acts where layer4 trains: before a frozen layer it would only be noise.
    """
    if frozen_norm == "drift":
        built.network.train()
        return
    parameters = list(built.network.parameters())
    built.network.train(all(p.requires_grad for p in parameters))  # also what has no parameters: dropout, drop path
    for module in built.network.modules():
        own = list(module.parameters(recurse=False))
        if own and all(p.requires_grad for p in own):
            module.train()
    if built.dropout is not None:
        built.dropout.train(all(p.requires_grad for p in built.network.get_submodule("layer4").parameters()))


def fewest_normalised(network: nn.Module, side: int) -> int:
    """Values in each channel of one image at the batch norms that are in training mode: the fewest; 0 where none is."""
    found: list[int] = []

    def look(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        found.append(inputs[0].numel() // inputs[0].shape[1])

    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    hooks = [norm.register_forward_pre_hook(look) for norm in norms]
    like = next(network.parameters())
    network.eval()
    with torch.no_grad():
        network(torch.zeros(1, 3, side, side, dtype=like.dtype, device=like.device))
    for hook in hooks:
        hook.remove()
    return min(found, default=0)


class Preprocess(nn.Module):
    """uint8 [n, h, w, 3] -> dtype [n, 3, h, w] in the memory order it came in: channels last."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, preprocessing: Preprocessing, dtype: torch.dtype):
        super().__init__()
        self.flip = preprocessing.channels == "bgr"
        self.register_buffer("mean", torch.tensor(preprocessing.mean, dtype=dtype).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(preprocessing.std, dtype=dtype).view(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = images.permute(0, 3, 1, 2).to(self.mean.dtype)
        return ((x.flip(1) if self.flip else x) - self.mean) / self.std

    def __str__(self) -> str:
        mean, std = (", ".join(f"{float(v):g}" for v in t.flatten()) for t in (self.mean, self.std))
        return f"{'BGR' if self.flip else 'RGB'}, minus ({mean}), over ({std})"


def activations(network: nn.Module, x: torch.Tensor) -> dict[str, np.ndarray]:
    """What every layer makes of float [n, 3, h, w], in the order of the computation: [n, h, w, c] or [n, features].

    A convolution whose activation is a module of its own, named after it (`_relu`), is shown after it, as Keras does.
    """
    found: dict[str, np.ndarray] = {"input": _channels_last(x)}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            found[name.removesuffix("_relu")] = _channels_last(output)

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in network.named_modules() if name]
    try:
        found["logits"] = _channels_last(network(x))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _channels_last(x: torch.Tensor) -> np.ndarray:
    """A copy: later layers may change their input in place."""
    return np.array((x.permute(0, 2, 3, 1) if x.dim() == 4 else x).detach().cpu().numpy())


def norm_words(layer: nn.Module) -> str:
    form = "unbiased" if type(layer) in NORMS else f"as {type(layer).__name__} computes it"
    return f"eps {layer.eps:g}, momentum {layer.momentum:g} of the new value, running variance {form}"


def layer_facts(network: nn.Module) -> dict[str, str]:
    """Each layer with parameters in words, from the live modules."""
    found = {}
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            kernel, stride = "x".join(map(str, layer.kernel_size)), "x".join(map(str, layer.stride))
            found[name] = (
                f"convolution {kernel}, stride {stride}, padding {_padding_words(layer)}, groups {layer.groups}, "
                f"{'bias' if layer.bias is not None else 'no bias'}"
            )
        elif isinstance(layer, nn.modules.batchnorm._BatchNorm):
            found[name] = f"batch norm, {norm_words(layer)}, {'training' if layer.training else 'inference'} mode"
        elif isinstance(layer, nn.Linear):
            found[name] = f"linear, {'bias' if layer.bias is not None else 'no bias'}"
    return found


def _padding_words(layer: nn.Conv2d) -> str:
    if type(layer) is not nn.Conv2d:
        return "same (as TensorFlow's)"  # timm's Conv2dSame
    return layer.padding if isinstance(layer.padding, str) else "x".join(map(str, layer.padding))


def gmac(network: nn.Module, side: int, at_the_cut: Any = None) -> tuple[float, float]:
    """Multiply-accumulates of one image's forward pass, in 1e9, counted by torch's own counter; and those of the part that
    trains. at_the_cut: a context in which a function is called where that part begins; None: everything is counted as what trains."""
    from torch.utils.flop_counter import FlopCounterMode

    like = next(network.parameters())
    mode, before = FlopCounterMode(display=False), [0]
    network.eval()
    cut = nullcontext() if at_the_cut is None else at_the_cut(lambda: before.append(mode.get_total_flops()))
    with cut, mode, torch.no_grad():
        network(torch.zeros(1, 3, side, side, dtype=like.dtype, device=like.device))
    total = mode.get_total_flops()
    return total / 2e9, (total - before[-1]) / 2e9


def pretrained(model: ModelSpec) -> dict[str, Any]:
    """The library's own ImageNet weights, downloaded."""
    if model.name in TORCHVISIONS:
        if model.variant == "v1":
            raise InputError("torchvision's ImageNet weights are of the variant v1.5")
        weights = torchvision.models.get_model_weights(model.name)["IMAGENET1K_V1"]
        state = weights.get_state_dict(progress=False, check_hash=True)
        return vgg19_names(state) if model.name == "vgg19" else state
    return timm.create_model(model.name, pretrained=True).state_dict()


def library_preprocessing(model: ModelSpec) -> Preprocessing:
    """timm's mean and standard deviation of this model, times 255."""
    card = timm.get_pretrained_cfg(model.name)
    if card is None:
        return TORCHVISION
    mean, std = (tuple(round(255 * v, 4) for v in values) for values in (card.mean, card.std))
    return Preprocessing(channels="rgb", mean=mean, std=std)

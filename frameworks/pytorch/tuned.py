"""The tuned lane on torch: the network cut in two, its frozen part folded and in a lower precision."""

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from common.core.specs import ExecutionConfig, SearchSpace, Train
from frameworks.pytorch.models import NORMS, Built, Preprocess

# The first value of each: how the search begins.
# On a processor a small batch stays in the cache; a GPU is not filled by it.
MICRO_BATCHES = {"cpu": (32, 16, 8, 4), "cuda": (64, 128, 256, 32)}
# TorchScript, which torch advises against for new work, is built in a second and joins ReLU to the convolution before it:
# ResNet-50 to layer3 58 images/s, plainly 56; EfficientNet-Lite0 233, plainly 222 (bfloat16, 8 images, 2 cores).
FROZEN_COMPILERS = ("none", "TorchScript", "inductor")
TRAINED_WAYS: SearchSpace = {"precision": ("float32", "bfloat16"), "compiler": ("none", "inductor")}
SLOW = ("inductor",)
# Of the folded network's output on noise: a network whose norms do not follow its convolutions is not folded.
ALIKE = 1e-3


def split(built: Built, train: Train) -> tuple[nn.Module, nn.Module] | None:
    """The frozen part and the rest, sharing the network's modules; None where nothing is frozen or the cut is not known."""
    network: Any = built.network
    at = built.last_block[0].rstrip(".") if built.last_block else ""
    if train == "head" and hasattr(network, "forward_head"):  # timm's
        return Pooled(network), network.get_submodule(built.head)
    if train == "all" or (train == "last-block" and hasattr(network, "forward_head") and not at.startswith("blocks.")):
        return None
    if hasattr(network, "forward_head"):  # timm's EfficientNet: its blocks are numbered
        block = int(at.partition(".")[2])
        frozen = [network.conv_stem, network.bn1, *network.blocks[:block]]
        rest = [*network.blocks[block:], network.conv_head, network.bn2, network.global_pool, network.classifier]
        return nn.Sequential(*frozen), nn.Sequential(*rest)
    modules = dict(network.named_children())
    if "layer3" in modules:  # its dropout acts where layer4 trains, and is drawn anew in every step
        modules["layer3"] = nn.Sequential(*(m for m in network.layer3.children() if m is not built.dropout))
        if built.dropout is not None:
            modules = _before(modules, "layer4", "dropout", built.dropout)
        modules = _before(modules, "fc", "flatten", nn.Flatten(1))
        first = "fc" if train == "head" else "dropout" if built.dropout is not None else "layer4"
    else:
        first = built.head if train == "head" else next(n for n in modules if n.startswith(at))
    names = list(modules)
    cut = names.index(first)
    parts = ([modules[n] for n in chosen if train != "head" or n != "dropout"] for chosen in (names[:cut], names[cut:]))
    before, after = (nn.Sequential(*part) for part in parts)
    return before, after


@contextmanager
def at_the_cut(parts: tuple[nn.Module, nn.Module] | None, tell: Callable[[], None]) -> Iterator[None]:
    """Tell whenever the part that trains begins."""
    if parts is None:  # everything trains, or where that part begins is not known
        yield
        return
    first = parts[1][0] if isinstance(parts[1], nn.Sequential) else parts[1]
    hook = first.register_forward_pre_hook(lambda module, inputs: tell())
    try:
        yield
    finally:
        hook.remove()


def _before(modules: dict[str, nn.Module], place: str, name: str, module: nn.Module) -> dict[str, nn.Module]:
    items = list(modules.items())
    at = list(modules).index(place)
    return dict([*items[:at], (name, module), *items[at:]])


class Pooled(nn.Module):
    """A timm network up to what its classifier takes."""

    def __init__(self, network: Any):
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network.forward_head(self.network.forward_features(x), pre_logits=True)


def folded(network: nn.Module, side: int) -> nn.Module:
    """A copy in inference mode, each batch norm folded into the convolution before it; unfolded where that would change
    what it computes of images of that side."""
    plain = copy.deepcopy(network).eval()
    copied = copy.deepcopy(plain)
    for parent in list(copied.modules()):
        for (_, conv), (name, norm) in pairwise(list(parent.named_children())):
            if type(norm) in NORMS and isinstance(conv, nn.Conv2d) and conv.out_channels == norm.num_features:
                _fold(conv, norm)
                parent.set_submodule(name, _after(norm))
    like = next(plain.parameters())
    noise = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)).to(like)
    with torch.no_grad():
        before, after = plain(noise), copied(noise)
    return copied if (before - after).norm() <= ALIKE * before.norm() else plain


def _after(norm: Any) -> nn.Module:
    """What is left of a batch norm that is folded: timm's have their activation within."""
    return nn.Sequential(norm.drop, norm.act) if hasattr(norm, "act") else nn.Identity()


def _fold(conv: nn.Conv2d, norm: Any) -> None:
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    bias = torch.zeros_like(scale) if conv.bias is None else conv.bias
    conv.weight = nn.Parameter(conv.weight * scale.view(-1, 1, 1, 1), requires_grad=False)
    conv.bias = nn.Parameter((bias - norm.running_mean) * scale + norm.bias, requires_grad=False)


def frozen_ways(device: str) -> SearchSpace:
    """Setting -> values, the micro batch before the compiler, which builds for one size."""
    sizes = MICRO_BATCHES[device]
    return {"precision": ("float32", "bfloat16"), "micro batch": sizes, "compiler": FROZEN_COMPILERS}


def extractor(
    frozen: nn.Module, preprocess: Preprocess, way: ExecutionConfig, kept: str, side: int
) -> Callable[[np.ndarray], np.ndarray]:
    """uint8 [n, side, side, 3] -> kept's dtype [n, h, w, c] or [n, features]. The pixels are normalised in float32: they would
    lose digits else."""
    dtype = getattr(torch, str(way["precision"]))
    device = preprocess.mean.device
    network = folded(frozen, side).to(device, dtype=dtype).to(memory_format=torch.channels_last)
    run: Any = torch.compile(network, options={"freezing": True}) if way["compiler"] == "inductor" else network

    def extract(pixels: np.ndarray) -> np.ndarray:
        nonlocal run
        with torch.no_grad():
            x = preprocess(torch.from_numpy(pixels).to(device)).to(dtype)
            if way["compiler"] == "TorchScript" and run is network:
                run = _scripted(network, x)
            x = run(x).to(getattr(torch, kept))  # torch makes float16 of 200,000 values in .3 ms, NumPy in 1.4
            return (x.permute(0, 2, 3, 1) if x.dim() == 4 else x).contiguous().cpu().numpy()

    return extract


def _scripted(network: nn.Module, x: torch.Tensor) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # see FROZEN_COMPILERS
        return torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(network, x)))


class QuickDropout(nn.Module):
    """nn.Dropout whose mask is drawn from 16 bits a value: of a step of 520 ms over ResNet-50's layer4 (32 images, bfloat16, 2
    cores) torch's own takes 72, this 12. It acts where the dropout that it stands for does."""

    def __init__(self, dropout: nn.Dropout):
        super().__init__()
        self.dropout = dropout

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.dropout.training or not self.dropout.p:
            return x
        keep, lying = 1 - self.dropout.p, x.movedim(1, -1)  # as it lies in memory
        drawn = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device).random_(-(2**63), None)
        kept = drawn.view(torch.int16)[: x.numel()] < round((keep - 0.5) * 2**16)
        return x * kept.view(lying.shape).movedim(-1, 1) / keep


def quick(rest: nn.Module) -> nn.Module:
    """The part that trains, with its dropout drawn quickly."""
    if not isinstance(rest, nn.Sequential):
        return rest
    return nn.Sequential(*(QuickDropout(m) if type(m) is nn.Dropout else m for m in rest))


def forward(network: nn.Module, way: ExecutionConfig, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """How the part that trains runs: in a lower precision (its weights stay as they are), compiled, or plainly."""
    run: Any = torch.compile(network) if way["compiler"] == "inductor" else network
    if way["precision"] == "float32":
        return run
    kind = getattr(torch, str(way["precision"]))

    def lower(x: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device.type, kind):
            return run(x).float()

    return lower


def products(precision: str, device: torch.device) -> dict[str, tuple[float, Callable[[], None]]]:
    """See frameworks/contract.py."""
    dtype, found = getattr(torch, precision), {}

    def timed(name: str, flops: float, run: Callable[..., torch.Tensor], *operands: torch.Tensor) -> None:
        def call() -> None:
            with torch.no_grad():
                run(*operands)
            if device.type == "cuda":
                torch.cuda.synchronize()

        found[name] = (flops, call)

    gpu = device.type == "cuda"  # which smaller work does not fill
    for n in (1024, 2048, 8192) if gpu else (1024, 2048):
        timed(f"matrix product {n}", 2.0 * n**3, torch.matmul, *torch.rand(2, n, n, device=device, dtype=dtype))
    images = 256 if gpu else 8
    for channels, side, kernel in ((256, 14, 3), (512, 7, 3), (256, 56, 1), (64, 56, 3), (512, 28, 3)):
        conv = nn.Conv2d(channels, channels, kernel, padding="same", bias=False)
        conv = conv.to(device, dtype=dtype).to(memory_format=torch.channels_last)
        x = torch.rand(images, channels, side, side, device=device, dtype=dtype).to(memory_format=torch.channels_last)
        timed(
            f"convolution {kernel}x{kernel}, {channels} at {side}",
            2.0 * images * side**2 * channels**2 * kernel**2,
            conv,
            x,
        )
    return found

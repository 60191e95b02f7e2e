"""PyTorch behind the contract: eager, float32, channels last as the pixels come and as TensorFlow computes."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
import torchvision
from torch import nn

from common.errors import InputError
from common.feed import Feed
from common.types import BuildSpec, ModelSpec, Preprocessing, ProcessSpec
from common.watch import Watch
from frameworks.pytorch import MODELS, models
from frameworks.pytorch.data import loader


class Model:
    """A network with its preprocessing and optimiser."""

    def __init__(self, built: models.Built, spec: BuildSpec, device: torch.device):
        self.built, self.spec = built, spec
        self.preprocess = models.Preprocess(spec.preprocessing).to(device)
        weights = torch.tensor(spec.positive_weights, device=device) if spec.positive_weights else None
        self.loss = nn.BCEWithLogitsLoss(pos_weight=weights)
        trained = [p for p in built.network.parameters() if p.requires_grad]
        self.optimiser = torch.optim.Adam(trained, lr=spec.learning_rate)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau
        self.schedule = plateau(self.optimiser, patience=2) if spec.schedule == "plateau" else None

    @property
    def network(self) -> nn.Module:
        return self.built.network


class Adapter:
    """See frameworks/contract.py."""

    def __init__(self, process: ProcessSpec, seed: int) -> None:
        if process.device == "cuda" and not torch.cuda.is_available():
            raise InputError("torch sees no CUDA device; take --device cpu")
        self.device = torch.device(process.device)
        torch.set_num_threads(process.threads)
        torch.set_num_interop_threads(process.threads)
        # float32 means float32 on every framework: TF32 is on by default for some operations and off for others
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        torch.manual_seed(seed)
        if process.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS refuses to be deterministic
            torch.use_deterministic_algorithms(True)

    def environment(self) -> dict[str, str]:
        gpu = torch.cuda.get_device_name() if self.device.type == "cuda" else ""
        return {
            "framework": f"torch {torch.__version__}, torchvision {torchvision.__version__}, timm {timm.__version__}",
            "device": self.device.type + (f" ({gpu})" if gpu else ""),
            "threads": f"{torch.get_num_threads()} intra-op, {torch.get_num_interop_threads()} inter-op",
            "cpu kernels": torch.backends.cpu.get_cpu_capability(),
        }

    def models(self) -> list[str]:
        return models.names()

    def build(self, spec: BuildSpec) -> Model:
        built = models.build(spec.model, spec.classes, spec.side)
        models.freeze(built, spec.train)
        # The pixels come channels last, TensorFlow computes so, and torch is 1.2 to 1.7 times faster so (2 cores,
        # float32, forward, 64 to 224 pixels): one layout for all rows.
        built.network.to(self.device, memory_format=torch.channels_last)
        return Model(built, spec, self.device)

    def head(self, model: Model) -> tuple[str, str]:
        return f"{model.built.head}.weight", f"{model.built.head}.bias"

    def trainable(self, model: Model) -> set[str]:
        return {name for name, p in model.network.named_parameters() if p.requires_grad}

    def dump(self, model: Model) -> dict[str, np.ndarray]:
        return {
            name: tensor.detach().cpu().numpy().astype(np.float32)  # a copy: training goes on in the tensor
            for name, tensor in model.network.state_dict().items()
            if tensor.is_floating_point()
        }

    def load(self, model: Model, tensors: dict[str, np.ndarray]) -> None:
        state = model.network.state_dict()
        with torch.no_grad():
            for name, array in tensors.items():
                state[name].copy_(torch.from_numpy(np.ascontiguousarray(array)))

    def train_epoch(self, model: Model, feed: Feed, watch: Watch) -> float:
        models.train_mode(model.built, model.spec.frozen_norm)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for images, labels in watch.fetch(loader(feed, pin=self.device.type == "cuda")):
            watch.received(images, labels)
            images, labels = images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
            model.optimiser.zero_grad()
            loss = model.loss(model.network(model.preprocess(images)), labels)
            loss.backward()
            model.optimiser.step()
            total += loss.detach() * len(images)
            watch.stepped(len(images), loss.detach())
        return float(total) / feed.images

    def validated(self, model: Model, loss: float) -> None:
        if model.schedule:
            model.schedule.step(loss)

    def save(self, model: Model, path: Path) -> None:
        state = {
            "network": model.network.state_dict(),
            "optimiser": model.optimiser.state_dict(),
            "random": torch.get_rng_state(),
        }
        if model.schedule:
            state["schedule"] = model.schedule.state_dict()
        if self.device.type == "cuda":
            state["cuda random"] = torch.cuda.get_rng_state()
        torch.save(state, path)

    def restore(self, model: Model, path: Path) -> None:
        state = torch.load(path, map_location="cpu", weights_only=True)
        model.network.load_state_dict(state["network"])
        model.optimiser.load_state_dict(state["optimiser"])
        if model.schedule:
            model.schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["random"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda random"])

    def predict(self, model: Model, feed: Feed, watch: Watch) -> np.ndarray:
        model.network.eval()
        parts = []
        with torch.no_grad():
            for (images,) in watch.fetch(loader(feed, pin=self.device.type == "cuda")):
                watch.received(images)
                images = images.to(self.device, non_blocking=True)
                parts.append(model.network(model.preprocess(images)))
                watch.stepped(len(images))
        return torch.cat(parts).float().cpu().numpy()

    def facts(self, model: Model) -> dict[str, Any]:
        parameters = list(model.network.parameters())
        adam = model.optimiser.param_groups[0]
        gmac = models.gmac(model.network, model.spec.side)
        models.train_mode(
            model.built, model.spec.frozen_norm
        )  # after the count, which leaves everything in inference mode
        norms = [m for m in model.network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        moving = sum(m.training for m in norms)
        conv = next((m.weight for m in model.network.modules() if isinstance(m, nn.Conv2d)), parameters[0])
        channels_last = conv.dim() == 4 and not conv.is_contiguous()
        return {
            "parameters": sum(p.numel() for p in parameters),
            "trainable_parameters": sum(p.numel() for p in parameters if p.requires_grad),
            "gmac": gmac,
            "precision": str(parameters[0].dtype).removeprefix("torch."),
            "TF32": f"matrix products {_on(torch.backends.cuda.matmul.allow_tf32)}, "
            f"convolutions {_on(torch.backends.cudnn.allow_tf32)}",
            "initialisation": "of torch's modules",
            "layout": "channels last" if channels_last else "channels first",
            "compiled": "no (eager)",
            "optimiser": f"Adam, learning rate {adam['lr']:g}, betas {adam['betas']}, eps {adam['eps']:g} added to the corrected sqrt(v)",
            "batch norm": f"{moving} of {len(norms)} in training mode"
            + (f", eps {norms[0].eps:g}, momentum {norms[0].momentum:g} of the new value, running variance unbiased" if norms else ""),
            "dropout": f"{model.built.dropout.p:g} before layer4" if model.built.dropout and model.built.dropout.training else "none",
            "schedule": "ReduceLROnPlateau, patience 2" if model.schedule else "constant",
            "loader": "DataLoader; workers are processes, without one the training process loads",
            "deterministic kernels": str(torch.are_deterministic_algorithms_enabled()),
        }  # fmt: skip

    def fence(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def peak_device_bytes(self) -> int:
        return torch.cuda.max_memory_allocated() if self.device.type == "cuda" else 0

    def preprocessing(self, model: ModelSpec) -> Preprocessing:
        return models.library_preprocessing(model)

    def export(self, model: ModelSpec, source: str) -> tuple[dict[str, np.ndarray], Preprocessing]:
        state = models.pretrained(model) if source == "imagenet" else models.from_file(model, source)
        tensors = {n: t.detach().cpu().numpy().astype(np.float32) for n, t in state.items() if t.is_floating_point()}
        return tensors, MODELS[model.name].preprocessing if model.name in MODELS else self.preprocessing(model)


def _on(flag: bool) -> str:
    return "on" if flag else "off"

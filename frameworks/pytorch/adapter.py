"""PyTorch behind the contract: eager, float32, channels last as the pixels come and as TensorFlow computes."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
import torchvision
from torch import nn
from torch.utils.data import DataLoader

from common.core.events import FORWARD, FROZEN, RECEIPT, TRAINED
from common.core.specs import BuildSpec, ExecutionConfig, ModelSpec, Preprocessing, ProcessSpec, SearchSpace
from common.data.feed import Feed
from common.trial.stopwatch import Watch
from frameworks.contract import Measurable, Normalising, Noted, Optimizable
from frameworks.pytorch import MODELS, checkpoints, models, tuned
from frameworks.pytorch.data import loader
from frameworks.pytorch.parallel import Ranks
from frameworks.torch_common import process as torch_process

OPTIMISERS = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


class Model:
    """A network with its preprocessing, optimiser and receipts."""

    def __init__(self, built: models.Built, spec: BuildSpec, device: torch.device):
        self.built, self.spec, self.dtype = built, spec, getattr(torch, spec.precision)
        self.preprocess = models.Preprocess(spec.preprocessing, self.dtype).to(device)
        weights = torch.tensor(spec.positive_weights, device=device, dtype=self.dtype)
        self.loss = nn.BCEWithLogitsLoss(pos_weight=weights if spec.positive_weights else None)
        trained = [p for p in built.network.parameters() if p.requires_grad]
        self.optimiser = OPTIMISERS[spec.optimiser](trained, lr=spec.learning_rate)
        self.receipt = torch_process.Receipt(spec.classes, device)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau
        self.schedule = plateau(self.optimiser, patience=2) if spec.schedule == "plateau" else None
        self.parts = tuned.split(built, spec.train)
        self.cut, self.from_features = self.parts, False  # where steps tell that the part that trains begins
        self.ranks = Ranks()
        self.wrapped = self.ranks.wrapped(built.network, self.moving_norms(), device)
        self.runs = self.network  # in steps and predictions: the network, or what trains of it
        self.run: Callable[[torch.Tensor], torch.Tensor] = self.whole  # how

    def whole(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 [n, side, side, 3] -> logits [n, classes]: the default lane."""
        return (self.wrapped if torch.is_grad_enabled() else self.network)(self.preprocess(pixels))

    def moving_norms(self) -> int:
        """How many batch norms normalise by the batch, and move their statistics, in a training step."""
        models.train_mode(self.built, self.spec.frozen_norm)
        return sum(isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training for m in self.network.modules())

    @property
    def network(self) -> nn.Module:
        return self.built.network


class Adapter:
    """See frameworks/contract.py."""

    def __init__(self, process: ProcessSpec, seed: int) -> None:
        self.device = torch_process.set_up(process, seed)

    def environment(self) -> dict[str, str]:
        versions = f"torch {torch.__version__}, torchvision {torchvision.__version__}, timm {timm.__version__}"
        return {"framework": versions} | torch_process.environment(self.device)

    def models(self) -> list[str]:
        return models.names()

    def build(self, spec: BuildSpec) -> Model:
        built = models.build(spec.model, spec.classes, spec.side, dropout=spec.formulas == "library")
        head = built.network.get_submodule(built.head)
        assert isinstance(head, nn.Linear)
        own = models.Head(head.in_features, head.out_features, bias=head.bias is not None)
        built.network.set_submodule(built.head, own)
        models.freeze(built, spec.train)
        if Ranks().count > 1 and self.device.type == "cuda":
            built = models.with_synchronised_norms(built)
        # The pixels come channels last, TensorFlow computes so, and torch is 1.2 to 1.7 times faster so (2 cores,
        # float32, forward, 64 to 224 pixels): one layout for all rows.
        dtype = getattr(torch, spec.precision)
        built.network.to(self.device, dtype=dtype).to(memory_format=torch.channels_last)
        return Model(built, spec, self.device)

    def head(self, model: Model) -> tuple[str, str]:
        return f"{model.built.head}.weight", f"{model.built.head}.bias"

    def trainable(self, model: Model) -> set[str]:
        return {name for name, p in model.network.named_parameters() if p.requires_grad}

    def dump(self, model: Model) -> dict[str, np.ndarray]:
        return {
            name: tensor.detach().cpu().numpy().copy()  # training goes on in the tensor
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
        taken = []
        counts = iter(model.ranks.counts(feed))
        # A GPU does its work later than it is told to: there a step is not taken apart.
        part = watch.part if watch.takes_apart and self.device.type == "cpu" else lambda name: None
        trained_alone = model.cut or model.from_features or model.spec.train == "all"
        forward = TRAINED if trained_alone else FORWARD
        with tuned.at_the_cut(model.cut, lambda: part(FROZEN)):
            for batch in watch.fetch(self._loader(model, feed)):
                watch.received(*batch)
                mine, whole = next(counts)
                images, labels, ids = (tensor.to(self.device, non_blocking=True) for tensor in batch)
                part("host to device")
                taken.append(model.receipt(images, labels, ids)[:mine])
                part(RECEIPT)
                model.optimiser.zero_grad()
                loss = model.loss(model.run(images), labels.to(model.dtype))
                part(forward)
                (loss * weight if (weight := model.ranks.weight(mine, whole)) != 1 else loss).backward()
                part("backward")
                model.optimiser.step()
                part("optimiser")
                total += loss.detach() * mine
                watch.stepped(whole, loss.detach())
        watch.took(model.ranks.gathered(taken))
        return model.ranks.summed(total) / feed.images

    def _loader(self, model: Model, feed: Feed) -> DataLoader:
        return loader(feed, model.ranks.positions(feed), pin=self.device.type == "cuda")

    def receipt(self, model: Model, images: np.ndarray, labels: np.ndarray, ids: np.ndarray) -> np.ndarray:
        batch = (torch.from_numpy(array).to(self.device) for array in (images, labels, ids))
        return model.receipt(*batch).cpu().numpy()

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
        parts, counts = [], iter(model.ranks.counts(feed))
        with torch.no_grad():
            for (images,) in watch.fetch(self._loader(model, feed)):
                watch.received(images)
                mine, whole = next(counts)
                images = images.to(self.device, non_blocking=True)
                parts.append(model.run(images)[:mine])
                watch.stepped(whole)
        return model.ranks.gathered(parts)

    def consume(self, feed: Feed) -> None:
        for _ in loader(feed, Ranks().positions(feed), pin=self.device.type == "cuda"):
            pass

    def products(self, precision: str) -> dict[str, tuple[float, Callable[[], Any]]]:
        return tuned.products(precision, self.device)

    SLOW: tuple[str, ...] = tuned.SLOW

    def frozen_ways(self, model: Model) -> SearchSpace:
        known = model.parts and model.spec.frozen_norm == "inference"
        return tuned.frozen_ways(self.device.type) if known else {}

    def extractor(self, model: Model, way: ExecutionConfig, dtype: str) -> Callable[[np.ndarray], np.ndarray]:
        assert model.parts
        return tuned.extractor(model.parts[0], model.preprocess, way, dtype, model.spec.side)

    def training_ways(self, model: Model, from_features: bool) -> SearchSpace:
        head_alone = from_features and model.spec.train == "head"
        return {} if head_alone else tuned.TRAINED_WAYS

    def run_as(self, model: Model, way: ExecutionConfig, example: np.ndarray | None) -> None:
        # Fused: one pass over the weights, 10 ms for 15 million where the default takes 19.
        for group in model.optimiser.param_groups:
            group["fused"] = True if way and model.spec.optimiser == "adam" else None
        way = {setting: values[0] for setting, values in tuned.TRAINED_WAYS.items()} | way
        network = model.network
        if example is not None:
            assert model.parts
            network = tuned.quick(model.parts[1])
        model.runs, model.from_features = network, example is not None
        # Not in a compiled network: it would be traced anew with every hook, or not see it.
        model.cut = model.parts if example is None and way["compiler"] == "none" else None
        run = tuned.forward(network, way, self.device)
        prepare = model.preprocess if example is None else partial(_features, getattr(torch, str(way["precision"])))
        model.run = lambda x: run(prepare(x))

    def activations(self, model: Model, pixels: np.ndarray, training: bool) -> dict[str, np.ndarray]:
        if training:
            models.train_mode(model.built, model.spec.frozen_norm)
        else:
            model.network.eval()
        with torch.no_grad():
            images = torch.from_numpy(pixels).to(self.device)
            return models.activations(model.network, model.preprocess(images))

    def apply(self, model: Model, gradients: dict[str, np.ndarray]) -> None:
        for name, parameter in model.network.named_parameters():
            if parameter.requires_grad:
                parameter.grad = torch.from_numpy(np.array(gradients[name])).to(parameter)
        model.optimiser.step()

    def layer_facts(self, model: Model) -> dict[str, str]:
        models.train_mode(model.built, model.spec.frozen_norm)
        return models.layer_facts(model.network) | {"input": str(model.preprocess)}

    def fewest_normalised(self, model: Model) -> int:
        models.train_mode(model.built, model.spec.frozen_norm)
        return models.fewest_normalised(model.network, model.spec.side)

    def facts(self, model: Model) -> dict[str, Any]:
        parameters = list(model.network.parameters())
        cut = partial(tuned.at_the_cut, model.parts) if model.parts else None
        gmac, trained = models.gmac(model.network, model.spec.side, cut)
        known = model.parts or model.spec.train == "all"
        models.train_mode(
            model.built, model.spec.frozen_norm
        )  # after the count, which leaves everything in inference mode
        norms = [m for m in model.network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        moving, forms = sum(m.training for m in norms), sorted({models.norm_words(m) for m in norms})
        conv = next((m.weight for m in model.network.modules() if isinstance(m, nn.Conv2d)), parameters[0])
        channels_last = conv.dim() == 4 and not conv.is_contiguous()
        return {
            "parameters": sum(p.numel() for p in parameters),
            "trainable_parameters": sum(p.numel() for p in parameters if p.requires_grad),
            "gmac": gmac,
            **({"gmac_trained": trained} if known else {}),
            "precision": torch_process.precision(parameters[0].dtype, self.device),
            "initialisation": "of torch's modules",
            "layout": "channels last" if channels_last else "channels first",
            "compiled": torch_process.compiled(model.network),
            "optimiser": _optimiser_words(model.optimiser),
            "loss": _loss_words(model.loss),
            "batch norm": "; ".join([f"{moving} of {len(norms)} in training mode", *forms]),
            "dropout": _dropout_words(model),
            "schedule": "ReduceLROnPlateau, patience 2" if model.schedule else "constant",
            "loader": "DataLoader; workers are processes, without one the training process loads",
            **({"devices": f"{model.ranks.count}, gradients averaged by {type(model.wrapped).__name__}"} if model.ranks.count > 1 else {}),
            **torch_process.facts(),
        }  # fmt: skip

    def fence(self) -> None:
        torch_process.fence(self.device)

    def peak_device_bytes(self) -> int:
        return torch_process.peak_bytes(self.device)

    def preprocessing(self, model: ModelSpec) -> Preprocessing:
        return models.library_preprocessing(model)

    def export(self, model: ModelSpec, source: str) -> Noted:
        state, note = (models.pretrained(model), "") if source == "imagenet" else checkpoints.from_file(model, source)
        tensors = {n: t.detach().cpu().float().numpy() for n, t in state.items() if t.is_floating_point()}
        usual = MODELS[model.name].preprocessing if model.name in MODELS else self.preprocessing(model)
        return tensors, usual, note


def _features(dtype: torch.dtype, x: torch.Tensor) -> torch.Tensor:
    """As they lie in the store, [n, h, w, c] or [n, features], to what the network takes: a view, not a copy."""
    return (x.permute(0, 3, 1, 2) if x.dim() == 4 else x).to(dtype)


def _dropout_words(model: Model) -> str:
    dropout = model.built.dropout
    if not dropout or not dropout.training:
        return "none"
    quick = any(isinstance(m, tuned.QuickDropout) for m in model.runs.modules())
    return f"{dropout.p:g} before layer4" + (", its mask drawn from 16 bits" if quick else "")


def _optimiser_words(optimiser: torch.optim.Optimizer) -> str:
    group = optimiser.param_groups[0]
    if type(optimiser) is not torch.optim.Adam:
        return f"{type(optimiser).__name__}, learning rate {group['lr']:g}"
    words = f"Adam, learning rate {group['lr']:g}, betas {group['betas']}, eps {group['eps']:g}"
    return f"{words} added to the corrected sqrt(v)" + (", fused" if group["fused"] else "")


def _loss_words(loss: nn.BCEWithLogitsLoss) -> str:
    weighted = "" if loss.pos_weight is None else ", positives weighted"
    return f"binary cross-entropy from logits, {loss.reduction} over images{weighted}"


# mypy checks the signatures.
PROTOCOLS: tuple[type[Optimizable], type[Measurable], type[Normalising]] = (Adapter, Adapter, Adapter)

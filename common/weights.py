"""Which initial weights a trial gets: packaged, downloaded, a file, or none; resolved before anything trains."""

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from safetensors import SafetensorError, safe_open

from common import loading
from common.child import ask
from common.errors import InputError
from common.files import cache_folder, hash_file
from common.types import Job, ModelSpec, Preprocessing, WeightsSpec
from frameworks.contract import HALF, NAMED, ModelCard

CHOICES = ("auto", "imagenet", "random")


def choice_for(model: ModelSpec, asked: tuple[str, ...]) -> str:
    """`--weights auto resnet50:v1=FILE`: the entry that names the model, else the one that names none."""
    choice = "auto"
    for text in asked:
        name, equals, value = text.partition("=")
        if not equals:
            choice = text
    for text in asked:
        name, equals, value = text.partition("=")
        if equals and name in (model.name, str(model)):
            choice = value
    return choice


def resolve(job: Job, asked: tuple[str, ...], say: Callable[[str], None]) -> WeightsSpec:
    """The weights of one job. InputError where what was asked for by name cannot be had or does not fit."""
    card = loading.framework_card(job.framework)
    model_card = card.MODELS.get(job.model.name) or ModelCard(HALF)
    choice = choice_for(job.model, asked)
    if choice == "random":
        return WeightsSpec(source="random", preprocessing=model_card.preprocessing)
    if choice not in CHOICES:
        return from_file(Path(choice), job.model)
    if choice == "auto" and model_card.packaged:
        return _packaged(job, *model_card.packaged)
    if choice == "auto" and not model_card.pretrained:
        return WeightsSpec(source="random", preprocessing=model_card.preprocessing)
    try:
        if not model_card.pretrained:
            raise InputError("the library offers none")
        target = _cached(job.model, f"imagenet-{card.NAME}")
        if not target.exists():
            say(f"looking for the library's ImageNet weights of {job.model} ({card.NAME})")
            _export(card, job.model, "imagenet", target)
        return from_file(target, job.model, source="imagenet")
    except InputError as error:
        if choice == "imagenet":
            raise InputError(f"ImageNet weights of {job.model} ({card.NAME}) cannot be had: {error}") from error
        reason = re.sub(r"\S+://\S+", "its address", str(error).splitlines()[-1])
        note = f"random weights: the ImageNet ones cannot be had ({reason[:160]})"
        return WeightsSpec(source="random", preprocessing=model_card.preprocessing, note=note)


def from_file(path: Path, model: ModelSpec, source: str = "") -> WeightsSpec:
    """A safetensors file whose metadata, where it says so, names the same architecture and variant."""
    if not path.is_file():
        raise InputError(f"no weights file '{path}'; --weights takes {', '.join(CHOICES)} or a .safetensors file")
    try:
        with safe_open(path, "np") as stream:
            said = stream.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a safetensors file ({error}); --weights takes no other yet") from error
    for field, wanted in (("architecture", model.name), ("variant", model.variant)):
        if said.get(field) and wanted and said[field] != wanted:
            fitting = f"--models {said.get('architecture', model.name)}"
            fitting += f":{said['variant']}" if said.get("variant") else ""
            raise InputError(
                f"{path} holds the {field} {said[field]}, the trial has {wanted}: it would load without an error "
                f"and be quietly worse; take {fitting}, or for this model alone --weights {model}=FILE"
            )
    return WeightsSpec(
        source=source or path.name, path=str(path.resolve()), sha256=hash_file(path),
        preprocessing=_preprocessing(said.get("preprocessing", ""), path, model),
    )  # fmt: skip


def _preprocessing(text: str, path: Path, model: ModelSpec) -> Preprocessing:
    """It belongs to the weights: named in the metadata, or as JSON there; else the model card's."""
    if text in NAMED:
        return NAMED[text]
    if text:
        try:
            return Preprocessing.model_validate_json(text)
        except ValueError:
            known = ", ".join(NAMED)
            raise InputError(f"{path} names the preprocessing '{text}'; there are: {known}, or JSON") from None
    for card in loading.framework_cards().values():
        if model.name in card.MODELS:
            return card.MODELS[model.name].preprocessing
    return HALF


def _cached(model: ModelSpec, source: str) -> Path:
    return cache_folder() / "weights" / f"{str(model).replace(':', '-')}-{source}.safetensors"


def _packaged(job: Job, package: str, file: str) -> WeightsSpec:
    """The package's file under canonical names, converted once by a framework that reads it."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise InputError(
            f"the package {package.replace('_', '-')} with the weights of {job.model} is not installed; run: uv sync"
        )
    source = Path(found.origin).parent / file
    target = _cached(job.model, f"packaged-{hash_file(source)[:12]}")
    if not target.exists():
        readers = [c for c in loading.framework_cards().values() if source.suffix in c.READS]
        if not readers:
            raise InputError(f"no framework here reads {source.suffix} files ({source.name})")
        _export(readers[0], job.model, str(source), target)
    return from_file(target, job.model, source="packaged")


def _export(card: ModuleType, model: ModelSpec, source: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    ask(card.NAME, "export", model=model.name, variant=model.variant, source=source, target=str(target))

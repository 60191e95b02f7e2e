"""Which initial weights a trial gets: packaged, downloaded, a file, or none; resolved before anything trains."""

import importlib.util
import re
from collections.abc import Iterable
from pathlib import Path

from common.core import registry
from common.core.callbacks import Say
from common.core.errors import InputError, unknown
from common.core.files import cache_folder
from common.core.formatting import shortened
from common.core.framework_info import FrameworkInfo, ModelInfo
from common.core.hashing import hash_file, hash_weights
from common.core.specs import Job, ModelSpec, Preprocessing, WeightsSpec
from common.core.tensor_files import check_forms
from common.process.question import ask
from common.process.questions import EXPORT, PREPROCESSING
from frameworks.contract import HALF, NAMED

CHOICES = ("auto", "imagenet", "random")
CONVERSION = 2  # of another form of weights; raised where a mapping of names is mended, so that no old file is taken


def choice_for(model: ModelSpec, asked: tuple[str, ...]) -> str:
    """`--weights auto resnet50:v1=FILE`: the entry that names the model, else the one that names none."""
    named = {name: choice for name, choice in map(_parts, asked) if name}
    return named.get(str(model)) or named.get(model.name) or next((c for n, c in map(_parts, asked) if not n), "auto")


def check_choices(models: Iterable[ModelSpec], asked: tuple[str, ...]) -> None:
    """InputError for an entry that names no model of the run, or a second one that names none."""
    known = list(dict.fromkeys(name for model in models for name in (model.name, str(model))))
    parts = [_parts(text) for text in asked]
    for name, _ in parts:
        if name and name not in known:
            raise unknown("model of this run in --weights", name, known)
    general = [choice for name, choice in parts if not name]
    if len(general) > 1:
        raise InputError(f"--weights has {' and '.join(general)} for all models; name the model: MODEL={general[1]}")


def _parts(text: str) -> tuple[str, str]:
    """('resnet50:v1', 'FILE') of 'resnet50:v1=FILE'; ('', text) where no model is named, as in 'a/run=3/w.safetensors'."""
    name, equals, choice = text.partition("=")
    return (name, choice) if equals and "/" not in name and not Path(text).exists() else ("", text)


def resolve(job: Job, asked: tuple[str, ...], say: Say) -> WeightsSpec:
    """The weights of one job. InputError where what was asked for by name cannot be had or does not fit."""
    info = registry.framework_info(job.framework)
    model_info = info.MODELS.get(job.model.name) or ModelInfo(_librarys_own(job))
    choice = choice_for(job.model, asked)
    if choice == "random":
        return WeightsSpec(source="random", preprocessing=model_info.preprocessing)
    if choice not in CHOICES:
        path = Path(choice)
        return from_file(_readable(path, job.model), job.model, model_info.preprocessing, path.name)
    if choice == "auto" and model_info.packaged:
        return _packaged(job, *model_info.packaged)
    if choice == "auto" and not model_info.pretrained:
        return WeightsSpec(source="random", preprocessing=model_info.preprocessing)
    try:
        if not model_info.pretrained:
            raise InputError("the library offers none")
        target = _cached(job.model, f"imagenet-{info.NAME}")
        if not target.exists():
            say(f"looking for the library's ImageNet weights of {job.model} ({info.NAME}); --weights random skips this")
            _export(info, job.model, "imagenet", target)
        return from_file(target, job.model, model_info.preprocessing, source="imagenet")
    except InputError as error:
        if choice == "imagenet":
            raise InputError(f"ImageNet weights of {job.model} ({info.NAME}) cannot be had: {error}") from error
        reason = re.sub(r"\S+://\S+", "its address", str(error).splitlines()[-1])
        note = f"random weights: the ImageNet ones cannot be had ({shortened(reason, 160)})"
        return WeightsSpec(source="random", preprocessing=model_info.preprocessing, note=note)


def from_file(path: Path, model: ModelSpec, usual: Preprocessing, source: str = "") -> WeightsSpec:
    """A safetensors file whose metadata, where it says so, names the same architecture and variant.

    `usual`: the preprocessing where the metadata names none.
    """
    if not path.is_file():
        raise InputError(
            f"no weights file '{path}'; --weights takes {', '.join(CHOICES)} or a .safetensors, .pth or .weights.h5 file"
        )
    said = check_forms(path)
    for field, wanted in (("architecture", model.name), ("variant", model.variant)):
        if said.get(field) and wanted and said[field] != wanted:
            fitting = f"--models {said.get('architecture', model.name)}"
            fitting += f":{said['variant']}" if said.get("variant") else ""
            why = ": it would load without an error and be quietly worse" if field == "variant" else ""
            raise InputError(
                f"{path} holds the {field} {said[field]}, the trial has {wanted}{why}; take {fitting}, or another file"
            )
    lacks = [w for w in ("variant", "preprocessing") if not said.get(w) and (w != "variant" or model.variant)]
    note = (
        f"{source or path.name} does not name its {' and '.join(lacks)}: the model's usual was taken" if lacks else ""
    )
    note = joined(said.get("note", ""), note)
    return WeightsSpec(
        source=source or path.name, path=str(path.absolute()), sha256=hash_weights(path), note=note, assumed=bool(lacks),
        preprocessing=_preprocessing(said.get("preprocessing", ""), path, usual),
    )  # fmt: skip


def joined(*notes: str) -> str:
    """The notes that say something, as one."""
    return "; ".join(filter(None, notes))


def _readable(path: Path, model: ModelSpec) -> Path:
    """A safetensors file as it is; another framework's own form as one, converted once by a framework that reads it.

    The converted file says what such a file can say of itself: the variant where the library has one alone.
    """
    if not path.is_file() or path.suffix == ".safetensors":
        return path
    target = _cached(ModelSpec(name=model.name), f"{path.name}-{hash_file(path)[:12]}")
    if not target.exists():
        info = _reader(path)
        variant = info.MODELS[model.name].own_variant if model.name in info.MODELS else ""
        _export(info, ModelSpec(name=model.name, variant=variant), str(path.resolve()), target, named=False)
    return target


def _reader(path: Path) -> FrameworkInfo:
    infos = list(registry.framework_infos().values())
    for info in infos:
        if path.suffix in info.READS:
            return info
    known = ", ".join(suffix for info in infos for suffix in info.READS)
    raise InputError(f"no framework here reads '{path.name}'; --weights takes .safetensors, {known}")


def check_assumed(found: dict[Job, WeightsSpec]) -> None:
    """InputError where one file that does not say what it is would be taken for two different things."""
    first: dict[str, tuple[Job, WeightsSpec]] = {}
    for job, spec in found.items():
        if not spec.assumed:
            continue
        other, theirs = first.setdefault(spec.path, (job, spec))
        if (job.model.variant, spec.preprocessing) != (other.model.variant, theirs.preprocessing):
            raise InputError(
                f"{Path(spec.path).name} does not name its variant and preprocessing, and {other.framework} {other.model} "
                f"and {job.framework} {job.model} would each assume their own, so they would not start from the same "
                "weights; write both into its metadata (keys variant, preprocessing), or run one of them"
            )


def _preprocessing(text: str, path: Path, usual: Preprocessing) -> Preprocessing:
    """It belongs to the weights: named in the metadata, or as JSON there; else the model's usual one."""
    if not text or text in NAMED:
        return NAMED.get(text, usual)
    try:
        return Preprocessing.model_validate_json(text)
    except ValueError:
        known = ", ".join(NAMED)
        raise InputError(f"{path} names the preprocessing '{text}'; there are: {known}, or JSON") from None


def _librarys_own(job: Job) -> Preprocessing:
    """Of a model that no folder lists: what its library does before it."""
    return ask(job.framework, PREPROCESSING, model=job.model.name)


def _cached(model: ModelSpec, source: str) -> Path:
    return cache_folder() / "weights" / f"{str(model).replace(':', '-')}-{source}-v{CONVERSION}.safetensors"


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
        _export(_reader(source), job.model, str(source), target)
    return from_file(target, job.model, HALF, source="packaged")


def _export(info: FrameworkInfo, model: ModelSpec, source: str, target: Path, named: bool = True) -> None:
    """named: the file is the library's, so that its preprocessing is known."""
    target.parent.mkdir(parents=True, exist_ok=True)
    ask(info.NAME, EXPORT, model=model.name, variant=model.variant, source=source, target=str(target), named=named)

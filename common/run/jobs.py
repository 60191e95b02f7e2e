"""What was asked for -> settings -> the jobs of a run: a suite's, or every asked model on every asked framework that has it."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from common.core import registry
from common.core.errors import InputError, listed, unknown
from common.core.formatting import command
from common.core.framework_info import FrameworkInfo
from common.core.settings import Settings
from common.core.specs import Job, ModelSpec
from common.process.question import ask
from common.process.questions import MODELS


def make_settings(given: Mapping[str, Any], arguments: Sequence[str] = ()) -> Settings:
    """The recipe's values, then the suite's, then the user's own; arguments: the command line, to be repeated by."""
    if given.get("suite") and (given.keys() & {"frameworks", "models", "train", "balance", "keep_frozen"}):
        raise InputError(
            "--suite names its own frameworks, models, trained and frozen parts and balance; leave those out, or leave out --suite"
        )
    if "init_from" in given and "weights" in given:
        raise InputError("--init-from brings its own weights; leave out --weights, or leave out --init-from")
    suite = registry.suite(given["suite"]).DEFAULTS if "suite" in given else {}
    recipe = registry.recipe({**suite, **given}.get("recipe", "default")).SETTINGS
    found = valid_settings({**recipe, **suite, **given, "command": command(*arguments)})
    if found.wait_for_quiet_s and (why := registry.launcher(found.launcher).NO_WAIT):
        raise InputError(f"--wait-for-quiet does not work with --launcher {found.launcher}: {why}")
    registry.launcher(found.launcher)
    if found.track:
        registry.tracker(found.track)
    return found


def valid_settings(values: Mapping[str, Any]) -> Settings:
    """The settings of these values. InputError that names each value of a wrong kind: a recipe's or a suite's, say."""
    try:
        return Settings(**values)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, e['loc']))} = {e['input']!r} ({e['msg'].lower()})" for e in error.errors()]
        raise InputError(f"settings that cannot be used: {listed(wrong)}; see --help for what each takes") from None


def list_jobs(settings: Settings) -> tuple[list[Job], list[str]]:
    """The jobs, in order, and notes on what was asked for but does not exist. InputError for a wrong name."""
    if settings.suite:
        return list(registry.suite(settings.suite).JOBS), []
    chosen, notes = _chosen(settings)
    if settings.formulas == "matched":
        chosen = [(info, _common_variant(model, [c for c, m in chosen if m == model])) for info, model in chosen]
    found = [
        Job(
            framework=info.NAME,
            model=with_variant(info, model),
            train=settings.train,
            balance=settings.balance,
            keep_frozen=settings.keep_frozen,
        )
        for info, model in chosen
    ]
    found = list(dict.fromkeys(found))  # resnet50 and resnet50:v1.5 are one
    for job in found:
        _last_block_known(job)
        if settings.formulas == "matched" and job.model.name not in registry.framework_info(job.framework).MODELS:
            known = ", ".join(registry.framework_info(job.framework).MODELS)
            raise InputError(f"the recipe matched has one form of every formula for {known}, not for {job.model}")
    return found, notes


def _chosen(settings: Settings) -> tuple[list[tuple[FrameworkInfo, ModelSpec]], list[str]]:
    infos = [registry.framework_info(name) for name in settings.frameworks]
    infos = list(dict.fromkeys(infos)) or [c for c in registry.framework_infos().values() if c.DEFAULT_MODELS]
    if settings.models:
        return _named(infos, settings.models)
    return [(info, ModelSpec(name=name)) for info in infos for name in info.DEFAULT_MODELS or list(info.MODELS)[:1]], []


def with_variant(info: FrameworkInfo, model: ModelSpec) -> ModelSpec:
    """The model with its variant spelled out. InputError for a variant that the framework lacks."""
    known = info.MODELS[model.name].variants if model.name in info.MODELS else ()
    if model.variant and model.variant not in known:
        raise unknown(f"variant of {model.name} on {info.NAME}", model.variant, known)
    return model if model.variant or not known else ModelSpec(name=model.name, variant=known[0])


def _common_variant(model: ModelSpec, infos: list[FrameworkInfo]) -> ModelSpec:
    """The first variant that all frameworks of a matched run have, where none was asked for; else the model as it is."""
    having = [info.MODELS[model.name].variants for info in infos if model.name in info.MODELS]
    shared = [v for v in having[0] if all(v in variants for variants in having)] if having and not model.variant else []
    return ModelSpec(name=model.name, variant=shared[0]) if shared else model


def _named(
    infos: list[FrameworkInfo], names: tuple[str, ...]
) -> tuple[list[tuple[FrameworkInfo, ModelSpec]], list[str]]:
    """Every named model on every framework that has it, in the order of the names."""
    chosen, notes = [], []
    for text in dict.fromkeys(names):
        name, _, variant = text.partition(":")
        having = [info for info in infos if name in info.MODELS]
        asked = {c.NAME: ask(c.NAME, MODELS) for c in infos if c not in having and c.OTHER_MODELS}
        having += [info for info in infos if name in asked.get(info.NAME, ())]
        if not having:
            everything = sorted({m for info in infos for m in [*info.MODELS, *asked.get(info.NAME, ())]})
            known = [m for info in infos for m in info.MODELS]
            raise unknown("model", name, [*dict.fromkeys(known), *(m for m in everything if m not in known)])
        if variant:
            with_it = [c for c in having if variant in (c.MODELS[name].variants if name in c.MODELS else ())]
            if not with_it:
                with_variant(having[0], ModelSpec(name=name, variant=variant))
            having = with_it
        for info in infos:
            if info in having:
                chosen.append((info, ModelSpec(name=name, variant=variant)))
            else:
                notes.append(f"{info.NAME} has no model '{text}': no row for it")
    return chosen, notes


def _last_block_known(job: Job) -> None:
    """InputError where the job's trained part is not known for its model."""
    info = registry.framework_info(job.framework)
    if job.train == "last-block" and job.model.name not in info.MODELS:
        raise InputError(
            f"where the last block of {job.model} begins is not known on {job.framework}; "
            f"it is for {', '.join(info.MODELS)}; take --train head or --train all"
        )

"""The initial weights of every job and seed of a run."""

from common.core.callbacks import Say
from common.core.errors import InputError
from common.core.settings import Settings
from common.core.specs import Job, ModelSpec, WeightsSpec
from common.run import weight_files

Initial = dict[tuple[int, Job], WeightsSpec]  # by seed and job


def find_weights(settings: Settings, jobs: list[Job], say: Say) -> Initial:
    """The initial weights of every job and seed; each file is looked for once. InputError where one cannot be had."""
    weight_files.check_choices([job.model for job in jobs], settings.weights)
    find = _one_file_for_all if settings.formulas == "matched" else _one_file_each
    by_job = find(jobs, settings.weights, say)
    weight_files.check_assumed(by_job)
    return {(seed, job): spec for seed in settings.seeds for job, spec in by_job.items()}


def _one_file_each(jobs: list[Job], choices: tuple[str, ...], say: Say) -> dict[Job, WeightsSpec]:
    """Every framework's own file of each of its models."""
    found: dict[tuple[str, ModelSpec], WeightsSpec] = {}
    for job in jobs:
        if (job.framework, job.model) not in found:
            found[job.framework, job.model] = weight_files.resolve(job, choices, say)
    return {job: found[job.framework, job.model] for job in jobs}


def _one_file_for_all(jobs: list[Job], choices: tuple[str, ...], say: Say) -> dict[Job, WeightsSpec]:
    """One file of each model for all frameworks: of the first framework that has one."""
    found: dict[ModelSpec, WeightsSpec] = {}
    refused: dict[ModelSpec, InputError] = {}
    for job in jobs:
        if job.model not in found or found[job.model].random:
            try:
                found[job.model] = weight_files.resolve(job, choices, say)
            except InputError as error:
                refused.setdefault(job.model, error)
    if lacking := [error for model, error in refused.items() if model not in found]:
        raise lacking[0]
    return {job: found[job.model] for job in jobs}

"""A finished run whose trained weights another run starts from (--init-from)."""

from collections.abc import Iterable
from pathlib import Path

from common.core.errors import InputError, readable
from common.core.files import read_json
from common.core.results import RunRecord
from common.core.specs import Job, TrialSpec, WeightsSpec
from common.data import plan
from common.run.plans import Plans
from common.run.weight_files import from_file
from common.run.weights import Initial
from frameworks.contract import UNCHANGED


class TrainedRun:
    """InputError where the folder is no run, or where the outputs of its models mean other classes."""

    def __init__(self, folder: Path, class_names: tuple[str, ...]):
        if not (folder / "run.json").exists():
            raise InputError(f"no run at '{folder}' for --init-from (it has no run.json); give a finished one's folder")
        with readable(f"the run '{folder}'"):
            self._folder, self._run = folder, RunRecord.model_validate(read_json(folder / "run.json"))
            self._trials = [TrialSpec.model_validate(read_json(f)) for f in sorted(folder.glob("trials/*/spec.json"))]
        theirs = self._run.class_names
        if theirs != class_names:
            raise InputError(
                f"{folder} was trained on other classes ({', '.join(theirs[:5])}, ...; here {', '.join(class_names[:5])}, "
                "...): its head would mean something else; take a run of the same classes, or --weights with its "
                "weights.safetensors"
            )

    def initial(self, jobs: list[Job], seeds: Iterable[int]) -> Initial:
        """The initial weights of every job and seed. InputError where the run has none."""
        return {(seed, job): self._weights(job, seed) for seed in seeds for job in jobs}

    def _weights(self, job: Job, seed: int) -> WeightsSpec:
        """What the trial of the same model and seed trained, head and all, on whatever framework."""
        kept = [spec for spec in self._trials if spec.model == job.model and self._file(spec).exists()]
        if not kept:
            models = sorted({str(spec.model) for spec in self._trials})
            raise InputError(
                f"{self._folder} has no finished trial of {job.model} for --init-from (its models: "
                f"{', '.join(models) or 'none'}); take --models with one of them, or another run"
            )
        fitting = sorted((spec for spec in kept if spec.seed == seed), key=lambda spec: _unlike(spec, job))
        if not fitting:
            seeds = sorted({spec.seed for spec in kept})
            raise InputError(
                f"{self._folder} has no finished trial of {job.model} with seed {seed} (its seeds: "
                f"{', '.join(map(str, seeds))}); another seed's split would have trained on these validation images"
            )
        spec = from_file(self._file(fitting[0]), job.model, UNCHANGED)
        return spec.model_copy(update={"source": f"run {self._run.name}", "head": True})

    def check_splits(self, plans: Plans) -> None:
        """InputError where it trained on what are validation images in these plans."""
        for (seed, _), drawn in plans.items():
            split = self._run.splits.get(str(seed))
            theirs = split.split_hash if split else None
            ours = plan.hashes(drawn)["split"]
            if theirs != ours:
                raise InputError(
                    f"{self._folder} split the images otherwise ({theirs}, here {ours}): it trained on what are "
                    "validation images here; take the same --data, --limit, --split and --seed"
                )

    def _file(self, spec: TrialSpec) -> Path:
        return self._folder / "trials" / spec.name / "weights.safetensors"


def _unlike(spec: TrialSpec, job: Job) -> tuple[bool, bool, bool]:
    """Sorts the trials of a run: the job's own framework, trained part and balance first."""
    return spec.framework != job.framework, spec.recipe.train != job.train, spec.feed.balance != job.balance

"""What can be known before anything is decoded: packages, image sides, weights files, batches of one image. All frameworks alike."""

import importlib.util
from collections.abc import Iterable
from pathlib import Path

from common.core import registry
from common.core.callbacks import Say
from common.core.errors import InputError
from common.core.settings import Settings
from common.core.specs import BuildSpec, Job, Recipe, Train, WeightsSpec, trained_part
from common.process.question import ask
from common.process.questions import TRY_OUT, TryOut
from common.run import weight_files
from common.run.plans import Plans
from common.run.weights import Initial

FEWEST = 2  # values that a batch norm which trains needs in each channel


def check_packages(frameworks: Iterable[str]) -> None:
    """InputError where one of the frameworks is not installed: its trials would fail one after another."""
    for name in dict.fromkeys(frameworks):
        info = registry.framework_info(name)
        lacking = [package for package in info.NEEDS if importlib.util.find_spec(package) is None]
        if lacking:
            extra = f" --extra {info.EXTRA}" if info.EXTRA else ""
            raise InputError(
                f"{name} needs the package {', '.join(lacking)}, which is not installed; run: uv sync{extra}, or leave it out "
                "with --frameworks"
            )


class TryOuts:
    """Asks each framework, once for each of its models, whether the trials could begin."""

    def __init__(self, settings: Settings, classes: int, side: int, say: Say):
        self._settings, self._classes, self._side, self._say = settings, classes, side, say
        self._answers: dict[tuple, TryOut] = {}

    def check_models(self, initial: Initial) -> Initial:
        """The weights, with notes on how their files were read. InputError for a side that a model does not take, and for a
        file that does not fit it. A model that its framework's folder lists, with its
        usual weights, needs no asking."""
        found = {}
        for (seed, job), start in initial.items():
            info = registry.framework_info(job.framework).MODELS.get(job.model.name)
            if info and self._side < info.smallest_side:
                raise InputError(
                    f"{job.model} takes images of {info.smallest_side} pixels at least on {job.framework}, not {self._side}; "
                    f"take --image-size {info.smallest_side}"
                )
            if info is None or self._own_file(job, start):
                note = self._ask(job, start).note
                start = start.model_copy(update={"note": weight_files.joined(start.note, note)})
            found[seed, job] = start
        return found

    def check_batches(self, initial: Initial, plans: Plans) -> None:
        """InputError where a batch of one image leaves a batch norm that trains a single value in each channel: torch ends
        the trial there, and Keras trains on with a variance of 0."""
        for (seed, job), start in initial.items():
            images, batch = len(plans[seed, job.balance].visits), self._settings.batch_size
            if not _has_one(images, batch) or not self._moves_norms(job, start):
                continue
            if 0 < self._ask(job, start).fewest_normalised < FEWEST:
                everywhere = [len(plan.visits) for plan in plans.values()]
                sizes = " or ".join(map(str, other_sizes(everywhere, batch)))
                size = f"--batch-size {sizes}, or " if sizes else ""  # none helps an epoch of one image
                which = (
                    "each batch"
                    if batch == 1
                    else f"the last batch of an epoch ({images:,} images in batches of {batch})"
                )
                raise InputError(
                    f"{which} has one image, and batch norm of {job.framework} {job.model} that trains would normalise it by "
                    f"itself, one value in a channel at {self._side} pixels; take {size}a larger --image-size"
                )

    def _own_file(self, job: Job, start: WeightsSpec) -> bool:
        """Whether the user named the file, which then may hold anything."""
        choice = weight_files.choice_for(job.model, self._settings.weights)
        return bool(start.path) and (bool(self._settings.init_from) or choice not in weight_files.CHOICES)

    def _moves_norms(self, job: Job, start: WeightsSpec) -> bool:
        return self._trained(job, start) != "head" or self._settings.frozen_norm == "drift"

    def _trained(self, job: Job, start: WeightsSpec) -> Train:
        how = Recipe(train=job.train, keep_frozen=job.keep_frozen, learning_rate=1.0, batch_size=1, epochs=1)
        return trained_part(how, start)

    def _ask(self, job: Job, start: WeightsSpec) -> TryOut:
        key = job.framework, job.model, self._trained(job, start), start.path
        if key not in self._answers:
            assert start.preprocessing is not None
            spec = BuildSpec(
                model=job.model, classes=self._classes, side=self._side, preprocessing=start.preprocessing, train=key[2],
                learning_rate=1.0, frozen_norm=self._settings.frozen_norm, formulas=self._settings.formulas,
            )  # fmt: skip
            path = str(Path(start.path).absolute()) if start.path else ""
            self._say(f"trying out {job.framework} {job.model} before anything is decoded")
            self._answers[key] = ask(
                job.framework,
                TRY_OUT,
                spec=spec,
                weights=start.model_copy(update={"path": path}),
            )
        return self._answers[key]


def _has_one(images: int, batch: int) -> bool:
    return batch == 1 or images % batch == 1


def other_sizes(images: list[int], batch: int) -> list[int]:
    """The nearest smaller and larger batch sizes that leave no epoch a batch of one image."""

    def fits(size: int) -> bool:
        return not any(_has_one(n, size) for n in images)

    smaller = next(filter(fits, range(batch - 1, 1, -1)), None)
    larger = next(filter(fits, range(batch + 1, batch + max(images) + 1)), None)
    return [size for size in (smaller, larger) if size]

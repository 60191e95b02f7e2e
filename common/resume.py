"""An interrupted run -> what is left of it: refused where it would not be the same run any more."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from common import checkpoint, prepare, weights
from common.child import clear
from common.errors import InputError
from common.files import hash_arrays, read_json, write_json
from common.machine import machine, made_by
from common.records import read_run
from common.runner import finished
from common.types import Job, RunRecord, Settings, TrialSpec


def reopen(
    folder: Path, say: Callable[[str], None], progress: Callable[[int, int], None]
) -> tuple[RunRecord, list[TrialSpec]]:
    """The run's record and trials, ready for `run_trials(resume=True)`.

    Data, split and pixels must be those of the run, else InputError. A finished or half-finished trial counts only if
    code, packages and machine are the same too: otherwise it is begun anew, and said so.
    """
    run = read_run(folder)
    specs = [TrialSpec.model_validate(read_json(folder / "trials" / name / "spec.json")) for name in run.trials]
    _same_data(folder, run, say, progress)
    for spec in specs:
        _weights_there(folder, spec, run, say)
    now = made_by() | machine()
    then = run.made_by | run.machine
    changed = sorted(key for key in now.keys() | then.keys() if now.get(key) != then.get(key))
    begun = [
        s for s in specs if finished(folder / "trials" / s.name) or checkpoint.last_epoch(folder / "trials" / s.name)
    ]
    if changed and begun:
        words = ", ".join(f"{key} ({then.get(key, 'not there')}, now {now.get(key, 'not there')})" for key in changed)
        say(f"since the run began these changed: {words}; its {len(begun)} finished or begun trials are run anew")
        for spec in begun:
            clear(folder / "trials" / spec.name)
    if changed:
        run = run.model_copy(update={"made_by": made_by(), "machine": machine()})
        write_json(folder / "run.json", run.model_dump())
    return run, specs


def _same_data(folder: Path, run: RunRecord, say: Callable[[str], None], progress: Callable[[int, int], None]) -> None:
    """InputError where the data set is not what the run was planned with; fills the pixel store where it is gone."""
    settings = Settings.model_validate(run.settings)
    dataset = prepare.read_data(settings)
    with np.load(folder / run.labels) as arrays:
        labels, ids = arrays["labels"], arrays["ids"]
    pixels = prepare.decode_all(settings, dataset, say, progress)
    same = hash_arrays(labels) == hash_arrays(dataset.labels) and np.array_equal(ids, dataset.ids)
    if not same or pixels.hash != run.pixels_hash:
        what = "its images changed" if same else "its table changed"
        raise InputError(
            f"'{settings.data}' is not what {folder} was planned with ({what}); start the run anew: {run.command}"
        )


def _weights_there(folder: Path, spec: TrialSpec, run: RunRecord, say: Callable[[str], None]) -> None:
    """Find the initial weights again where the cache that held them is gone."""
    if spec.weights.path and not (folder / spec.weights.path).exists():
        settings = Settings.model_validate(run.settings)
        job = Job(framework=spec.framework, model=spec.model, train=spec.recipe.train, balance=spec.feed.balance)
        weights.resolve(job, settings.weights, say)

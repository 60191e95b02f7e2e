"""An interrupted run -> what is left of it: refused where it would not be the same run any more."""

from pathlib import Path

import numpy as np

from common.analysis.records import read_run
from common.core import fingerprint, registry
from common.core.callbacks import Progress, Say, silent
from common.core.errors import InputError, readable
from common.core.files import read_json, sweep, write_json
from common.core.formatting import command
from common.core.hashing import hash_arrays
from common.core.locks import hold, use_cache
from common.core.machine import OMP, cores, machine
from common.core.results import GATES, RunRecord
from common.core.settings import Settings
from common.core.specs import TrialSpec
from common.data.feed import read_plan
from common.run import prepare, weights
from common.run.parent_record import disown, finished
from common.run.run_folder import Pixels, below, write_paths
from common.trial import checkpoint


def reopen(folder: Path, say: Say, progress: Progress) -> tuple[RunRecord, list[TrialSpec]]:
    """The run's record and trials, ready for `run_trials(resume=True)`.

    Data, plans and weights must be those of the run, else InputError. A finished or half-finished trial counts only
    if its code, its packages and the machine are the same too: otherwise it is begun anew, and said so.
    """
    run = read_run(folder)
    if not run.settings:
        raise InputError(
            f"'{folder}' was written by an earlier version, which cannot be gone on with; run: {run.command}"
        )
    hold(folder)
    use_cache()
    _try_tracker(folder, run, say)
    for kept in (folder, folder / "figures"):
        sweep(kept)
    with readable(f"the run '{folder}'"):
        specs = _specs(folder, run)
        for spec in specs:
            read_plan(folder / spec.feed.plan, spec.feed.plan_hash)
        pixels = _same_data(folder, run, say, progress)
        specs = _found_again(folder, specs, run, pixels, say)
    return discard_changed(folder, run, specs, say)


def _try_tracker(folder: Path, run: RunRecord, say: Say) -> None:
    """Say where the records cannot be sent now. The run goes on all the same: they can be sent when it is done."""
    if name := run.settings.get("track"):
        try:
            registry.tracker(name).check(run.dataset)
        except InputError as error:
            say(f"{error}; to send the records later, run: {command('report', folder, '--track', name)}")


def _specs(folder: Path, run: RunRecord) -> list[TrialSpec]:
    return [TrialSpec.model_validate(read_json(folder / "trials" / name / "spec.json")) for name in run.trials]


def on_this_node(folder: Path, name: str) -> TrialSpec:
    """The trial with its pixels and initial weights found, or made, on this node of a cluster. InputError where its data is
    not what the run was planned with."""
    run = read_run(folder)
    spec = TrialSpec.model_validate(read_json(folder / "trials" / name / "spec.json"))
    pixels = _same_data(folder, run, silent, silent)
    (found,) = _found_again(folder, [spec], run, pixels, silent)
    return found


def discard_changed(
    folder: Path, run: RunRecord, specs: list[TrialSpec], say: Say
) -> tuple[RunRecord, list[TrialSpec]]:
    """The record and the trials as of now. A trial whose code, packages or machine changed is not resumed; the others are."""
    made, here = fingerprint.made_by(specs), machine()
    now, then = made | _compared(here), run.made_by | _compared(run.machine)
    always = _compared(here).keys() | _compared(run.machine).keys()
    changed = {s.name: _differing(fingerprint.keys(s) | always, then, now) for s in specs}
    begun = [s for s in specs if changed[s.name] and _begun(folder / "trials" / s.name, s)]
    if begun:
        differing = sorted(set().union(*(changed[s.name] for s in begun)))
        words = ", ".join(f"{key} ({then.get(key, 'not there')}, now {now.get(key, 'not there')})" for key in differing)
        say(f"since the run began these changed: {words}; its {len(begun)} finished or begun trials are run anew")
    for spec in begun:
        disown(folder / "trials" / spec.name)
    if any(changed.values()):
        (folder / GATES).unlink(missing_ok=True)  # it gated what ran then
        if not run.settings.get("threads"):
            specs = [_on_this_machine(folder, s) if changed[s.name] else s for s in specs]
        run = run.model_copy(update={"made_by": made, "machine": here})
        write_json(folder / "run.json", run.model_dump())
    return run, specs


def _compared(machine: dict[str, str]) -> dict[str, str]:
    """Without the size of the memory, which moves a little from start to start, and a variable: trials keep their threads."""
    return {key: value for key, value in machine.items() if key not in ("memory", OMP)}


def _differing(keys: set[str], then: dict[str, str], now: dict[str, str]) -> set[str]:
    return {key for key in keys if then.get(key) != now.get(key)}


def _on_this_machine(folder: Path, spec: TrialSpec) -> TrialSpec:
    """The trial with as many threads as there are cores now."""
    here = spec.model_copy(update={"process": spec.process.model_copy(update={"threads": cores()})})
    write_json(folder / "trials" / spec.name / "spec.json", here.model_dump())
    return here


def _begun(trial: Path, spec: TrialSpec) -> bool:
    return finished(trial, spec) or bool(checkpoint.last_epoch(trial))


def _same_data(folder: Path, run: RunRecord, say: Say, progress: Progress) -> Pixels:
    """The pixels, stored again where the store is gone. InputError where the data set is not what the run was planned with."""
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
    if (folder / "files.npz").exists():
        write_paths(folder, dataset, pixels)  # the run folder may have been moved
    return pixels


def _found_again(
    folder: Path,
    specs: list[TrialSpec],
    run: RunRecord,
    pixels: Pixels,
    say: Say,
) -> list[TrialSpec]:
    """The trials with the places where their pixels and initial weights lie now: a cache may have been emptied or moved."""
    settings, initial = Settings.model_validate(run.settings), {}
    if any(spec.weights.path and not (folder / spec.weights.path).exists() for spec in specs):
        if settings.init_from:
            raise InputError(f"the weights of '{settings.init_from}', from which {folder} started, are gone")
        # With one form of every formula one framework's file is all others' too.
        of = _specs(folder, run) if settings.formulas == "matched" else specs
        initial = weights.find_weights(settings, list(dict.fromkeys(spec.job() for spec in of)), say)
    found = []
    for spec in specs:
        feed, start = spec.feed, spec.weights
        if feed.pixels:
            feed = feed.model_copy(update={"pixels": below(folder, pixels.folder)})
        if start.path and initial:
            now = initial[spec.seed, spec.job()]
            if now.sha256 != start.sha256:
                raise InputError(f"{start.source} of {spec.model} is not the file that {folder} started from")
            start = start.model_copy(update={"path": below(folder, Path(now.path))})
        moved = spec.model_copy(update={"feed": feed, "weights": start})
        if moved != spec:
            write_json(folder / "trials" / spec.name / "spec.json", moved.model_dump())
        found.append(moved)
    return found

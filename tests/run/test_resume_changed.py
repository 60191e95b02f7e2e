"""Resumed after code, packages or the machine changed: only the trials that the change concerns are run anew."""

import numpy as np
import pytest

from common.analysis.records import read_run
from common.core import fingerprint
from common.core.files import write_json
from common.core.results import GATES, ParentRecord
from common.core.specs import TrialSpec
from common.run import parent_record, resume
from tests.helpers.records import SPEC, results

MACHINE = {"processor": "a processor", "cores": "2", "memory": "8 GiB"}


@pytest.fixture
def two_finished(tmp_path, monkeypatch):
    """The record and the trials of a run whose two trials ended well."""
    monkeypatch.setattr(resume, "machine", lambda: MACHINE)
    specs = []
    for framework in ("torch", "tf"):
        spec = TrialSpec.model_validate_json(SPEC).model_copy(update={"name": framework, "framework": framework})
        trial = tmp_path / "trials" / framework
        trial.mkdir(parents=True)
        np.savez(trial / "logits.npz", epoch1=np.ones(3))
        write_json(trial / "spec.json", spec.model_dump())
        write_json(trial / "parent.json", ParentRecord(status="ok", spec=spec.identity()).model_dump())
        specs.append(spec)
    run = results().run.model_copy(update={"made_by": fingerprint.made_by(specs), "machine": MACHINE})
    write_json(tmp_path / "run.json", run.model_dump())
    return run, specs


@pytest.mark.parametrize(
    ("key", "anew"),
    [
        ("frameworks/keras_jax", ()),
        ("benchmarks/recipes/authors.py", ()),
        ("ruff", ()),
        ("frameworks/pytorch", ("torch",)),
        ("frameworks/keras_common", ("tf",)),
        ("torch", ("torch",)),
        ("code", ("torch", "tf")),
        ("benchmarks/recipes/default.py", ("torch", "tf")),
    ],
)
def test_only_trials_whose_code_or_packages_changed_are_run_anew(two_finished, tmp_path, monkeypatch, key, anew):
    run, specs = two_finished
    real, said = fingerprint._value, []
    monkeypatch.setattr(fingerprint, "_value", lambda name: "new" if name == key else real(name))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # trials keep their threads
    (tmp_path / GATES).write_text("{}")
    now, after = resume.discard_changed(tmp_path, run, specs, said.append)
    for before, spec in zip(specs, after):
        stands = spec.name not in anew
        assert parent_record.finished(tmp_path / "trials" / spec.name, spec) is stands
        assert spec == before or not stands
    assert now.made_by == fingerprint.made_by(specs) and read_run(tmp_path) == now
    assert (tmp_path / GATES).exists() != bool(anew)
    text = f"these changed: {key} ({run.made_by[key]}, now new); its {len(anew)} finished" if anew else ""
    assert len(said) == bool(anew) and text in "".join(said)
    assert resume.discard_changed(tmp_path, now, after, said.append) == (now, after) and len(said) == bool(anew)


def test_a_run_with_one_hash_of_all_code_is_run_anew(two_finished, tmp_path):
    run, specs = two_finished
    old = {key: value for key, value in run.made_by.items() if "/" not in key} | {"code": "old", "ruff": "0"}
    now, after = resume.discard_changed(tmp_path, run.model_copy(update={"made_by": old}), specs, lambda text: None)
    assert not any(parent_record.finished(tmp_path / "trials" / spec.name, spec) for spec in after)
    assert now.made_by == run.made_by


@pytest.mark.parametrize("then", [MACHINE | {"cores": "64"}, MACHINE | {"GPU": "one"}])
def test_another_machine_runs_every_trial_anew(two_finished, tmp_path, monkeypatch, then):
    run, specs = two_finished
    monkeypatch.setattr(resume, "cores", lambda: 3)
    now, after = resume.discard_changed(tmp_path, run.model_copy(update={"machine": then}), specs, lambda text: None)
    assert not any(parent_record.finished(tmp_path / "trials" / spec.name, spec) for spec in specs)
    assert now.machine == MACHINE and {spec.process.threads for spec in after} == {3}


def test_trials_stand_where_only_memory_or_a_variable_differs(two_finished, tmp_path):
    run, specs = two_finished
    then = run.model_copy(update={"machine": MACHINE | {"memory": "1 GiB", "OMP_NUM_THREADS": "1"}})
    assert resume.discard_changed(tmp_path, then, specs, lambda text: None) == (then, specs)

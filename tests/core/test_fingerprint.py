"""A trial depends on the code that it imports and on the packages that it uses, and on no others."""

import shutil

import pytest

from common.core import fingerprint
from common.core.fingerprint import MISSING, keys, made_by
from common.core.specs import TrialSpec
from tests.helpers.project import PROJECT
from tests.helpers.records import SPEC


def trial(framework, recipe="default", **changes):
    spec = TrialSpec.model_validate_json(SPEC)
    recipe = spec.recipe.model_copy(update={"name": recipe})
    return spec.model_copy(update={"framework": framework, "recipe": recipe, **changes})


TRIALS = {
    "torch": trial("torch"),
    "tf": trial("tf"),
    "keras-torch": trial("keras-torch"),
    "authors": trial("torch", recipe="authors"),
    "peaks": trial("fake", peaks_of=("tf",)),
}
ALL = set(TRIALS)


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """The project's code, to be changed."""
    for name in ("common", "frameworks", "benchmarks"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    monkeypatch.setattr(fingerprint, "PROJECT", tmp_path)
    return tmp_path


def fingerprints():
    return {name: made_by([spec]) for name, spec in TRIALS.items()}


def differing(before):
    """The trials that would run anew."""
    return {name for name, found in fingerprints().items() if found != before[name]}


@pytest.mark.parametrize(
    ("file", "trials"),
    [
        ("common/report/table.py", set()),
        ("common/cli/options.py", set()),
        ("common/analysis/check.py", set()),
        ("common/run/prepare.py", set()),
        ("common/core/settings.py", set()),  # a help text
        ("frameworks/checks/training.py", set()),
        ("frameworks/fake/adapter.py", {"peaks"}),
        ("frameworks/keras_jax/adapter.py", set()),
        ("benchmarks/recipes/matched.py", set()),
        ("benchmarks/smoke.py", set()),
        ("common/trial/worker.py", ALL),
        ("common/data/plan.py", ALL),
        ("common/data/formats/csv.py", ALL),
        ("common/process/ranks.py", ALL),
        ("common/core/specs.py", ALL),
        ("frameworks/contract.py", ALL),
        ("frameworks/pytorch/adapter.py", {"torch", "authors"}),
        ("frameworks/torch_common/process.py", {"torch", "authors", "keras-torch"}),
        ("frameworks/tensorflow_keras/adapter.py", {"tf", "peaks"}),
        ("frameworks/keras_common/adapter.py", {"tf", "keras-torch", "peaks"}),
        ("benchmarks/recipes/authors.py", {"authors"}),
        ("benchmarks/recipes/default.py", ALL - {"authors"}),
    ],
)
def test_a_trial_is_made_by_the_code_that_it_imports(copied, file, trials):
    before = fingerprints()
    assert before == fingerprints()
    with open(copied / file, "a", encoding="utf-8") as stream:
        stream.write("# changed\n")
    assert differing(before) == trials


@pytest.mark.parametrize("text", ["from frameworks import beside", "    import frameworks.beside.part"])
def test_a_folder_that_a_framework_imports_from_is_found(copied, text):
    (copied / "frameworks" / "beside").mkdir()
    (copied / "frameworks" / "beside" / "__init__.py").write_text('"""Shared."""\n')
    with open(copied / "frameworks" / "torch_common" / "process.py", "a", encoding="utf-8") as stream:
        stream.write(f"\n\ndef late():\n    {text.strip()}\n")
    assert "frameworks/beside" in keys(TRIALS["torch"]) and "frameworks/beside" not in keys(TRIALS["tf"])


@pytest.mark.parametrize(
    ("packages", "trials"),
    [
        (("ruff", "pytest", "rich", "matplotlib"), set()),
        (("ray", "mlflow-skinny", "jax"), set()),
        (("torch",), {"torch", "authors", "keras-torch"}),
        (("timm",), {"torch", "authors"}),
        (("keras",), {"tf", "keras-torch", "peaks"}),
        (("tensorflow",), {"tf", "peaks"}),
        (("numpy",), ALL),
    ],
)
def test_a_trial_is_made_by_the_packages_that_it_uses(monkeypatch, packages, trials):
    before = fingerprints()
    real = fingerprint.version
    monkeypatch.setattr(fingerprint, "version", lambda name: "9" if name in packages else real(name))
    assert differing(before) == trials


def test_an_extra_that_computes_is_part_of_what_made_its_trials(monkeypatch):
    jax = trial("keras-jax")
    monkeypatch.setattr(fingerprint, "_version", lambda name: "9")
    assert made_by([jax])["jax"] == "9" and not {"ray", "mlflow-skinny"} & made_by([jax]).keys()
    monkeypatch.setattr(fingerprint, "_version", lambda name: MISSING)
    assert "jax" not in made_by([TRIALS["torch"]]) and made_by([jax])["jax"] == made_by([jax])["numpy"] == MISSING


def test_a_run_is_made_by_what_its_trials_are():
    both = made_by([TRIALS["torch"], TRIALS["tf"]])
    assert both == made_by([TRIALS["torch"]]) | made_by([TRIALS["tf"]]) and keys(TRIALS["tf"]) < both.keys()

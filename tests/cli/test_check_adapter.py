"""check-adapter: the frameworks here keep the contract, so does the one that the documentation builds, and no broken one."""

import importlib.util
import re
import shutil
import subprocess
import sys

import pytest

from common.core import registry
from tests.helpers.project import PROJECT

GUIDE = PROJECT / "docs" / "adding-a-framework.md"


@pytest.mark.parametrize(
    ("framework", "model"),
    [
        ("fake", "logistic"),
        ("torch", "efficientnet_lite0"),
        pytest.param("torch", "resnet50:v1", marks=pytest.mark.slow),
        pytest.param("tf", "efficientnet_lite0", marks=pytest.mark.slow),
        pytest.param("tf", "resnet50:v1.5", marks=pytest.mark.slow),
        pytest.param("keras-torch", "efficientnet_lite0", marks=pytest.mark.slow),
        pytest.param("keras-jax", "efficientnet_lite0", marks=pytest.mark.slow),
    ],
)
def test_the_frameworks_here_keep_the_contract(bench, framework, model):
    if framework == "keras-jax" and importlib.util.find_spec("jax") is None:
        pytest.skip("needs jax, which is optional")
    done = bench("check-adapter", framework, "--model", model)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "32 passed" in done.stdout or "31 passed, 1 skipped" in done.stdout


def test_an_unknown_framework_is_bad_input(bench):
    done = bench("check-adapter", "torhc")
    assert done.returncode == 2 and "torch" in done.stderr and "Traceback" not in done.stderr
    done = bench("check-adapter", "fake", "--model", "logisitc")
    assert done.returncode == 2 and "logistic" in done.stderr and "Traceback" not in done.stderr


def test_a_framework_that_is_not_installed_is_bad_input(bench, monkeypatch):
    monkeypatch.setattr(registry.framework_info("fake"), "NEEDS", ("there_is_no_such_package",))
    done = bench("check-adapter", "fake")
    assert done.returncode == 2 and "there_is_no_such_package, which is not installed" in done.stderr


@pytest.fixture(scope="module")
def project_copy(tmp_path_factory):
    """A copy of the project with the guide's two files in it."""
    copy = tmp_path_factory.mktemp("copy") / "project"
    for part in ("benchmarks", "common", "frameworks", "run_bench.py", "pyproject.toml"):
        source = PROJECT / part
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, copy / part, ignore=ignore) if source.is_dir() else shutil.copy(source, copy / part)
    for code in re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL):
        file = copy / code.splitlines()[0].removeprefix("# ")
        file.parent.mkdir(exist_ok=True)
        file.write_text(code.partition("\n")[2])
    return copy


def call(project_copy, *arguments):
    return subprocess.run(
        [sys.executable, "run_bench.py", *map(str, arguments)], cwd=project_copy, capture_output=True, text=True
    )


@pytest.mark.usefixtures("not_quick")
def test_the_guide_ends_in_an_adapter_that_keeps_the_contract(project_copy):
    done = call(project_copy, "check-adapter", "sklearn")
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.usefixtures("not_quick")
def test_the_guide_ends_in_a_row_of_the_table(project_copy, tmp_path):
    done = call(project_copy, "--frameworks", "sklearn", "fake", "--models", "colours", "logistic", "--limit", "100",
                "--results-dir", tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    page = next(tmp_path.glob("*/results.md")).read_text()
    assert "| sklearn colours |" in page


@pytest.mark.usefixtures("not_quick")
@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        ("range(feed.batches))):\n            watch.received", "range(feed.batches - 1))):\n            watch.received",
         "the_steps_receive_the_plan"),
        ("range(feed.batches))):\n            watch.received", "reversed(range(feed.batches)))):\n            watch.received",
         "the_steps_receive_the_plan"),
        ("watch.took(receipt(pixels, labels, ids))", "watch.took(receipt(pixels, 1 - labels, ids))",
         "the_steps_receive_the_plan"),
        ("total += loss * len(pixels)", "total += loss * feed.batch_size", "the_loss_is_the_mean_over_images"),
        ("return np.concatenate(parts)", "return np.concatenate(parts[::-1])",
         "predictions_follow_the_feed_and_repeat"),
        ("model.classifiers = pickle.loads(path.read_bytes())", "pass",
         "a_restored_model_continues_identically"),
        ("c.coef_[0], c.intercept_[0] = weight, bias", "c.coef_[0], c.intercept_[0] = weight, 0",
         "dump_after_load_gives_the_same_bytes"),
        ("np.dtype(spec.precision)", "np.dtype('float32')", "the_gate_computes_in_either_precision"),
        ("c.coef_[0] -= c.eta0 * weight", "c.coef_[0] -= weight", "gradient_descent_moves_by_the_gradient"),
    ],
)  # fmt: skip
def test_each_broken_promise_fails_its_check(project_copy, old, new, check):
    file = project_copy / "frameworks" / "scikit" / "adapter.py"
    whole = file.read_text()
    assert old in whole
    try:
        file.write_text(whole.replace(old, new))
        done = call(project_copy, "check-adapter", "sklearn")
    finally:
        file.write_text(whole)
    failed = re.search(rf"^{check}(\[.*\])?: FAILED: .", done.stdout, re.MULTILINE)
    assert (done.returncode, bool(failed)) == (1, True), done.stdout[-3000:]


@pytest.fixture
def twin(project_copy):
    """A second framework, the guide's adapter under another name, with a mistake where one is given."""
    first, folder = project_copy / "frameworks" / "scikit", project_copy / "frameworks" / "twin"

    def call_with(old="", new=""):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(first, folder, ignore=shutil.ignore_patterns("__pycache__"))
        for file in folder.glob("*.py"):
            text = (
                file.read_text()
                .replace('NAME = "sklearn"', 'NAME = "twin"')
                .replace("frameworks.scikit", "frameworks.twin")
            )
            file.write_text(text.replace(old, new) if old else text)
        assert not old or new in (folder / "adapter.py").read_text()

    yield call_with
    shutil.rmtree(folder, ignore_errors=True)


MATCHED = ("--frameworks", "sklearn", "twin", "--models", "colours", "--recipe", "matched", "--limit", "200")
WRONG_INPUT = ("/ 128 - 1", "/ 100 - 1")


@pytest.mark.usefixtures("not_quick")
def test_parity_passes_and_fails_by_its_exit_code(project_copy, twin):
    twin()
    done = call(project_copy, "parity", "colours", "--frameworks", "sklearn", "twin")
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout + done.stderr
    twin(*WRONG_INPUT)
    done = call(project_copy, "parity", "colours", "--frameworks", "sklearn", "twin")
    assert done.returncode == 1 and "failed: float64 forward: input differs by" in done.stdout
    one = call(project_copy, "parity", "colours", "--frameworks", "twin")
    assert one.returncode == 2 and "no model is on two of the frameworks" in one.stderr


@pytest.mark.usefixtures("not_quick")
def test_a_matched_run_is_gated_first_and_its_rows_are_compared(project_copy, twin, tmp_path):
    twin()
    done = call(project_copy, *MATCHED, "--repeats", "3", "--results-dir", tmp_path, "--name", "run")
    assert done.returncode == 0 and "colours (all trains), sklearn and twin" in done.stdout, done.stderr
    page = (tmp_path / "run" / "results.md").read_text()
    assert "| colours | sklearn, twin | passed |" in page and "\u2020" not in page
    assert "| sklearn colours | twin colours |" in page and "no ratio" not in page


@pytest.mark.usefixtures("not_quick")
def test_a_failed_gate_marks_the_rows(project_copy, twin, tmp_path):
    twin(*WRONG_INPUT)
    call(project_copy, *MATCHED, "--results-dir", tmp_path, "--name", "run")
    page = (tmp_path / "run" / "results.md").read_text()
    assert "| colours | sklearn, twin | FAILED |" in page and "| twin colours \u2020 |" in page
    assert "no ratio" in page and "its parity gate failed (float64 forward: input differs" in page
    assert "is faster" not in page


@pytest.mark.usefixtures("not_quick")
@pytest.mark.parametrize(
    ("new", "said", "recipe"),
    [
        (
            "receipt(pixels ^ (ids % 5 == 0).astype(np.uint8)[:, None, None, None], labels, ids)",
            "the pixels of row ",
            "matched",
        ),
        (
            "receipt(pixels, np.where((ids % 5 == 0)[:, None], 1 - labels, labels), ids)",
            "the labels of row ",
            "default",
        ),
        ("receipt(pixels[::-1], labels[::-1], ids[::-1])", "was received where row", "default"),
    ],
)
def test_steps_that_took_something_else_mark_the_row_in_every_run(project_copy, twin, tmp_path, new, said, recipe):
    twin("receipt(pixels, labels, ids)", new)
    words = [recipe if word == "matched" else word for word in MATCHED]
    call(project_copy, *words, "--seed", "1", "--results-dir", tmp_path, "--name", "run")
    page = (tmp_path / "run" / "results.md").read_text()
    assert "| twin colours \u2020 |" in page
    assert "its steps did not receive what was planned (epoch 1, batch" in page and said in page
    assert "is faster" not in page

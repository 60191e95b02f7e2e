"""Files of baselines: what is written, replaced, appended to, and refused."""

import json
import shutil

import numpy as np
import pytest

from common.analysis.check import FINE, NOT_COMPARABLE, WORSE
from tests.helpers.checked import flags, tampered


@pytest.mark.parametrize(
    "text", ["{", "# Read me", '{"name": "of something else"}', '{"schema_version": 1, "rows": 3}']
)
def test_what_is_no_baseline_is_not_written_over(bench, good, tmp_path, text):
    (tmp_path / "b.json").write_text(text)
    done = bench("check", good / "good", "--baseline", tmp_path / "b.json", "--update-baseline")
    assert done.returncode == 2 and "is not a baseline" in done.stderr and "name another file" in done.stderr
    assert (tmp_path / "b.json").read_text() == text


def test_a_baseline_of_another_version_is_replaced(bench, good, tmp_path):
    (tmp_path / "b.json").write_text('{"schema_version": 0, "rows": []}')
    assert bench("check", good / "good", "--baseline", tmp_path / "b.json", "--update-baseline").returncode == 0
    assert bench("check", good / "good", "--baseline", tmp_path / "b.json").returncode == FINE


def test_another_schema_is_not_comparable(bench, good, tmp_path):
    raw = json.loads((good / "base.json").read_text())
    (tmp_path / "old.json").write_text(json.dumps(raw | {"schema_version": 0}))
    done = bench("check", good / "good", "--baseline", tmp_path / "old.json")
    assert done.returncode == NOT_COMPARABLE and "schema version 0" in done.stderr
    shutil.copytree(good / "good", tmp_path / "old")
    record = json.loads((tmp_path / "old" / "run.json").read_text())
    (tmp_path / "old" / "run.json").write_text(json.dumps(record | {"schema_version": 0}))
    done = bench("check", tmp_path / "old", "--baseline", good / "base.json")
    assert done.returncode == NOT_COMPARABLE and "schema version 0" in done.stderr


@pytest.mark.parametrize("content", [None, "{", "[]", '{"schema_version": 1}'])
def test_what_is_no_baseline_is_bad_input(bench, good, tmp_path, content):
    if content is not None:
        (tmp_path / "b.json").write_text(content)
    done = bench("check", good / "good", "--baseline", tmp_path / "b.json")
    assert done.returncode == 2 and "baseline" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("recipe", [None, {"name": "of a newer harness", "warmup": 3}])
def test_a_baseline_whose_recipe_is_none_is_bad_input(bench, good, tmp_path, recipe):
    raw = json.loads((good / "base.json").read_text())
    raw["rows"][0]["settings"].pop("recipe")
    raw["rows"][0]["settings"] |= {"recipe": recipe} if recipe else {}
    (tmp_path / "b.json").write_text(json.dumps(raw))
    done = bench("check", good / "good", "--baseline", tmp_path / "b.json")
    assert done.returncode == 2 and "b.json is not a baseline" in done.stderr and "Traceback" not in done.stderr


def test_half_a_run_is_no_baseline(bench, tmp_path):
    bench(*flags(tmp_path, "bad"), "--models", "crash")
    done = bench("check", tmp_path / "bad", "--baseline", tmp_path / "b.json", "--update-baseline")
    assert done.returncode == 2 and "is no baseline" in done.stderr
    assert not (tmp_path / "b.json").exists()


def test_a_run_of_other_seeds_is_appended(bench, good, tmp_path):
    """The baseline then holds both, and checks each seed against itself."""
    base = tmp_path / "base.json"
    shutil.copy(good / "base.json", base)
    assert bench(*flags(tmp_path, "more"), "--seed", "1", "--repeats", "2").returncode == 0
    done = bench("check", tmp_path / "more", "--baseline", base, "--append")
    assert done.returncode == FINE and "seeds appended" in done.stdout, done.stdout + done.stderr
    assert set(json.loads(base.read_text())["rows"][0]["metrics"]["mAP"]["values"]) == {"0", "1", "2"}
    for run in (good / "good", tmp_path / "more"):
        assert bench("check", run, "--baseline", base).returncode == FINE
    before = base.read_bytes()
    again = bench("check", tmp_path / "more", "--baseline", base, "--append")
    assert again.returncode == 2 and "has every seed of this run" in again.stderr
    bench(*flags(tmp_path, "bad"), "--models", "crash")
    unfinished = bench("check", tmp_path / "bad", "--baseline", base, "--append")
    assert unfinished.returncode == 2 and "no evidence" in unfinished.stderr
    assert bench(*flags(tmp_path, "other"), "--seed", "7", "--epochs", "2").returncode == 0
    other = bench("check", tmp_path / "other", "--baseline", base, "--append")
    assert other.returncode == 2 and "other recipe (epochs) than in the baseline" in other.stderr
    assert base.read_bytes() == before


def test_a_worse_run_is_not_appended(bench, good, tmp_path):
    base = tmp_path / "base.json"
    shutil.copy(good / "base.json", base)
    done = bench("check", tampered(good, "zeros", np.zeros_like), "--baseline", base, "--append")
    assert done.returncode == WORSE and base.read_bytes() == (good / "base.json").read_bytes()

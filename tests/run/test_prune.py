"""What can be made again goes when it is told to, and nothing else does; what is in use stays."""

import subprocess
import sys
from pathlib import Path

import pytest

from common.core.locks import cache_to_itself, locked
from common.data.chunk_store import FILE
from common.data.formats import demo
from common.run import prune
from tests.helpers.project import PROJECT

WORDS = (
    "--frameworks",
    "fake",
    "--limit",
    "300",
    "--image-size",
    "24",
    "--keep-frozen",
    "--lane",
    "tuned",
    "--epochs",
    "1",
)


@pytest.fixture
def run(bench, tmp_path, monkeypatch):
    monkeypatch.setenv("FRAMEWORK_BENCH_CACHE", str(tmp_path / "cache"))
    done = bench(*WORDS, "--results-dir", tmp_path / "results", "--name", "run")
    assert done.returncode == 0, done.stderr
    (tmp_path / "results" / "run" / "trials" / "01" / "checkpoint").mkdir(parents=True)
    (tmp_path / "results" / "run" / "trials" / "01" / "checkpoint" / "epoch1.state").write_bytes(bytes(5000))
    return tmp_path / "results" / "run"


def kinds(results):
    return {each.kind: (len(each.free), len(each.used)) for each in prune.left(results)}


def test_sizes_first_and_nothing_is_removed_unasked(bench, run):
    before = sorted(run.parent.parent.rglob("*"))
    done = bench("prune", "--results-dir", run.parent)
    assert done.returncode == 0 and "--yes removes " in done.stdout and "of pixels, features, demo" in done.stdout
    assert sorted(run.parent.parent.rglob("*")) == before
    assert kinds(run.parent) == {
        "pixels": (1, 0),
        "features": (1, 0),
        "weights": (0, 0),
        "parity": (0, 0),
        "demo": (1, 0),
        "checkpoints": (1, 0),
    }


def test_what_is_removed_is_made_again_and_tables_stay(bench, run):
    tables = (run / "results.json").read_bytes()
    done = bench("prune", "--results-dir", run.parent, "--yes")
    assert done.returncode == 0 and "removed " in done.stdout
    assert kinds(run.parent) == {
        "pixels": (0, 0),
        "features": (0, 0),
        "weights": (0, 0),
        "parity": (0, 0),
        "demo": (0, 0),
        "checkpoints": (1, 0),
    }
    assert (run / "results.json").read_bytes() == tables
    assert bench("report", run).returncode == 0
    again = bench(*WORDS, "--results-dir", run.parent, "--name", "again")
    assert again.returncode == 0, again.stderr
    assert bench("prune", "--results-dir", run.parent, "--kinds", "checkpoints", "--yes").returncode == 0
    assert kinds(run.parent)["checkpoints"] == (0, 0) and kinds(run.parent)["pixels"] == (1, 0)


def test_a_prune_that_was_stopped_costs_the_demo_nothing(run, monkeypatch):
    """What says that a folder is whole goes first; the rest of it may be there still."""
    folder = next(each for each in prune.left(run.parent) if each.kind == "demo").free[0]
    whole = {file.relative_to(folder): file.stat().st_size for file in folder.rglob("*.*")}
    (folder / "train.csv").unlink()
    (folder / "data" / "1.jpg").unlink()
    demo.read(Path("demo"))
    assert {file.relative_to(folder): file.stat().st_size for file in folder.rglob("*.*")} == whole


def test_tensors_of_gates_that_were_killed_go(bench, run):
    killed = run.parent.parent / "cache" / "parity" / "tmp1"
    killed.mkdir(parents=True)
    (killed / "torch.npz").write_bytes(bytes(5000))
    assert kinds(run.parent)["parity"] == (1, 0)
    assert bench("prune", "--results-dir", run.parent, "--kinds", "parity", "--yes").returncode == 0
    assert not killed.exists()


def test_what_is_in_use_stays(run):
    (pixels,) = next(each for each in prune.left(run.parent) if each.kind == "pixels").free
    with open(pixels / FILE, "rb"):
        assert kinds(run.parent)["pixels"] == (0, 1)
    with locked(pixels):
        assert kinds(run.parent)["pixels"] == (0, 1)
    holder = "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", holder, str(run / ".lock")], stdout=subprocess.PIPE, cwd=PROJECT)
    try:
        child.stdout.readline()
        assert kinds(run.parent)["checkpoints"] == (0, 1)
    finally:
        child.kill()
        child.wait()
    assert kinds(run.parent)["pixels"] == (1, 0) and kinds(run.parent)["checkpoints"] == (1, 0)


def test_a_run_keeps_its_cache_between_trials_too(bench, run):
    """Then no file of it is open."""
    code = "from common.core.locks import use_cache; use_cache(); print(1, flush=True); import time; time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=PROJECT)
    try:
        child.stdout.readline()
        done = bench("prune", "--results-dir", run.parent, "--yes")
        assert done.returncode == 0 and "nothing of that to remove" in done.stdout
        assert kinds(run.parent)["pixels"] == (1, 0)
    finally:
        child.kill()
        child.wait()
    with cache_to_itself() as alone:
        assert alone


def test_a_store_half_removed_is_not_taken_for_whole(run, monkeypatch):
    (pixels,) = next(each for each in prune.left(run.parent) if each.kind == "pixels").free

    def killed(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(prune.shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        prune.remove(pixels)
    assert not (pixels / "store.json").exists() and (pixels / FILE).exists()

"""From a CSV to a table through a real subprocess, with the fake framework; and what goes wrong on the way."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from rich.console import Console

from common.analysis.records import read_results
from common.core.settings import Settings
from common.process.spawn import end
from common.report.progress import Display
from common.run.launchers import local
from common.run.prepare import make_run
from tests.helpers.project import PROJECT

FAST = ("--frameworks", "fake", "--limit", "200", "--image-size", "16")


@pytest.fixture(scope="module")
def finished(bench, tmp_path_factory):
    """A run of the good model and of every planted fault but the one that never ends. To be read alone: see `copy`."""
    parent = tmp_path_factory.mktemp("results")
    models = ["logistic", "crash", "kill", "nan", "lie", "linger", "skip", "worse"]
    return parent / "run", bench(*FAST, "--models", *models, "--results-dir", parent, "--name", "run")


@pytest.fixture
def copy(finished, tmp_path):
    """The finished run, to be changed."""
    return Path(shutil.copytree(finished[0], tmp_path / "run"))


def wait_for_training(child):
    """Read the output up to the first training step."""
    for line in child.stdout:
        if "the training step received" in line:
            return
    raise AssertionError("the run ended before it trained")


def row(run, model):
    return next(r.record for r in read_results(run).rows if r.record.spec.model.name == model)


def test_one_failed_trial_makes_exit_code_1_and_the_others_go_on(finished):
    run, done = finished
    assert done.returncode == 1, done.stderr
    assert row(run, "logistic").status == "ok"
    assert len(read_results(run).rows) == 8


@pytest.mark.parametrize(
    ("model", "status", "reason"),
    [
        ("crash", "failed", r"RuntimeError: planted: the third step crashed"),
        ("kill", "killed", r"SIGKILL .*out of memory.*epoch 1 step 2.*peaked at \d"),
        ("nan", "failed", r"training loss is nan at epoch 1, step 1"),
        ("lie", "failed", r"predict returned \[39, 20\], the plan has \[40, 20\]"),
        ("linger", "failed", r"RuntimeError: planted: the third step crashed"),
        ("skip", "failed", r"train pass of epoch 1 took 128 images, the plan has 160"),
    ],
)
def test_every_planted_fault_gives_its_row(finished, model, status, reason):
    check_fault(*finished, model, status, reason)


def test_a_trial_that_does_not_end_gives_its_row(bench, tmp_path):
    done = bench(*FAST, "--models", "hang", "--timeout", "10", "--results-dir", tmp_path, "--name", "run")
    check_fault(tmp_path / "run", done, "hang", "timeout", r"not finished after --timeout 10 s .*step 2")


def check_fault(run, done, model, status, reason):
    record = row(run, model)
    assert record.status == status
    assert re.search(reason, record.reason)
    assert record.repeat_command in (run / "results.md").read_text()
    assert record.reason.split(" (")[0][:40] in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_trial_that_says_nothing_is_ended(bench, tmp_path):
    done = bench(*FAST, "--models", "hang", "--stall", "4", "--results-dir", tmp_path, "--name", "run")
    assert done.returncode == 1
    record = read_results(tmp_path / "run").rows[0].record
    assert record.status == "stalled" and "no event for --stall 4 s (last seen at: step" in record.reason


def test_the_weights_of_the_lowest_validation_loss_are_kept(finished):
    """The model gets worse with every epoch: prediction, loss and file are the first one's."""
    run, _ = finished
    record = row(run, "worse")
    losses = [e.validation_loss for e in record.epochs]
    assert losses[1] > losses[0] and [e.improved for e in record.epochs] == [True, False]
    with np.load(run / "trials" / record.spec.name / "logits.npz") as arrays:
        assert np.array_equal(arrays["prediction"], arrays["epoch1"])
        assert not np.array_equal(arrays["epoch2"], arrays["epoch1"])
    results = next(r for r in read_results(run).rows if r.record.spec.model.name == "worse")
    assert results.scores.validation_loss == losses[0]


def test_the_repeat_command_repeats_one_trial_alone(bench, tmp_path):
    """As it is printed, with the threads and the device that the run gave it."""
    bench(*FAST, "--models", "crash", "--results-dir", tmp_path, "--name", "run")
    command = row(tmp_path / "run", "crash").repeat_command.split()
    assert command[:3] == ["uv", "run", "python"]
    done = subprocess.run([sys.executable, *command[3:]], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "planted: the third step crashed" in done.stderr
    record = row(tmp_path / "run", "crash")
    assert record.reason.startswith("RuntimeError: planted") and record.memory_method == ""


def test_nothing_is_left_running(finished):
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(finished[0]) in " ".join(p.info["cmdline"] or [])]


def test_the_table_of_a_good_row(finished):
    run, done = finished
    page = (run / "results.md").read_text()
    assert "| 95 | fake logistic |" in page and "| 95 | oracle |" in page
    for words in ("What ran", "What it cost", "Scores", "results.md", "train (seed 0)", "val_loss improved from inf"):
        assert words in done.stdout
    assert "the training step received: images uint8 [32, 16, 16, 3], labels float32 [32, 20]" in done.stdout
    assert "expected time" not in done.stdout  # it would be over before that is read
    record = row(run, "logistic")
    assert [e.images for e in record.epochs] == [160, 160]
    assert record.peak_memory_bytes > 20e6 and record.memory_method == "PSS"


def test_report_makes_every_file_again_byte_for_byte(copy, bench):
    run = copy
    bench("report", run)  # it names the folder
    made = [
        run / "results.json",
        run / "results.md",
        run / "index.html",
        run / "results.csv",
        *sorted((run / "figures").glob("*.png")),
    ]
    assert len(made) == 10
    before = [path.read_bytes() for path in made]
    for path in made:
        path.unlink()
    done = bench("report", run)
    assert done.returncode == 0, done.stderr
    assert [path.read_bytes() for path in made] == before


def test_the_report_follows_the_files(copy, bench):
    """Scores are read from the logits, not remembered: other logits, another table."""
    run = copy
    file = run / "trials" / "01-fake-logistic-head-seed0" / "logits.npz"
    kept = file.read_bytes()
    with np.load(file) as arrays:
        np.savez(file, **{name: arrays[name][:, ::-1] for name in arrays.files})
    before = (run / "results.csv").read_text()
    bench("report", run)
    assert (run / "results.csv").read_text() != before
    file.write_bytes(kept)
    bench("report", run)
    assert (run / "results.csv").read_text() == before


@pytest.mark.usefixtures("not_quick")
@pytest.mark.parametrize("ignored", [False, True])
def test_ctrl_c_ends_every_child_and_leaves_a_readable_run(tmp_path, ignored):
    """Also where the shell that started it in the background has it ignored."""
    command = [sys.executable, PROJECT / "run_bench.py", *FAST, "--models", "hang", "logistic"]
    kept = signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
    child = subprocess.Popen([*command, "--results-dir", tmp_path, "--name", "run"], stdout=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, kept)
    wait_for_training(child)
    time.sleep(0.5)
    children = psutil.Process(child.pid).children(recursive=True)
    assert children
    os.kill(child.pid, signal.SIGINT)
    time.sleep(0.2)
    os.kill(child.pid, signal.SIGINT)  # an impatient user
    output = child.communicate(timeout=60)[0]
    assert child.returncode == 130
    # The trial and its workers have ended; Python's own resource tracker ends a moment after the parent.
    assert not psutil.wait_procs(children, timeout=5)[1]
    assert "interrupted" in output
    assert [r.record.status for r in read_results(tmp_path / "run").rows] == ["interrupted", "missing"]
    assert (tmp_path / "run" / "results.md").exists()


@pytest.mark.usefixtures("not_quick")
def test_a_trial_ends_with_its_parent(tmp_path):
    command = [sys.executable, PROJECT / "run_bench.py", *FAST, "--models", "hang"]
    child = subprocess.Popen([*command, "--results-dir", tmp_path, "--name", "run"], stdout=subprocess.PIPE, text=True)
    wait_for_training(child)
    children = psutil.Process(child.pid).children(recursive=True)
    child.kill()
    child.wait()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert children and not alive


def test_repeats_take_turns_with_a_split_of_their_own(bench, tmp_path):
    done = bench(
        *FAST,
        "--models",
        "logistic",
        "--repeats",
        "2",
        "--balance",
        "oversample",
        "--results-dir",
        tmp_path,
        "--name",
        "run",
    )
    assert done.returncode == 0, done.stderr
    results = read_results(tmp_path / "run")
    assert [r.record.spec.seed for r in results.rows] == [0, 1]
    hashes = {s.split_hash for s in results.run.splits.values()}
    assert len(hashes) == 2
    audit = results.run.audits["seed 0, balance oversample"]
    assert audit.after.images > audit.before.images == 160
    assert results.rows[0].record.epochs[0].images == audit.after.images
    assert "±" in done.stdout


def test_a_changed_plan_is_refused(bench, tmp_path):
    """The child checks what it is given against the hash it was planned with."""
    bench(*FAST, "--models", "logistic", "--results-dir", tmp_path, "--name", "run")
    run = tmp_path / "run"
    with np.load(run / "plans" / "seed0-none.npz") as arrays:
        changed = {name: arrays[name] for name in arrays.files}
    changed["orders"] = changed["orders"][:, ::-1]
    np.savez(run / "plans" / "seed0-none.npz", **changed)
    trial = run / "trials" / "01-fake-logistic-head-seed0"
    done = subprocess.run(
        [sys.executable, "-m", "common.trial.worker", trial], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "was planned with" in json.loads((trial / "events.jsonl").read_text().splitlines()[-1])["reason"]


def test_it_runs_from_any_folder_with_relative_paths(bench, tmp_path):
    done = bench(*FAST, "--models", "logistic", "--results-dir", "here", "--name", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "here" / "run" / "results.md").exists()


def test_report_is_the_same_however_the_run_is_named(copy, bench):
    run = copy
    bench("report", run)
    before = (run / "results.json").read_bytes()
    bench("report", "run", cwd=run.parent)
    assert (run / "results.json").read_bytes() == before


def _in_group(process, group):
    try:
        return process.status() != psutil.STATUS_ZOMBIE and os.getpgid(process.pid) == group
    except (psutil.Error, ProcessLookupError):  # it ended meanwhile
        return False


@pytest.mark.usefixtures("not_quick")
def test_an_error_of_the_harness_while_it_watches_costs_one_row(tmp_path, monkeypatch):
    class Falls(Display):
        def _on_received(self, event):
            if self._spec.model.name == "logistic":
                raise KeyError("planted")

    settings = Settings(
        frameworks=("fake",), models=("logistic", "worse"), limit=100, image_size=16, results_dir=str(tmp_path)
    )
    run, _, specs = make_run(settings, lambda text: None, lambda done, total: None)
    monkeypatch.setattr(local, "Display", Falls)
    local.run_trials(run, specs, Console(file=io.StringIO()))
    records = [r.record for r in read_results(run).rows]
    assert [r.status for r in records] == ["failed", "ok"]
    assert "the harness itself: KeyError: 'planted'" in records[0].reason


@pytest.mark.usefixtures("not_quick")
def test_loader_workers_die_with_a_killed_child(tmp_path):
    """The group of a dead child is ended, so that nothing of it disturbs the next trial."""
    code = "import os, signal, subprocess, sys; subprocess.Popen(['sleep', '60']); os.kill(os.getpid(), signal.SIGKILL)"
    child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    child.wait()
    group = [p for p in psutil.process_iter() if _in_group(p, child.pid)]
    assert len(group) == 1
    end(child)
    assert not group[0].is_running() or group[0].status() == psutil.STATUS_ZOMBIE


def test_the_demo_is_a_real_task_for_both_frameworks(bench, tmp_path):
    """EfficientNet-Lite0 with a trained head gets at least 40 % of the way from prior to oracle at every percentile."""
    done = bench(
        "--frameworks", "torch", "tf", "--models", "efficientnet_lite0", "--results-dir", tmp_path, "--name", "run"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = read_results(tmp_path / "run").rows
    assert [r.record.spec.framework for r in rows] == ["torch", "tf"]
    for r in rows:
        assert all(values.share >= 0.4 for values in r.scores.percentiles.values())
        assert all(e.wait_s < e.train_s for e in r.record.epochs)
    assert done.stderr == "" and not re.search(
        "oneDNN|WARNING|warn", done.stdout
    )  # the libraries' chatter is in log.txt
    losses = [[e.validation_loss for e in r.record.epochs] for r in rows]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)

"""Killed and taken up again: the tables are those of an undisturbed run."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from conftest import PROJECT

from common import checkpoint
from common.records import read_results

FAST = ("--frameworks", "fake", "--limit", "200", "--image-size", "16", "--epochs", "4")
TRIAL = "01-fake-logistic-head-seed0"


def logits(run, trial=TRIAL):
    with np.load(run / "trials" / trial / "logits.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    parent = tmp_path_factory.mktemp("undisturbed")
    command = [sys.executable, PROJECT / "run_bench.py", *FAST, "--results-dir", parent, "--name", "run"]
    subprocess.run(command, check=True, capture_output=True)
    return parent / "run"


def stop_in_epoch(epoch, command, number):
    """Start the command, and send the signal to it in the middle of an epoch (the fake framework paused there)."""
    variables = os.environ | {"FRAMEWORK_BENCH_PAUSE": f"{epoch}:3"}
    child = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True, env=variables)
    run = command[command.index("--results-dir") + 1] / "run"
    events = run / "trials" / TRIAL / "events.jsonl"
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        seen = events.read_text().splitlines() if events.exists() else []
        if any(json.loads(line).get("epoch") == epoch and '"step": 2' in line for line in seen if line.endswith("}")):
            break
        time.sleep(0.05)
    children = psutil.Process(child.pid).children(recursive=True)
    child.send_signal(number)
    output = child.communicate(timeout=60)[0]
    psutil.wait_procs(children, timeout=10)
    return output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_stopped_mid_epoch_goes_on_to_the_same_tables(bench, undisturbed, tmp_path, number):
    command = [sys.executable, PROJECT / "run_bench.py", *FAST, "--results-dir", tmp_path, "--name", "run"]
    output = stop_in_epoch(3, command, number)
    run = tmp_path / "run"
    assert checkpoint.last_epoch(run / "trials" / TRIAL) == 2
    if number == signal.SIGINT:
        assert f"to go on: uv run python run_bench.py --resume {run}" in output
    done = bench("--resume", run)
    assert done.returncode == 0, done.stdout + done.stderr
    a, b = logits(undisturbed), logits(run)
    assert a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)
    first, second = (read_results(r).rows[0] for r in (undisturbed, run))
    assert first.scores == second.scores
    assert second.record.resumed_after == (2,)
    assert [e.epoch for e in second.record.epochs] == [1, 2, 3, 4]
    assert [e.validation_loss for e in first.record.epochs] == [e.validation_loss for e in second.record.epochs]
    assert not (run / "trials" / TRIAL / "checkpoint").exists()
    assert "taken up again after epoch 2" in (run / "results.md").read_text()


def test_a_finished_trial_is_reused(bench, undisturbed):
    before = (undisturbed / "trials" / TRIAL / "events.jsonl").read_bytes()
    done = bench("--resume", undisturbed)
    assert done.returncode == 0 and "finished earlier; its result stands" in done.stdout
    assert (undisturbed / "trials" / TRIAL / "events.jsonl").read_bytes() == before


@pytest.mark.parametrize(("place", "key"), [("made_by", "code"), ("made_by", "numpy"), ("machine", "processor")])
def test_a_trial_of_other_code_versions_or_machine_is_run_anew(bench, undisturbed, tmp_path, place, key):
    import shutil

    run = tmp_path / "run"
    shutil.copytree(undisturbed, run)
    record = json.loads((run / "run.json").read_text())
    record[place][key] = "another"
    (run / "run.json").write_text(json.dumps(record))
    done = bench("--resume", run)
    assert done.returncode == 0, done.stderr
    assert f"these changed: {key} (another, now " in done.stdout and "run anew" in done.stdout
    assert "finished earlier" not in done.stdout


def test_changed_data_is_refused(bench, tmp_path):
    from common.formats import demo

    scenes = demo.read(demo.Path("demo")).first(40)
    (tmp_path / "data").symlink_to(scenes.folder + "/data")
    table = tmp_path / "train.csv"
    table.write_text("ImageID,Labels,Caption\n" + "".join(f"{i},1,x\n" for i in scenes.ids))
    arguments = (
        "--frameworks",
        "fake",
        "--data",
        tmp_path,
        "--image-size",
        "16",
        "--results-dir",
        tmp_path / "r",
        "--name",
        "run",
    )
    assert bench(*arguments).returncode == 0
    table.write_text(table.read_text().replace(",1,", ",2,"))
    done = bench("--resume", tmp_path / "r" / "run")
    assert done.returncode == 2 and "is not what" in done.stderr and "its table changed" in done.stderr


def test_resume_takes_no_other_flag(bench, undisturbed):
    done = bench("--resume", undisturbed, "--epochs", "3")
    assert done.returncode == 2 and "--resume goes on as the run was begun; leave out --epochs" in done.stderr


def test_a_checkpoint_half_written_is_the_old_one(tmp_path):
    """A kill between the state and the file that names it: the earlier state still stands."""

    class Adapter:
        def save(self, model, path):
            path.write_text(str(model))

    progress = checkpoint.Progress(1, 0.5, 1, {"w": np.ones(2, np.float32)}, {"epoch1": np.zeros(3)})
    checkpoint.save(tmp_path, progress, Adapter(), "one")
    (tmp_path / "checkpoint" / "epoch2.state").write_text("half")
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(e) + "\n" for e in (
        {"event": "epoch", "epoch": 1}, {"event": "step", "epoch": 2}, {"event": "epoch", "epoch": 2})))  # fmt: skip
    assert checkpoint.last_epoch(tmp_path) == 1
    assert checkpoint.rewind(tmp_path) == 1
    assert (tmp_path / "events.jsonl").read_text().count("\n") == 1
    progress.epoch = 2
    checkpoint.save(tmp_path, progress, Adapter(), "two")
    assert sorted(p.name for p in (tmp_path / "checkpoint").iterdir()) == [
        "best1.safetensors", "checkpoint.json", "epoch2.npz", "epoch2.state"
    ]  # fmt: skip


def test_a_trial_that_says_nothing_is_ended(bench, tmp_path):
    done = bench(*FAST, "--models", "hang", "--stall", "4", "--results-dir", tmp_path, "--name", "run")
    assert done.returncode == 1
    record = read_results(tmp_path / "run").rows[0].record
    assert record.status == "stalled" and "no event for --stall 4 s (last seen at: step" in record.reason


def test_a_run_starts_from_what_another_trained(bench, undisturbed, tmp_path):
    done = bench(*FAST, "--init-from", undisturbed, "--results-dir", tmp_path, "--name", "next")
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = (read_results(r).rows[0].record for r in (undisturbed, tmp_path / "next"))
    assert second.spec.weights.source == "run run" and second.spec.weights.head
    assert second.epochs[0].validation_loss < first.epochs[0].validation_loss
    other = bench(*FAST, "--init-from", undisturbed, "--seed", "7", "--results-dir", tmp_path, "--name", "other")
    assert other.returncode == 2 and "would have trained on these validation images" in other.stderr
    fewer = bench("--frameworks", "fake", "--limit", "100", "--image-size", "16", "--init-from", undisturbed,
                  "--results-dir", tmp_path, "--name", "fewer")  # fmt: skip
    assert fewer.returncode == 2 and "it trained on what are validation images" in fewer.stderr

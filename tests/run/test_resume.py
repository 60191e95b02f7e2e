"""Killed and taken up again: the tables are those of an undisturbed run."""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from common.analysis.records import read_results
from common.core.errors import InputError
from common.core.events import Step, to_line
from common.core.settings import Settings
from common.report.table import further_scores_table, scores_table
from common.run import parent_record, prepare
from common.trial import checkpoint
from tests.helpers.project import PROJECT
from tests.helpers.records import epoch_record
from tests.helpers.runs import FAST, TRIAL, arguments, begin, command, in_epoch, logits, stop, wait_until


def same_tables(first, second):
    """Every logit, score and loss is the other run's; times are not, and cannot be."""
    a, b = logits(first), logits(second)
    assert a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)
    a, b = read_results(first), read_results(second)
    assert scores_table(a) == scores_table(b) and further_scores_table(a) == further_scores_table(b)
    for field in ("epoch", "train_loss", "validation_loss", "images", "improved"):
        one, other = ([getattr(e, field) for e in r.rows[0].record.epochs] for r in (a, b))
        assert one == other
    assert b.rows[0].record.status == "ok"
    return True


@pytest.fixture(scope="module")
def undisturbed(bench, tmp_path_factory):
    parent = tmp_path_factory.mktemp("undisturbed")
    assert bench(*arguments(parent)).returncode == 0
    return parent / "run"


@pytest.fixture
def finished(undisturbed, tmp_path):
    """A copy of the undisturbed run."""
    return Path(shutil.copytree(undisturbed, tmp_path / "run"))


@pytest.fixture(scope="module")
def killed_once(not_quick, tmp_path_factory):
    parent = tmp_path_factory.mktemp("killed")
    child, run = begin(parent, "hang@3:3"), parent / "run"
    wait_until(lambda: in_epoch(run, 3))
    stop(child, signal.SIGKILL)
    assert checkpoint.last_epoch(run / "trials" / TRIAL) == 2
    return run


@pytest.fixture
def killed(killed_once, tmp_path):
    """A copy of a run that was killed in its third epoch."""
    return Path(shutil.copytree(killed_once, tmp_path / "run"))


def check_resume(bench, undisturbed, run):
    """It goes on after the second epoch, to the tables of the undisturbed run."""
    done = bench("--resume", run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert same_tables(undisturbed, run)
    assert read_results(run).rows[0].record.resumed_after == (2,)
    assert not (run / "trials" / TRIAL / "checkpoint").exists()
    assert "taken up again after epoch 2" in (run / "results.md").read_text()


def test_a_run_that_was_killed_mid_epoch_goes_on_to_the_same_tables(bench, undisturbed, killed):
    check_resume(bench, undisturbed, killed)


def test_a_run_stopped_mid_epoch_goes_on_to_the_same_tables(bench, undisturbed, tmp_path):
    child, run = begin(tmp_path, "hang@3:3"), tmp_path / "run"
    wait_until(lambda: in_epoch(run, 3))
    output = stop(child, signal.SIGINT)
    assert checkpoint.last_epoch(run / "trials" / TRIAL) == 2
    assert f"to go on: uv run python run_bench.py --resume {run}" in output
    check_resume(bench, undisturbed, run)


def test_a_run_goes_on_where_no_later_epoch_is_better(bench, tmp_path):
    """The best loss is the one from before the stop."""
    child, run = begin(tmp_path, "hang@2:3", "--models", "worse", "--learning-rate", "0.001"), tmp_path / "run"
    trial = "01-fake-worse-head-seed0"
    wait_until(lambda: in_epoch(run, 2, trial))
    stop(child, signal.SIGKILL)
    done = bench("--resume", run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "val_loss did not improve from" in done.stdout
    assert [e.improved for e in read_results(run).rows[0].record.epochs] == [True, False, False, False]


def test_the_learning_rates_schedule_is_taken_up_again(bench, tmp_path):
    """Stopped while it counts the epochs without a fall: the rate is lowered after the same epoch."""
    words = ("--models", "worse", "--recipe", "authors", "--augment", "none", "--batch-size", "32", "--epochs", "6")
    trial = "01-fake-worse-last-block-seed0"
    whole = bench(*arguments(tmp_path / "a", *words))
    assert whole.returncode == 0, whole.stdout
    child, run = begin(tmp_path / "b", "hang@4:3", *words), tmp_path / "b" / "run"
    wait_until(lambda: in_epoch(run, 4, trial))
    stop(child, signal.SIGKILL)
    assert bench("--resume", run).returncode == 0
    a, b = logits(tmp_path / "a" / "run", trial), logits(run, trial)
    assert all(np.array_equal(a[k], b[k]) for k in a)


def test_a_run_has_one_process_at_a_time(bench, tmp_path):
    child, run = begin(tmp_path, "hang@2:3"), tmp_path / "run"
    wait_until(lambda: in_epoch(run, 2))
    done = bench("--resume", run)
    assert done.returncode == 2 and "is being run by another process" in done.stderr
    stop(child, signal.SIGKILL)
    assert bench("--resume", run).returncode == 0


def test_a_run_goes_on_without_its_cache(bench, undisturbed, killed, own_cache):
    """The pixel store is filled again."""
    for folder in (own_cache / "pixels").glob("demo-600x32*"):
        shutil.rmtree(folder)
    check_resume(bench, undisturbed, killed)


def test_a_changed_plan_is_refused(bench, finished):
    run = finished
    with np.load(run / "plans" / "seed0-none.npz") as plan:
        arrays = {name: plan[name] for name in plan.files}
    arrays["orders"] = arrays["orders"][:, ::-1]
    np.savez(run / "plans" / "seed0-none.npz", **arrays)
    done = bench("--resume", run)
    assert done.returncode == 2 and "the trial was planned with" in done.stderr


def test_another_recipe_is_run_anew(bench, undisturbed, finished):
    """A finished trial whose spec was changed is not that trial."""
    run = finished
    file = run / "trials" / TRIAL / "spec.json"
    spec = json.loads(file.read_text())
    spec["recipe"]["learning_rate"] *= 10
    file.write_text(json.dumps(spec))
    done = bench("--resume", run)
    assert done.returncode == 0 and "finished earlier" not in done.stdout
    assert not np.array_equal(logits(run)["prediction"], logits(undisturbed)["prediction"])


def test_killed_while_it_writes_a_checkpoint(bench, undisturbed, tmp_path):
    child, run = begin(tmp_path, "hang@save:3"), tmp_path / "run"
    folder = run / "trials" / TRIAL / "checkpoint"
    wait_until(lambda: any(f.stat().st_size for f in folder.glob(".epoch3.state*")))
    stop(child, signal.SIGKILL)
    assert list(folder.glob(".epoch3.state*")) and checkpoint.last_epoch(folder.parent) == 2
    assert bench("--resume", run).returncode == 0
    assert same_tables(undisturbed, run)


def test_what_a_kill_leaves_of_a_write_is_swept_away(bench, undisturbed, killed):
    run = killed
    code = "import os, sys; from pathlib import Path; from common.core.files import replacing\nwith replacing(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    for place in (run / "run.json", run / "trials" / TRIAL / "logits.npz"):
        assert subprocess.run([sys.executable, "-c", code, place], cwd=PROJECT).returncode == -signal.SIGKILL
    left = [path for path in run.rglob(".*") if path.name != ".lock"]
    assert len(left) == 2
    assert bench("--resume", run).returncode == 0
    assert not any(path.exists() for path in left) and same_tables(undisturbed, run)


def test_killed_while_it_writes_the_results(bench, undisturbed, tmp_path):
    child, run = begin(tmp_path, ""), tmp_path / "run"
    wait_until((run / "results.json").exists)
    stop(child, signal.SIGKILL)
    assert not (run / "results.md").exists()
    assert bench("report", run).returncode == 0
    assert same_tables(undisturbed, run)
    rows = [(folder / "results.md").read_text().count("\n| fake logistic") for folder in (run, undisturbed)]
    assert rows[0] == rows[1] > 0  # sentences about seconds may differ from one run to the next


def test_out_of_memory(bench, undisturbed, tmp_path):
    """Memory really runs out; what the trial had reached is kept."""
    child, run = begin(tmp_path, "exhaust@3:2"), tmp_path / "run"
    output = child.communicate(timeout=60)[0]
    assert child.returncode == 1 and "out of memory; a smaller --batch-size" in output
    assert bench("--resume", run).returncode == 0
    assert same_tables(undisturbed, run)
    assert read_results(run).rows[0].record.resumed_after == (2,)


def test_a_disk_that_fills_up_mid_run(bench, undisturbed, small_disk):
    """What the trial had reached is kept; once there is room, the run goes on."""
    child, run = begin(small_disk, "wait@3:3"), small_disk / "run"
    wait_until(lambda: in_epoch(run, 3))
    with contextlib.suppress(OSError), open(small_disk / "ballast", "wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))
    output = child.communicate(timeout=60)[0]
    assert child.returncode == 2 and "No space left on device" in output and f"--resume {run}" in output
    assert "Traceback" not in output
    (small_disk / "ballast").unlink()
    done = bench("--resume", run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert same_tables(undisturbed, run)


@pytest.mark.parametrize("file", ["epoch2.state", "epoch2.npz", "best*.safetensors", "checkpoint.json"])
def test_a_corrupt_checkpoint_is_not_used(bench, undisturbed, killed, file):
    run = killed
    (path,) = (run / "trials" / TRIAL / "checkpoint").glob(file)
    with open(path, "r+b") as stream:
        stream.seek(8)
        stream.write(b"\xff")
    assert bench("--resume", run).returncode == 0
    assert same_tables(undisturbed, run)
    assert read_results(run).rows[0].record.resumed_after == ()


@pytest.mark.parametrize(
    ("framework", "model", "train", "more"),
    [
        # random weights: all trains, with dropout
        pytest.param("torch", "resnet50:v1", "last-block", ("--recipe", "authors"), marks=pytest.mark.slow),
        ("tf", "efficientnet_lite0", "last-block", ()),
    ],
)
def test_real_frameworks_go_on_to_the_same_bytes(bench, tmp_path, framework, model, train, more):
    """Optimiser, batch norm, and (torch: dropout, the plateau) random state and schedule are all taken up again: every
    logit is the same."""
    name = f"01-{framework}-{model.replace(':', '-')}-{train}-seed0"
    words = ("--frameworks", framework, "--models", model, "--train", train, "--limit", "60", "--image-size", "32",
             "--batch-size", "4", "--deterministic", "--epochs", "2", "--learning-rate", "0.001", *more)  # fmt: skip
    whole = bench(*arguments(tmp_path / "a", *words))
    assert whole.returncode == 0, whole.stdout
    child, run = subprocess.Popen(command(tmp_path / "b", *words), stdout=subprocess.DEVNULL), tmp_path / "b" / "run"
    wait_until(lambda: in_epoch(run, 2, name))
    child.kill()
    child.wait()
    assert checkpoint.last_epoch(run / "trials" / name) == 1
    done = bench("--resume", run)
    assert done.returncode == 0, done.stdout + done.stderr
    a, b = logits(tmp_path / "a" / "run", name), logits(run, name)
    assert a.keys() == b.keys() and all(a[k].tobytes() == b[k].tobytes() for k in a)
    assert not np.array_equal(a["epoch1"], a["epoch2"])


def test_a_finished_trial_whose_logits_are_damaged_is_run_anew(bench, undisturbed, finished):
    run = finished
    file = run / "trials" / TRIAL / "logits.npz"
    file.write_bytes(file.read_bytes()[:-3000])
    done = bench("--resume", run)
    assert done.returncode == 0 and "finished earlier" not in done.stdout
    assert same_tables(undisturbed, run)


def test_a_finished_trial_is_reused(bench, finished):
    before = (finished / "trials" / TRIAL / "events.jsonl").read_bytes()
    done = bench("--resume", finished)
    assert done.returncode == 0 and "finished earlier; its result stands" in done.stdout
    assert (finished / "trials" / TRIAL / "events.jsonl").read_bytes() == before


@pytest.mark.parametrize(("place", "key"), [("made_by", "code"), ("made_by", "numpy"), ("machine", "processor")])
def test_a_trial_of_other_code_versions_or_machine_is_run_anew(bench, finished, place, key):
    run = finished
    record = json.loads((run / "run.json").read_text())
    record[place][key] = "another"
    (run / "run.json").write_text(json.dumps(record))
    done = bench("--resume", run)
    assert done.returncode == 0, done.stderr
    assert f"these changed: {key} (another, now " in done.stdout and "run anew" in done.stdout
    assert "finished earlier" not in done.stdout


def test_results_stand_until_there_are_new_ones(finished):
    """Other code, and a stop before the trial that is run anew has ended: the earlier result can still be read."""
    run = finished
    parent_record.disown(run / "trials" / TRIAL)
    assert read_results(run).rows[0].record.status == "ok"
    assert not parent_record.finished(run / "trials" / TRIAL, read_results(run).rows[0].record.spec)


def test_changed_data_is_refused(bench, tmp_path):
    from common.data.formats import demo

    scenes = demo.read(demo.Path("demo")).first(40)
    (tmp_path / "data").symlink_to(scenes.folder + "/data")
    table = tmp_path / "train.csv"
    table.write_text("ImageID,Labels,Caption\n" + "".join(f"{i},1,x\n" for i in scenes.ids))
    words = ("--frameworks", "fake", "--data", tmp_path, "--image-size", "16", "--results-dir", tmp_path / "r")
    assert bench(*words, "--name", "run").returncode == 0
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

    progress = checkpoint.State(1, 0.5, 1, {"w": np.ones(2, np.float32)}, {"epoch1": np.zeros(3)})
    checkpoint.save(tmp_path, progress, Adapter(), "one")
    (tmp_path / "checkpoint" / "epoch2.state").write_text("half")
    step = Step(phase="train", epoch=2, step=1, batches=1, images=1, elapsed_s=1.0)
    lines = (to_line(event) for event in (epoch_record(1), step, epoch_record(2)))
    (tmp_path / "events.jsonl").write_text("".join(lines))
    assert checkpoint.last_epoch(tmp_path) == 1
    assert checkpoint.rewind(tmp_path) == 1
    assert (tmp_path / "events.jsonl").read_text().count("\n") == 1
    progress.epoch = 2
    checkpoint.save(tmp_path, progress, Adapter(), "two")
    assert sorted(p.name for p in (tmp_path / "checkpoint").iterdir()) == [
        "best1.safetensors", "checkpoint.json", "epoch2.npz", "epoch2.state"
    ]  # fmt: skip


def test_a_run_of_another_version_opens(finished):
    """Its files have keys that this version does not know."""
    trial = finished / "trials" / TRIAL
    log, parent = trial / "events.jsonl", trial / "parent.json"
    log.write_text("".join(json.dumps(json.loads(line) | {"new": 1}) + "\n" for line in log.read_text().splitlines()))
    before = parent_record.read_parent(trial)
    parent.write_text(json.dumps(json.loads(parent.read_text()) | {"new": 1}))
    assert parent_record.read_parent(trial) == before is not None
    record = read_results(finished).rows[0].record
    assert record.status == "ok" and record.epochs and not record.reason


def test_a_run_starts_from_what_another_trained(bench, undisturbed, tmp_path):
    still = ("--learning-rate", "1e-12")  # so that its first epoch leaves the weights as they came
    done = bench(*FAST, *still, "--init-from", undisturbed, "--results-dir", tmp_path, "--name", "next")
    assert done.returncode == 0, done.stdout + done.stderr
    weights = read_results(tmp_path / "next").rows[0].record.spec.weights
    assert weights.source == "run run" and weights.head
    first, second = logits(undisturbed), logits(tmp_path / "next")
    assert np.array_equal(second["epoch1"], first["prediction"])
    assert not np.array_equal(second["epoch1"], first["epoch1"])
    other = bench(*FAST, "--init-from", undisturbed, "--seed", "7", "--results-dir", tmp_path, "--name", "other")
    assert other.returncode == 2 and "would have trained on these validation images" in other.stderr
    fewer = bench("--frameworks", "fake", "--limit", "100", "--image-size", "32", "--init-from", undisturbed,
                  "--results-dir", tmp_path, "--name", "fewer")  # fmt: skip
    assert fewer.returncode == 2 and "it trained on what are validation images" in fewer.stderr


@pytest.mark.parametrize(("bad", "decodes"), [("fail", False), ("skip", True)])
def test_another_split_is_refused_before_decoding(not_quick, undisturbed, monkeypatch, tmp_path, bad, decodes):
    """Unless images that cannot be decoded are left out: then only decoding shows which images are split."""

    class Decoding(Exception):
        pass

    def decode_all(*_):
        raise Decoding

    monkeypatch.setattr(prepare, "decode_all", decode_all)
    settings = Settings(
        frameworks=("fake",), limit=100, image_size=32, init_from=str(undisturbed), on_bad_image=bad, device="cpu",
        results_dir=str(tmp_path), threads=1,
    )  # fmt: skip
    match = None if decodes else "it trained on what are validation images"
    with pytest.raises(Decoding if decodes else InputError, match=match):
        prepare.make_run(settings, lambda text: None, lambda done, total: None)

"""A run's records in MLflow: the same numbers as in its own files, once."""

import builtins
import os
import signal
import subprocess
import sys
import time

import pytest

import run_bench
from common.analysis.records import read_results
from common.core.errors import InputError
from common.core.registry import tracker
from tests.helpers.project import PROJECT

WORDS = ("--frameworks", "fake", "--models", "logistic", "crash", "--limit", "100", "--image-size", "16")
QUICK = ("--frameworks", "fake", "--limit", "60", "--image-size", "16", "--epochs", "1")


@pytest.fixture
def store(tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # since 3.17 MLflow wants to be asked for it
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path / 'store'}")
    import mlflow

    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    return mlflow.MlflowClient()


def trials(store):
    (experiment,) = [e for e in store.search_experiments() if e.name == "framework-bench demo"]
    found = store.search_runs([experiment.experiment_id])
    return {run.info.run_name: run for run in found}


def test_mlflow_holds_what_the_run_does_once(bench, store, tmp_path):
    done = bench(*WORDS, "--track", "mlflow", "--results-dir", tmp_path, "--name", "run")
    assert done.returncode == 1 and "sent to file:" in done.stdout, done.stdout + done.stderr  # one model crashes
    assert bench("report", tmp_path / "run", "--track", "mlflow").returncode == 0  # again: it replaces
    found, here = trials(store), read_results(tmp_path / "run")
    assert found.keys() == {"run", *(row.record.spec.name for row in here.rows)}
    whole = found["run"]
    assert whole.info.status == "FAILED" and whole.data.tags["command"] == here.run.command
    assert {a.path for a in store.list_artifacts(whole.info.run_id)} == {
        "results.md",
        "index.html",
        "results.json",
        "results.csv",
    }
    good, bad = here.rows
    sent = found[good.record.spec.name]
    assert sent.info.status == "FINISHED" and sent.data.tags["mlflow.parentRunId"] == whole.info.run_id
    assert sent.data.params["framework"] == "fake" and sent.data.params["recipe.batch_size"] == "32"
    assert sent.data.metrics["f1_at_95"] == good.scores.percentiles["95"].f1
    losses = store.get_metric_history(sent.info.run_id, "train_loss")
    assert [(m.step, m.value) for m in losses] == [(e.epoch, e.train_loss) for e in good.record.epochs]
    assert found[bad.record.spec.name].info.status == "FAILED"
    assert found[bad.record.spec.name].data.tags["reason"] == bad.record.reason


@pytest.fixture(scope="module")
def sent(bench, tmp_path_factory):
    """A run's folder and results, to be sent in this process."""
    folder = tmp_path_factory.mktemp("sent")
    assert bench(*QUICK, "--results-dir", folder, "--name", "smoke").returncode == 0
    return folder / "smoke", read_results(folder / "smoke")


def send(sent, **changes):
    """Another run of the same name, as far as its record differs."""
    folder, results = sent
    tracker("mlflow").send(results.model_copy(update={"run": results.run.model_copy(update=changes)}), folder)


def names(store):
    (experiment,) = [e for e in store.search_experiments() if e.name == "framework-bench demo"]
    return sorted(run.info.run_name for run in store.search_runs([experiment.experiment_id]))


TWICE = ["01-fake-logistic-head-seed0"] * 2 + ["smoke"] * 2


def test_two_runs_of_one_name_in_one_minute_both_stay(store, sent):
    """A matrix of CI jobs: other folders, one server. Each run is known by its own id, and replaces itself alone."""
    assert len(sent[1].run.id) == 32
    send(sent)
    send(sent, id="another")
    send(sent, id="another")
    assert names(store) == TWICE


def test_a_record_without_an_id_is_sent_once(store, sent):
    """Of an earlier version: its name and minute are another run's too, whose command tells the two apart."""
    for command in ("run --seed 0", "run --seed 5", "run --seed 5"):
        send(sent, id="", started="2026-11-28 00:42", command=command)
    assert names(store) == TWICE


def test_a_failed_sending_keeps_what_was_there(store, sent, monkeypatch):
    send(sent)
    monkeypatch.setattr(tracker("mlflow"), "metrics", lambda row: 1 / 0)
    with pytest.raises(InputError, match="cannot be used: division by zero"):
        send(sent)
    assert len(names(store)) == 4  # the half that was sent goes with the next sending
    monkeypatch.undo()


def test_a_deleted_experiment_is_named(store, sent):
    send(sent)
    (experiment,) = [e for e in store.search_experiments() if e.name == "framework-bench demo"]
    store.delete_experiment(experiment.experiment_id)
    with pytest.raises(InputError, match="the MLflow experiment 'framework-bench demo' was deleted; restore it"):
        tracker("mlflow").check("demo")


@pytest.mark.parametrize("broken", ["no package", "no folder", "no server"])
def test_a_tracker_that_cannot_be_used_is_told_before_anything_is_computed(bench_process, tmp_path, broken):
    (tmp_path / "file").write_text("")
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "mlflow.py").write_text("raise ModuleNotFoundError('planted', name='mlflow')\n")
    if broken != "no package":
        pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    variables, words = {
        "no package": ({"PYTHONPATH": str(tmp_path / "without")}, "needs the package mlflow; install it with: uv sync"),
        "no folder": ({"MLFLOW_TRACKING_URI": f"file:{tmp_path / 'file' / 'store'}"}, "Not a directory"),
        "no server": ({"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}, "MLflow at http://127.0.0.1:9"),
    }[broken]
    variables = (
        os.environ | {"MLFLOW_ALLOW_FILE_STORE": "true", "FRAMEWORK_BENCH_CACHE": str(tmp_path / "c")} | variables
    )
    words_of_run = (*QUICK, "--track", "mlflow", "--results-dir", tmp_path / "results")
    done = bench_process(*words_of_run, env=variables, timeout=60)
    assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert not (tmp_path / "results").exists() and not (tmp_path / "c" / "pixels").exists()


def test_a_store_that_is_lost_while_it_trains_loses_no_result(bench, store, tmp_path):
    """The message names the command that sends again, which works once the store is back."""
    variables = os.environ | {"FRAMEWORK_BENCH_FAULT": "wait@1:1"}
    words = [sys.executable, PROJECT / "run_bench.py", *QUICK, "--track", "mlflow", "--results-dir", tmp_path]
    running = subprocess.Popen([*words, "--name", "run"], env=variables, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip
    trial = tmp_path / "run" / "trials" / "01-fake-logistic-head-seed0"
    while not (trial / "events.jsonl").exists() and running.poll() is None:
        time.sleep(0.05)
    (tmp_path / "store").rename(tmp_path / "kept")
    (tmp_path / "store").write_text("")
    _, said = running.communicate(timeout=60)
    assert running.returncode == 2 and "Traceback" not in said
    assert "the trials' results are kept: when that is mended, run: uv run python run_bench.py report" in said
    assert f"report {tmp_path / 'run'} --track mlflow" in said and (tmp_path / "run" / "results.md").exists()
    (tmp_path / "store").unlink()
    (tmp_path / "kept").rename(tmp_path / "store")
    assert bench("report", tmp_path / "run", "--track", "mlflow").returncode == 0
    assert names(store) == ["01-fake-logistic-head-seed0", "run"]


def test_a_run_is_taken_up_though_its_server_is_gone(bench, bench_process, store, tmp_path):
    assert bench(*QUICK, "--track", "mlflow", "--results-dir", tmp_path, "--name", "run").returncode == 0
    variables = os.environ | {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    done = bench_process("--resume", tmp_path / "run", env=variables)
    assert "to send the records later, run: " in done.stdout and "finished earlier" in done.stdout
    assert done.returncode == 2 and "Traceback" not in done.stderr  # the sending, at the end


def test_ctrl_c_ends_the_waiting_for_a_server_and_names_the_command(bench, store, tmp_path):
    assert bench(*QUICK, "--track", "mlflow", "--results-dir", tmp_path, "--name", "run").returncode == 0
    variables = os.environ | {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "7"}
    words = [sys.executable, PROJECT / "run_bench.py", "report", tmp_path / "run", "--track", "mlflow"]
    waiting = subprocess.Popen(words, env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert any(line.startswith("page: ") for line in waiting.stdout)
    time.sleep(3)
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait(timeout=10) == 130


@pytest.mark.parametrize("error", [AttributeError("module 'numpy' has no attribute 'x'\nmore"), TypeError("")])
def test_a_package_that_cannot_be_imported_is_one_sentence(monkeypatch, error):
    """Of a version that does not fit the others."""

    def broken(name, *rest, **more):
        if name == "mlflow":
            raise error
        return real(name, *rest, **more)

    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(
        InputError, match=rf"cannot be imported \({type(error).__name__}: .*uv sync --extra mlflow"
    ) as caught:
        tracker("mlflow").check("demo")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("track", "ends"), [("mlflow", " --track mlflow"), ("", "")])
def test_a_report_that_fails_names_the_command_that_also_sends(monkeypatch, tmp_path, track, ends):
    monkeypatch.setattr("common.report.write.write_report", lambda folder: 1 / 0)
    with pytest.raises(InputError, match=f"report {tmp_path}{ends}$"):
        run_bench.write_report(None, tmp_path, track)


def test_an_unknown_tracker_is_refused_before_anything_runs(cli, tmp_path):
    done = cli(*WORDS, "--track", "mlfow", "--results-dir", tmp_path)
    assert done.returncode == 2 and "no tracker 'mlfow'; there are: mlflow (did you mean mlflow?)" in done.stderr

"""A run's records in MLflow: the same numbers as in its own files, once."""

import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import PROJECT

from common.records import read_results

WORDS = ("--frameworks", "fake", "--models", "logistic", "crash", "--limit", "100", "--image-size", "16")


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
    assert sent.data.metrics["f1_at_95"] == good.scores["percentiles"]["95"]["f1"]
    losses = store.get_metric_history(sent.info.run_id, "train_loss")
    assert [(m.step, m.value) for m in losses] == [(e.epoch, e.train_loss) for e in good.record.epochs]
    assert found[bad.record.spec.name].info.status == "FAILED"
    assert found[bad.record.spec.name].data.tags["reason"] == bad.record.reason


def test_a_store_that_cannot_be_reached_is_one_message_and_the_run_stays(bench, store, tmp_path):
    (tmp_path / "file").write_text("")
    variables = os.environ | {"MLFLOW_TRACKING_URI": f"file:{tmp_path / 'file' / 'store'}"}
    done = bench(*WORDS, "--track", "mlflow", "--results-dir", tmp_path, "--name", "run", env=variables)
    assert done.returncode == 2 and "Traceback" not in done.stderr and "Not a directory" in done.stderr
    assert (tmp_path / "run" / "results.md").exists()


def test_a_server_that_is_not_there_is_one_message_and_ctrl_c_ends_the_waiting(bench, store, tmp_path):
    variables = os.environ | {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    done = bench(*WORDS, "--track", "mlflow", "--results-dir", tmp_path, "--name", "run", env=variables)
    assert done.returncode == 2 and "MLflow at http://127.0.0.1:9" in done.stderr and "Traceback" not in done.stderr
    variables |= {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "7"}
    words = [sys.executable, PROJECT / "run_bench.py", "report", tmp_path / "run", "--track", "mlflow"]
    waiting = subprocess.Popen(words, env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert any(line.startswith("page: ") for line in waiting.stdout)
    time.sleep(3)
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait(timeout=10) == 130


def test_an_unknown_tracker_is_refused_before_anything_runs(bench, tmp_path):
    done = bench(*WORDS, "--track", "mlfow", "--results-dir", tmp_path)
    assert done.returncode == 2 and "no tracker 'mlfow'; there are: mlflow (did you mean mlflow?)" in done.stderr

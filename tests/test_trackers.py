"""A run's records in MLflow: the same numbers as in its own files, once."""

import os

import pytest

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
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert (tmp_path / "run" / "results.md").exists()


def test_an_unknown_tracker_is_refused_before_anything_runs(bench, tmp_path):
    done = bench(*WORDS, "--track", "mlfow", "--results-dir", tmp_path)
    assert done.returncode == 2 and "no tracker 'mlfow'; there are: mlflow (did you mean mlflow?)" in done.stderr

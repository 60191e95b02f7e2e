"""A run's records in MLflow: one of its runs for the whole, with one below it for every trial."""

from pathlib import Path
from typing import Any

from common.errors import InputError
from common.results import Results, Row, RunRecord

ABOUT = "MLflow, at MLFLOW_TRACKING_URI"
ARTIFACTS = ("results.md", "index.html", "results.json", "results.csv")
OURS = "framework_bench.run"  # the tag by which a run that was sent before is found
AT_ONCE = 100  # parameters of a call, at the most


def send(results: Results, folder: Path) -> str:
    """Replaces what was sent of this run before. InputError where MLflow is not installed, or its store cannot be reached."""
    try:
        import mlflow
    except ImportError:
        raise InputError("--track mlflow needs the package mlflow; install it with: uv sync --extra mlflow") from None
    try:
        return _send(mlflow, results, folder)
    except mlflow.exceptions.MlflowException as error:
        raise InputError(f"MLflow at {mlflow.get_tracking_uri()}: {str(error).splitlines()[0]}") from error


def _send(mlflow: Any, results: Results, folder: Path) -> str:
    client, run = mlflow.MlflowClient(), results.run
    name = f"framework-bench {run.dataset}"
    there = client.get_experiment_by_name(name)
    experiment = there.experiment_id if there else client.create_experiment(name)
    mine = f"{run.name} {run.started}"
    for old in client.search_runs([experiment], f"tags.`{OURS}` = '{mine}'"):
        client.delete_run(old.info.run_id)
    whole = client.create_run(experiment, run_name=run.name, tags={OURS: mine} | _words(run))
    for file in ARTIFACTS:
        client.log_artifact(whole.info.run_id, str(folder / file))
    for row in results.rows:
        _trial(mlflow, client, experiment, row, {OURS: mine, "mlflow.parentRunId": whole.info.run_id})
    client.set_terminated(
        whole.info.run_id, "FINISHED" if all(r.record.status == "ok" for r in results.rows) else "FAILED"
    )
    return f"{mlflow.get_tracking_uri()}, experiment '{name}'"


def _words(run: RunRecord) -> dict[str, str]:
    return {"command": run.command, "started": run.started, "pixels": run.pixels_hash} | run.machine | run.made_by


def _trial(mlflow: Any, client: Any, experiment: str, row: Row, tags: dict[str, str]) -> None:
    record, spec = row.record, row.record.spec
    found = client.create_run(
        experiment, run_name=spec.name, tags=tags | {"status": record.status, "reason": record.reason[:500]}
    )
    identity = found.info.run_id
    params = [mlflow.entities.Param(name, str(value)[:500]) for name, value in parameters(row).items()]
    for at in range(0, len(params), AT_ONCE):
        client.log_batch(identity, params=params[at : at + AT_ONCE])
    entries = [mlflow.entities.Metric(name, value, 0, step) for name, step, value in metrics(row)]
    for at in range(0, len(entries), AT_ONCE):
        client.log_batch(identity, metrics=entries[at : at + AT_ONCE])
    client.set_terminated(identity, "FINISHED" if record.status == "ok" else "FAILED")


def parameters(row: Row) -> dict[str, Any]:
    """What the trial was given, and what its framework says of itself."""
    spec = row.record.spec
    given = {
        "framework": spec.framework, "model": str(spec.model), "lane": spec.lane, "seed": spec.seed,
        "weights": spec.weights.source, "weights_sha256": spec.weights.sha256, "plan": spec.feed.plan_hash,
        "balance": spec.feed.balance, "augment": spec.feed.augment, "split": spec.feed.split,
        "image_side": spec.feed.image_side, "train_images": spec.feed.train_images, "workers": spec.feed.workers,
        "device": spec.process.device, "devices": spec.process.devices, "threads": spec.process.threads, "deterministic": spec.process.deterministic,
    }  # fmt: skip
    recipe = {f"recipe.{name}": value for name, value in spec.recipe.model_dump().items()}
    facts = {f"fact.{_plain(name)}": value for name, value in row.record.facts.items()}
    return given | recipe | facts | {f"environment.{_plain(n)}": v for n, v in row.record.environment.items()}


def metrics(row: Row) -> list[tuple[str, int, float]]:
    """(name, epoch, value): of every epoch, and of the whole trial after the last."""
    record, found = row.record, []
    for epoch in record.epochs:
        values = epoch.model_dump(
            include={
                "train_s",
                "validation_s",
                "wait_s",
                "first_step_s",
                "train_loss",
                "validation_loss",
                "images_per_s",
            }
        )
        found += [(name, epoch.epoch, float(value)) for name, value in values.items()]
    last = len(record.epochs)
    whole = record.model_dump(include={"start_s", "prediction_s", "wall_s", "peak_memory_bytes", "peak_device_bytes"})
    found += [(name, last, float(value)) for name, value in whole.items()]
    for percentile, values in row.scores.get("percentiles", {}).items():
        found += [
            (f"{name}_at_{percentile}", last, float(value))
            for name, value in values.items()
            if isinstance(value, int | float)
        ]
    if row.scores.get("mAP") is not None:
        found.append(("mAP", last, float(row.scores["mAP"])))
    return found


def _plain(name: str) -> str:
    """MLflow takes letters, digits and a few signs in names."""
    return "".join(c if c.isalnum() or c in "_-. /" else "_" for c in name)

"""A run's records in MLflow: one of its runs for the whole, with one below it for every trial."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.core.errors import InputError
from common.core.results import Results, Row, RunRecord

ABOUT = "MLflow, at MLFLOW_TRACKING_URI"
NEEDS = "--track mlflow needs the package mlflow; install it with: uv sync --extra mlflow"
ARTIFACTS = ("results.md", "index.html", "results.json", "results.csv")
OURS = "framework_bench.run"  # the tag by which a run that was sent before is found
PARENT = "mlflow.parentRunId"
AT_ONCE = 100  # parameters of a call, at the most
IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}  # while a server is tried out


def check(dataset: str) -> None:
    """Find or make the experiment of the data set, before anything is computed. InputError where MLflow is not installed,
    or its store cannot be reached or written."""
    left_open = [name for name in IMPATIENT if name not in os.environ]
    os.environ.update({name: IMPATIENT[name] for name in left_open})
    try:
        with _reachable() as mlflow:
            client = mlflow.MlflowClient()
            client.set_experiment_tag(_experiment(client, dataset), "framework_bench", "checked")  # it can be written
    finally:
        for name in left_open:
            del os.environ[name]


def send(results: Results, folder: Path) -> str:
    """Replaces what was sent of this run before. InputError where MLflow is not installed, or its store cannot be reached."""
    with _reachable() as mlflow:
        return _send(mlflow, results, folder)


@contextlib.contextmanager
def _reachable() -> Iterator[Any]:
    """The package. Its errors, and those of what it stores in, become one sentence."""
    try:
        import mlflow
    except ImportError as error:
        raise InputError(NEEDS if error.name == "mlflow" else f"{NEEDS} ({error})") from None
    except Exception as error:  # of a package that does not fit the others: AttributeError, TypeError, ...
        raise InputError(
            f"--track mlflow: the package mlflow cannot be imported ({type(error).__name__}: {_line(error)}); install it again "
            "with: uv sync --extra mlflow, or leave out --track"
        ) from error
    try:
        yield mlflow
    except InputError:
        raise
    except Exception as error:  # MlflowException, and what its stores raise: OSError, SQLAlchemy's, requests' ...
        where = f"MLflow at {mlflow.get_tracking_uri()} (MLFLOW_TRACKING_URI)"
        raise InputError(f"{where} cannot be used: {_line(error)}") from error


def _line(error: Exception) -> str:
    """The first line of an error's text."""
    return " ".join((str(error) or type(error).__name__).split("\n")[0].split()).rstrip(".")


def _experiment(client: Any, dataset: str) -> str:
    """The id of the data set's experiment, made where it is not there yet."""
    name = _name(dataset)
    there = client.get_experiment_by_name(name)
    if there and there.lifecycle_stage != "active":
        raise InputError(f"the MLflow experiment '{name}' was deleted; restore it, or remove it for good")
    return there.experiment_id if there else client.create_experiment(name)


def _name(dataset: str) -> str:
    return f"framework-bench {dataset}"


def identity(run: RunRecord) -> str:
    """What tells the run from all others. Records older than the id have their name and start alone."""
    return run.id or f"{run.name} {run.started}"


def _send(mlflow: Any, results: Results, folder: Path) -> str:
    client, run = mlflow.MlflowClient(), results.run
    experiment = _experiment(client, run.dataset)
    mine = identity(run)
    before = _sent_before(client, experiment, run)
    whole = client.create_run(experiment, run_name=run.name, tags={OURS: mine} | _words(run))
    for file in ARTIFACTS:
        client.log_artifact(whole.info.run_id, str(folder / file))
    for row in results.rows:
        _trial(mlflow, client, experiment, row, {OURS: mine, PARENT: whole.info.run_id})
    client.set_terminated(
        whole.info.run_id, "FINISHED" if all(r.record.status == "ok" for r in results.rows) else "FAILED"
    )
    for old in before:  # last: a server that fails meanwhile loses nothing
        client.delete_run(old)
    return f"{mlflow.get_tracking_uri()}, experiment '{_name(run.dataset)}'"


def _sent_before(client: Any, experiment: str, run: RunRecord) -> list[str]:
    """Ids of the MLflow runs that hold this run already. Two runs whose records have no id may share name and minute, so
    that their command has to be the same too."""
    found, page = [], None
    while page is None or page.token:
        page = client.search_runs(
            [experiment], f"tags.`{OURS}` = '{identity(run)}'", page_token=page.token if page else None
        )
        found += page
    wholes = {r.info.run_id for r in found if PARENT not in r.data.tags}
    if not run.id:
        wholes &= {r.info.run_id for r in found if r.data.tags.get("command") == run.command}
    return [r.info.run_id for r in found if r.info.run_id in wholes or r.data.tags.get(PARENT) in wholes]


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
    if row.scores:
        for percentile, scores in row.scores.percentiles.items():
            values = scores.model_dump(exclude_none=True)
            found += [(f"{name}_at_{percentile}", last, float(value)) for name, value in values.items()]
        found.append(("mAP", last, row.scores.mAP))
    return found


def _plain(name: str) -> str:
    """MLflow takes letters, digits and a few signs in names."""
    return "".join(c if c.isalnum() or c in "_-. /" else "_" for c in name)

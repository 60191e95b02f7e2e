"""Trials on the nodes of a Ray cluster: those that are compared with each other on one node, in turn."""

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from common.core.errors import InputError
from common.core.files import PROJECT
from common.core.formatting import size_text
from common.core.locks import lock_scope, locked, use_cache
from common.core.signals import listen
from common.core.specs import ProcessSpec, TrialSpec
from common.report.progress import Display, Silent, bars
from common.run.parent_record import finished, read_parent
from common.run.resume import on_this_node
from common.run.runner import run_trial
from common.run.tail import Tail

ABOUT = "on a Ray cluster (--address); all its nodes see the project, the data and the results at the same place"
NO_WAIT = (
    "a node runs several trials of a cluster at once, and each would wait for the others; keep other work off the nodes, "
    "or run on one machine with --launcher local"
)
LOOK_S = 0.2
KNOCK_S = 5.0
RETRIES = 3  # of a trial whose node or worker died
MEMORY_BYTES = 4 * 2**30  # that a trial asks its node for
END_S = 15.0  # what stopped trials have to end in


def check(process: ProcessSpec, address: str) -> None:
    """InputError, before anything is computed, where there is no cluster, or no node for a trial of such a process."""
    with _cluster(address) as ray:
        _check_room(ray.nodes(), [process])


def run_trials(folder: Path, specs: list[TrialSpec], console: Console, resume: bool = False, address: str = "") -> None:
    """Each trial is a task that asks its node for threads, a GPU where it uses one, and memory. One whose node died goes on
    elsewhere after its last finished epoch.

    KeyboardInterrupt ends all of them, and is raised again. resume: trials go on after their last finished epoch on a
    cluster in any case. InputError where there is no cluster, or no node for a trial; after all others, where one could
    not be carried out.
    """
    with _cluster(address) as ray:
        _check_room(ray.nodes(), [spec.process for spec in specs])
        failures = _carry_out_all(ray, folder.resolve(), specs, console)
    if failures:
        raise InputError("; ".join(failures))


def bundles(specs: list[TrialSpec]) -> list[list[TrialSpec]]:
    """Trials that tables compare with each other, in their order: of one model, trained part and balance; and all of those
    architectures over which a ratio is taken apart, which are on several frameworks in the libraries' own formulas."""
    on: dict[str, set[str]] = {}
    for spec in specs:
        if spec.recipe.formulas == "library":
            on.setdefault(spec.model.name, set()).add(spec.framework)
    several = [name for name, frameworks in on.items() if len(frameworks) > 1]
    crossed = several if len(several) > 1 else []
    found: dict[tuple, list[TrialSpec]] = {}
    for spec in specs:
        found.setdefault(() if spec.model.name in crossed else spec.job_key().work, []).append(spec)
    return list(found.values())


def wanted(process: ProcessSpec) -> dict[str, float]:
    """What the trial asks a node for, in Ray's words."""
    return {
        "num_cpus": process.threads,
        "num_gpus": process.devices * (process.device == "cuda"),
        "memory": MEMORY_BYTES,
    }


@contextlib.contextmanager
def _cluster(address: str) -> Iterator[Any]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would call home
    try:
        import ray
    except ImportError:
        raise InputError("--launcher ray needs the package ray; install it with: uv sync --extra ray") from None
    try:
        _knock(address)
        ray.init(
            address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": {"PYTHONPATH": str(PROJECT)}},
        )
    except (OSError, OverflowError, ValueError, RuntimeError) as error:
        raise InputError(f"no Ray cluster at --address {address} ({error}); start one with: ray start --head") from None
    finally:
        listen()  # ray.init puts its own handler in the place of ours: a polite kill would leave no tables
    try:
        yield ray
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """OSError where nobody listens: Ray itself would try again for minutes."""
    host, _, port = address.rpartition(":")
    if port.isdecimal():
        socket.create_connection((host, int(port)), KNOCK_S).close()


def _check_room(nodes: list[dict[str, Any]], processes: list[ProcessSpec]) -> None:
    """InputError for a trial that no node could ever take: Ray would wait for one for ever."""
    names = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}
    offered = [node["Resources"] for node in nodes if node["Alive"]]

    def words(resources: dict[str, float]) -> str:
        return (
            f"{resources.get('CPU', 0):g} CPU, {resources.get('GPU', 0):g} GPU, {size_text(resources.get('memory', 0))}"
        )

    for process in processes:
        asked = {names[key]: value for key, value in wanted(process).items()}
        if not any(all(node.get(name, 0) >= value for name, value in asked.items()) for node in offered):
            raise InputError(
                f"no node has what a trial asks for ({words(asked)}); they have: {'; '.join(map(words, offered))}; "
                "take fewer --threads or --devices, or add a node"
            )


@dataclass(frozen=True)
class _Outcome:
    """How a trial of the cluster ended."""

    status: str
    reason: str
    wall_s: float
    node: str  # on which it ran; "": its task failed before


@dataclass
class _Running:
    """A trial that was handed to the cluster, and how the driver hears of it."""

    spec: TrialSpec
    rest: Iterator[TrialSpec]  # of its bundle
    display: Display
    tail: Tail

    def follow(self) -> None:
        for event in self.tail.new():
            self.display.event(event, 0)


def _carry_out_all(ray: Any, folder: Path, specs: list[TrialSpec], console: Console) -> list[str]:
    """What could not be carried out, in words."""
    numbers = {spec.name: number for number, spec in enumerate(specs, start=1)}
    running: dict[Any, _Running] = {}
    failures = []
    with bars(console) as bar:

        def begin(rest: Iterator[TrialSpec], node: str = "") -> None:
            for spec in rest:
                display, trial = Display(console, bar), folder / "trials" / spec.name
                display.begin(spec, numbers[spec.name], len(specs))
                if not finished(trial, spec):
                    break
                display.reused(spec)
                record = read_parent(trial)
                node = record.node if record else ""  # its bundle goes on where it was begun
            else:
                return
            tail = Tail(trial / "events.jsonl")
            task = ray.remote(carry_out).options(max_retries=RETRIES, **wanted(spec.process), **_on(node))
            running[task.remote(str(folder), spec.name, os.getcwd())] = _Running(spec, rest, display, tail)

        for bundle in bundles(specs):
            begin(iter(bundle))
        try:
            while running:
                done, _ = ray.wait(list(running), timeout=LOOK_S)
                for trial in running.values():
                    trial.follow()
                for task in done:
                    trial, outcome = running.pop(task), _outcome(ray, task)
                    trial.display.finish(outcome.status, outcome.reason, outcome.wall_s)
                    failures += [] if outcome.node else [f"{trial.spec.name}: {outcome.reason}"]
                    begin(trial.rest, outcome.node)
        except KeyboardInterrupt:
            for task in running:
                ray.cancel(task)
            ray.wait(list(running), num_returns=len(running), timeout=END_S)
            raise
    return failures


def _outcome(ray: Any, task: Any) -> _Outcome:
    """What the node returns; of a task that failed itself, the error."""
    try:
        return ray.get(task)
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        return _not_run(str(cause) if isinstance(cause, InputError) else f"{type(cause).__name__}: {cause}")
    except ray.exceptions.RayError as error:  # its node or worker died once too often
        return _not_run(f"{type(error).__name__}: {str(error).splitlines()[0]}")


def _not_run(reason: str) -> _Outcome:
    return _Outcome("not run", reason, 0.0, "")


def _on(node: str) -> dict[str, Any]:
    """The option that puts a task on that node, where it is still there."""
    if not node:
        return {}
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=True)}


def carry_out(folder: str, name: str, cwd: str) -> _Outcome:
    """On a node: find or make what the trial needs there, and run it, or go on with it where another node had begun it."""
    import ray

    os.chdir(cwd)  # the paths that the user gave are seen from there
    node, run = ray.get_runtime_context().get_node_id(), Path(folder)
    trial = run / "trials" / name
    with lock_scope(), locked(trial):  # by one worker at a time, whatever the cluster believes
        use_cache()
        spec = on_this_node(run, name)
        if not finished(trial, spec):
            run_trial(trial, spec, Silent(), resume=True, node=node)
        record = read_parent(trial)
        assert record is not None  # run_trial wrote it, or it is a finished trial's
        return _Outcome(record.status, record.reason, record.wall_s, node)

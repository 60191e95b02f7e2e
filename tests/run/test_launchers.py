"""Trials on a cluster: two real Ray nodes, one of which is killed in the middle of an epoch; what may then be compared."""

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from common.analysis.comparison import attribution, pairs
from common.analysis.grouping import MARK, groups
from common.analysis.records import read_results
from common.core.errors import InputError
from common.core.events import Born, Failed, to_line
from common.core.files import read_json, write_json
from common.core.settings import Settings
from common.core.specs import WeightsSpec
from common.report.table import further_scores_table, scores_table
from common.run import resume
from common.run.launchers import ray as launcher
from common.run.tail import Tail
from tests.helpers.project import PROJECT
from tests.helpers.records import epoch_record, repeated, results, row
from tests.helpers.runs import in_epoch, logits, wait_until

WORDS = ("--frameworks", "fake", "--models", "logistic", "worse", "--limit", "400", "--image-size", "32", "--epochs", "3",
         "--threads", "1")  # fmt: skip
TRIALS = ("01-fake-logistic-head-seed0", "02-fake-worse-head-seed0")
ROOM = {"num_cpus": 1, "memory": 2 * launcher.MEMORY_BYTES, "object_store_memory": 80 * 2**20}


def specs(*models, threads=2):
    found = [row("a", 0.1, model=model, threads=threads).record.spec for model in models]
    return [spec.model_copy(update={"seed": number}) for number, spec in enumerate(found)]


def test_what_is_compared_runs_on_one_node_in_turn():
    found = launcher.bundles(specs("x", "y", "x", "y", "y"))
    assert [[s.seed for s in bundle] for bundle in found] == [[0, 2], [1, 3, 4]]


def test_rows_over_which_a_ratio_is_taken_apart_run_on_one_node_too():
    def bundled(formulas, *rows):
        found = launcher.bundles([row(f, 0.1, model=m, formulas=formulas).record.spec for f, m in rows])
        return [[f"{s.framework} {s.model}" for s in bundle] for bundle in found]

    rows = [(f, m) for f in "ab" for m in ("small", "large")]
    assert bundled("library", *rows, ("a", "other")) == [["a small", "a large", "b small", "b large"], ["a other"]]
    assert bundled("matched", *rows) == [["a small", "b small"], ["a large", "b large"]]  # compared model by model
    assert bundled("library", *rows[:3]) == [["a small", "b small"], ["a large"]]  # not crossed


@pytest.mark.parametrize(("cpus", "memory", "alive"), [(1, 1e12, True), (8, 1e9, True), (8, 1e12, False)])
def test_a_trial_that_no_node_could_ever_take_is_refused(cpus, memory, alive):
    """Ray would wait for such a node for ever."""
    good = {"Alive": True, "Resources": {"CPU": 2.0, "memory": 1e12}}
    launcher._check_room([good], [s.process for s in specs("x")])
    with pytest.raises(InputError, match=r"no node has what a trial asks for \(2 CPU, 0 GPU, .*take fewer --threads"):
        launcher._check_room(
            [{"Alive": alive, "Resources": {"CPU": cpus, "memory": memory}}], [s.process for s in specs("x")]
        )


def on(machine, found, framework=""):
    """The same results, the framework's rows (or all) on that machine."""
    rows = tuple(
        r.model_copy(update={"record": r.record.model_copy(update={"machines": ({"processor": machine},)})})
        if framework in ("", r.record.spec.framework) else r
        for r in found.rows
    )  # fmt: skip
    return found.model_copy(update={"rows": rows})


def test_rows_of_unlike_machines_enter_no_ratio():
    alike = on("fast", repeated(0.8))
    assert pairs(groups(alike), alike)[0].ratio is not None
    apart = on("slow", alike, "b")
    (pair,) = pairs(groups(apart), apart)
    assert pair.ratio is None and "they were not given the same machine" in pair.excluded


def test_repeats_of_unlike_machines_mark_the_row():
    here, there = (
        on(machine, results(row("a", 0.1, repeat))).rows[0] for machine, repeat in (("fast", 0), ("slow", 1))
    )
    (group,) = groups(results(here, there))
    assert group.label.endswith(MARK)
    (group,) = groups(results(here))
    assert not group.label.endswith(MARK)


def test_a_ratio_over_unlike_machines_is_not_taken_apart():
    times = {("a", "small"): 0.1, ("b", "large"): 0.6, ("a", "large"): 0.3, ("b", "small"): 0.25}
    found = on("fast", results(*(row(f, t, model=m, formulas="library") for (f, m), t in times.items())))
    one, other, *_ = groups(found)
    assert not attribution(one, other, groups(found)).refused
    lines = groups(on("slow", found, "b"))
    assert "its rows ran on unlike machines (processor fast; processor slow)" in attribution(*lines[:2], lines).refused


@pytest.mark.parametrize(("formulas", "asked"), [("matched", ["a", "b"]), ("library", ["b"])])
def test_a_node_finds_the_weights_as_the_run_did(tmp_path, monkeypatch, formulas, asked):
    """With one form of every formula they are those of any framework that has some; that node's cache is empty."""
    (tmp_path / "w").touch()
    found = WeightsSpec(source="file", path=str(tmp_path / "w"), sha256="weights")
    names = {}
    for framework in "ab":
        spec = row(framework, 0.1, formulas=formulas, pixels="").record.spec
        spec = spec.model_copy(update={"weights": found.model_copy(update={"path": "gone"})})
        write_json(tmp_path / "trials" / spec.name / "spec.json", spec.model_dump())
        names[framework] = spec
    seen = []

    def find_weights(settings, jobs, *of):
        seen.extend(job.framework for job in jobs)
        return {(0, job): found for job in jobs}

    run = SimpleNamespace(settings=Settings(formulas=formulas).model_dump(), trials=[s.name for s in names.values()])
    monkeypatch.setattr(resume.weights, "find_weights", find_weights)
    (moved,) = resume._found_again(tmp_path, [names["b"]], run, None, print)
    assert seen == asked and moved.weights.path == "w"


def written(path, born, *epochs):
    path.write_text("".join(map(to_line, (Born(at=born), *map(epoch_record, epochs)))))


def test_a_driver_hears_a_trial_that_another_node_takes_back_or_begins_anew(tmp_path):
    path = tmp_path / "events.jsonl"
    written(path, 1, 1, 2, 3)
    tail = Tail(path)
    assert tail.new() == []  # of an earlier driver
    inode = path.stat().st_ino
    written(path, 2, 1, 2, 3, 4)  # longer than before; the same file to the system
    assert path.stat().st_ino == inode
    assert tail.new() == [Born(at=2), *map(epoch_record, (1, 2, 3, 4))]
    written(path, 2, 1)  # back to a checkpoint, which is heard already
    assert tail.new() == []
    with open(path, "a") as stream:
        stream.write(to_line(epoch_record(5)) + '{"event": "half')
    assert tail.new() == [epoch_record(5)]
    path.unlink()
    assert tail.new() == []
    written(path, 3, 6)
    assert tail.new() == [Born(at=3), epoch_record(6)]
    path.write_text(
        '{"event": "born", "at": 4}\nno event\n[1]\n{"event": "epoch"}\n{"event": "failed", "reason": "q"}\n'
    )
    assert tail.new() == [Born(at=4), Failed(reason="q")]


def test_a_polite_kill_ends_a_run_on_a_cluster_as_any_other(monkeypatch):
    """ray.init takes the signal for itself."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    own = SimpleNamespace(init=lambda *of, **more: signal.signal(signal.SIGTERM, signal.SIG_DFL), shutdown=lambda: None)
    monkeypatch.setitem(sys.modules, "ray", own)
    try:
        with launcher._cluster("auto"), pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def test_a_cluster_that_is_not_there_is_bad_input(bench_process, tmp_path):
    pytest.importorskip("ray", reason="the extra ray is not installed")
    done = bench_process(*WORDS, "--launcher", "ray", "--address", "127.0.0.1:1", "--results-dir", tmp_path)
    assert done.returncode == 2 and "no Ray cluster at --address 127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


def started(caches, faults):
    """A head that runs nothing, and a node with each cache and fault."""
    pytest.importorskip("ray", reason="the extra ray is not installed")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args=ROOM | {"num_cpus": 0, "include_dashboard": False})
    return found, [
        found.add_node(**ROOM, env_vars={"FRAMEWORK_BENCH_CACHE": str(cache), "FRAMEWORK_BENCH_FAULT": fault})
        for cache, fault in zip(caches, faults)
    ]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two nodes. On the first, trials hang in their second epoch, on the second they wait there for three seconds."""
    caches = [tmp_path_factory.mktemp("cache") for _ in range(2)]
    found, nodes = started(caches, ("hang@2:3", "wait@2:3"))
    yield found, nodes, caches
    found.shutdown()


def begun(cluster, parent):
    words = [*WORDS, "--launcher", "ray", "--address", cluster.address, "--results-dir", parent, "--name", "run"]
    return subprocess.Popen(
        [sys.executable, PROJECT / "run_bench.py", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def node_of(run, trial):
    return read_json(run / "trials" / trial / "parent.json")["node"]


def left_over(run):
    return [p for p in psutil.process_iter(["cmdline"]) if str(run) in " ".join(p.info["cmdline"] or ())]


def test_a_node_that_dies_and_a_driver_that_dies_cost_nothing(cluster, bench, bench_process, tmp_path):
    found, (first, second), caches = cluster
    driver, run = begun(found, tmp_path / "a"), tmp_path / "a" / "run"
    wait_until(lambda: all(in_epoch(run, 2, trial) for trial in TRIALS))
    held = next(trial for trial in TRIALS if node_of(run, trial) == first.node_id)  # the other is on the other node
    found.remove_node(first, allow_graceful=False)
    output = driver.communicate(timeout=240)[0]
    assert driver.returncode == 0, output
    assert output.count("[1] ") > 1 < output.count("[2] ")
    elsewhere = read_results(run)
    assert [r.record.status for r in elsewhere.rows] == ["ok", "ok"]
    (moved,) = [r.record for r in elsewhere.rows if r.record.spec.name == held]
    assert moved.resumed_after == (1,) and moved.node == second.node_id and len(moved.machines) == 2
    assert all(next((cache / "pixels").glob("*/store.json")) for cache in caches)  # each made its own
    assert left_over(run) == []

    driver, again = (
        begun(found, tmp_path / "b"),
        tmp_path / "b" / "run",
    )  # on the node that is left, one after the other
    wait_until(lambda: in_epoch(again, 2, TRIALS[0]))
    driver.send_signal(signal.SIGKILL)
    driver.communicate(timeout=60)
    wait_until(lambda: left_over(again) == [])
    done = bench_process("--resume", again)
    assert done.returncode == 0, done.stdout + done.stderr

    assert bench(*WORDS, "--results-dir", tmp_path / "c", "--name", "run").returncode == 0
    locally = read_results(tmp_path / "c" / "run")
    for other in (elsewhere, read_results(again)):
        assert scores_table(other) == scores_table(locally) and further_scores_table(other) == further_scores_table(
            locally
        )
        assert [r.record.receipts for r in other.rows] == [r.record.receipts for r in locally.rows]
        assert [r.record.receipt_fault for r in other.rows] == ["", ""]
    for trial in TRIALS:
        here, there = logits(tmp_path / "c" / "run", trial), logits(run, trial)
        assert all(np.array_equal(here[name], there[name]) for name in here)


@pytest.mark.slow
def test_the_matched_suite_has_the_same_rows_on_two_nodes(tmp_path):
    """Real frameworks, gates and all; each node finds its weights and pixels in a cache of its own."""
    found, nodes = started([tmp_path / "one", tmp_path / "other"], ("", ""))
    words = ["--suite", "matched", "--limit", "40", "--epochs", "1", "--threads", "1", "--deterministic"]

    def run(*more):
        command = [sys.executable, PROJECT / "run_bench.py", *words, "--results-dir", tmp_path, *more]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr
        return read_results(tmp_path / more[-1])

    try:
        there = run("--launcher", "ray", "--address", found.address, "--name", "there")
    finally:
        found.shutdown()
    here = run("--name", "here")
    assert scores_table(there) == scores_table(here) and further_scores_table(there) == further_scores_table(here)
    assert [r.record.receipts for r in there.rows] == [r.record.receipts for r in here.rows]
    assert {r.record.receipt_fault for r in there.rows} == {""} and len(there.rows) == 10
    assert {r.record.node for r in there.rows} == {node.node_id for node in nodes}
    by_model = {(r.record.spec.model, r.record.node) for r in there.rows}
    assert len(by_model) == 5  # what is compared ran on one node

"""Ceilings: shares of a measured peak, what bounds a row, and the parts that a run really measures."""

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from common.analysis.grouping import groups
from common.analysis.records import _ceilings, read_results
from common.analysis.timing import parts
from common.core.errors import InputError
from common.core.events import Done
from common.core.files import read_json
from common.core.registry import real
from common.core.results import ParentRecord, Tuning, UpperBounds
from common.report.ceilings import bound, ceilings_table, flops, peaks
from common.report.progress import Silent
from common.run import runner
from common.trial import ceilings
from frameworks.fake.adapter import Adapter
from tests.helpers.records import results, row

PEAK = {"float32": {"product": 100.0, "convolution": 80.0}, "bfloat16": {}}


def measured(seconds=0.1, warm=50.0, compute=11.0, gmac=1.0, trained=1.0, tuning=None, waits=0.0, others=None):
    """One row that trains 1 / seconds images/s."""
    found = row("a", seconds)
    facts = {"gmac": gmac, "gmac_trained": trained, "precision": "float32"}
    ceilings = {"loader cold": 20.0, "loader warm": warm, "compute": compute, "peak gflops": PEAK, "seconds": 3.0}
    ceilings |= {"peak gflops of others": others} if others else {}
    epochs = tuple(e.model_copy(update={"wait_s": waits * (e.train_s - e.first_step_s)}) for e in found.record.epochs)
    payloads = {"ceilings": UpperBounds.model_validate(ceilings), "tuning": Tuning.model_validate(tuning or {})}
    record = found.record.model_copy(update={"epochs": epochs, "facts": facts, **payloads})
    return results(found.model_copy(update={"record": record}))


def test_a_training_image_costs_a_forward_pass_and_twice_what_trains_backward():
    assert flops(groups(measured(gmac=3.0, trained=1.0))[0]) == 2e9 * (3 + 2)
    assert flops(groups(measured(gmac=3.0, trained=1.0, tuning={"store": "x"}))[0]) == 2e9 * (1 + 2)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"warm": 5.5}, "input-bound: loading alone gives 50% of what computing takes"),
        ({"waits": 0.5, "warm": 30.0}, "input-bound: 50% of the training time it waits for data"),
        ({"waits": 0.5}, "compute-bound"),  # loading alone is 4.5 times as fast: that is not what it waits for
        ({}, "compute-bound"),  # 10 images/s of 6 GFLOP: 60 of 100
        ({"compute": 20.0}, "compute-bound, at 50% of computing alone"),
        ({"gmac": 0.1, "trained": 0.1}, "overhead-bound: calls and memory, not arithmetic"),
    ],
)
def test_what_bounds_a_row(change, word):
    table = ceilings_table(measured(**change))
    assert table.rows[0][1] == word
    assert bound(groups(measured(**change))[0], 0.6 if "gmac" not in change else 0.06) == word


def test_without_a_peak_nothing_is_said_to_bound_it():
    (group,) = groups(measured())
    assert bound(group, None).startswith("not known")


def test_on_a_gpu_waiting_for_data_is_no_time_lost():
    """The host waits while the device computes on what it was handed before."""
    (group,) = groups(measured(waits=0.5, warm=30.0))
    assert bound(group, 0.6).startswith("input-bound")
    spec = group.first.record.spec
    process = spec.process.model_copy(update={"device": "cuda"})
    row = group.first.model_copy(
        update={"record": group.first.record.model_copy(update={"spec": spec.model_copy(update={"process": process})})}
    )
    assert bound(replace(group, rows=(row,), first=row), 0.6).startswith("compute-bound")


def test_the_peak_is_the_best_of_all_libraries():
    assert peaks(measured()) == {"float32": 100.0, "bfloat16": 0.0}
    table = ceilings_table(measured())
    assert table.rows[0][5] == "60%"
    assert any("its library ran no product in bfloat16 here; trials/a-" in note for note in table.notes)
    others = measured(others={"b": {"float32": {"product": 120.0}, "bfloat16": {"product": 7.0}}, "not installed": {}})
    assert "convolutions of a, b." in ceilings_table(others).notes[0] and "of a." in table.notes[0]
    assert peaks(others) == {"float32": 120.0, "bfloat16": 7.0} and ceilings_table(others).rows[0][5] == "50%"


def test_a_row_is_held_against_the_peak_of_the_precision_that_it_trained_in():
    """Read from its execution config, whatever the sentence among its facts says."""
    bounds = {"others": {"b": {"bfloat16": {"product": 240.0}}}}
    assert ceilings_table(measured(**bounds)).rows[0][5:7] == ("60%", "float32")
    trained = {"trained": {"precision": "bfloat16"}}
    assert ceilings_table(measured(tuning=trained, **bounds)).rows[0][5:7] == ("25%", "bfloat16")


def test_the_pass_that_made_the_features_has_its_own_share_of_the_peak():
    """30 images/s of 2 GFLOP: 60 of 100; found features were computed by another run."""
    tuning = {"filled": 60, "images": 60, "fill_s": 2.0, "store": "x", "frozen": {"precision": "float32"}}
    table = ceilings_table(measured(gmac=2.0, trained=1.0, tuning=tuning))
    label, word, rate, _, _, share, *_ = table.rows[1]
    assert (label, rate, share, word) == ("a net, frozen part once", "30.0", "60%", "compute-bound")
    assert len(ceilings_table(measured(gmac=2.0, trained=1.0, tuning=tuning | {"filled": 0})).rows) == 1
    table = ceilings_table(measured(gmac=2.0, trained=1.0, tuning=tuning | {"fill_s": 1.0}))  # 120 of 100
    assert any("a net, frozen part once: above the peak" in note for note in table.notes)


def test_products_that_a_machine_lacks_fail_no_trial(capsys):
    class Lacking:
        def products(self, precision):
            raise RuntimeError("no bfloat16 here")

    assert ceilings.peaks(Lacking(), "bfloat16") == {} and "no bfloat16 here" in capsys.readouterr().err


def test_a_library_that_is_not_installed_fails_no_trial(monkeypatch, capsys):
    def ask(framework, *of):
        raise InputError(f"no module named {framework}")

    monkeypatch.setattr(ceilings, "ask", ask)
    assert ceilings._of_another("tf", 2, "cpu") == {} and "no peak of tf: no module named tf" in capsys.readouterr().out


CHILD = """
import json, sys, time
stream = open(sys.argv[1], "a")
def say(**event):
    print(json.dumps(event), file=stream, flush=True)
say(event="born", at=0)
if "done" in sys.argv:
    say(event="done", lived_s=0.1)
time.sleep(1)
held = bytes(range(256)) * 2**20  # 256 MiB
time.sleep(1)
if "ceilings" in sys.argv:
    say(event="ceilings", seconds=2.0)
else:
    time.sleep(60)
"""


@pytest.mark.usefixtures("not_quick")
@pytest.mark.parametrize(
    ("words", "status"), [(["done", "ceilings"], "ok"), (["done"], "ok"), ([], "timeout")]
)  # fmt: skip
def test_a_trial_that_is_done_stands_whatever_its_ceilings_do(tmp_path, monkeypatch, words, status):
    """They are no part of its memory; time limits that run out meanwhile end them, and not the trial."""

    children = []

    def start(module, arguments, threads, device, log):
        command = [sys.executable, "-c", CHILD, tmp_path / "events.jsonl", *words]
        children.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))
        return children[0]

    spec = row("a", 0.1).record.spec
    limits = spec.process.model_copy(update={"timeout_s": 1.5, "stall_s": 3.0})
    monkeypatch.setattr(runner, "start", start)
    runner.run_trial(tmp_path, spec.model_copy(update={"ceilings": True, "process": limits}), Silent())
    said = read_json(tmp_path / "parent.json")
    assert said["status"] == status
    assert (children[0].returncode < 0) == ("ceilings" not in words)  # ended by a signal, or by itself
    assert said["peak_memory_bytes"] < 2**27 or "done" not in words


def test_ceilings_that_came_to_no_end_say_so_and_are_no_part_of_the_whole():
    spec = row("a", 0.1).record.spec.model_copy(update={"ceilings": True})
    found = _ceilings(spec, [Done(lived_s=5.0)], ParentRecord(status="ok", wall_s=9.0))
    assert "came to no end" in found.skip_reason and found.seconds == 4.0
    resumed = ParentRecord(status="ok", wall_s=9.0, resumed_after=(1,))
    assert _ceilings(spec, [Done(lived_s=5.0)], resumed).seconds == 0.0
    assert not _ceilings(spec, [], ParentRecord(status="ok"))  # it never came so far
    whole = UpperBounds(compute=3.0, seconds=1.0)
    assert _ceilings(spec, [whole], ParentRecord(status="ok")) == whole


def test_ceilings_that_fail_fail_no_finished_trial(capsys):
    """They come last: the trial's logits and weights are written."""

    class Trial:
        adapter = Adapter(row("a", 0.1).record.spec.process, 0)

        @property
        def spec(self):
            raise MemoryError("a batch more than fits")

    found = ceilings.measured(Trial())
    assert found.skip_reason == "MemoryError: a batch more than fits" and found.seconds >= 0
    (given,) = measured().rows
    record = given.record.model_copy(update={"ceilings": found})
    table = ceilings_table(results(given.model_copy(update={"record": record})))
    assert table.rows == () and ": not measured: MemoryError: a batch more than fits." in " ".join(table.notes)
    Trial.adapter = SimpleNamespace()
    assert ceilings.measured(Trial()).skip_reason == "the framework's folder offers no ceilings"


def test_a_share_above_the_peak_is_said():
    table = ceilings_table(measured(gmac=4.0, trained=4.0))
    assert table.rows[0][5] == "240%" and any("above the peak" in note for note in table.notes)


def test_training_faster_than_its_ceiling_is_said_to_be_noise():
    said = " ".join(ceilings_table(measured(compute=9.0)).notes)
    assert "a net: training was 11% faster than computing alone" in said
    assert "faster than computing" not in " ".join(ceilings_table(measured(compute=9.9)).notes)


def test_a_run_measures_them_apart_from_its_passes(bench, tmp_path):
    done = bench("--frameworks", "fake", "--limit", "300", "--image-size", "32", "--keep-frozen", "--lane", "default", "tuned",
                 "--ceilings", "--results-dir", tmp_path, "--name", "run")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rows = read_results(tmp_path / "run").rows
    others = [row.record.ceilings.peaks_of_others for row in rows]
    assert others[0].keys() == set(real()) and others[1] == {}, "what the run has not, once"
    assert all(max(of["float32"].values()) > 1 for of in others[0].values())
    for found in rows:
        assert found.record.ceilings.loader_warm > 0 < found.record.ceilings.compute
        assert sum(parts(found.record).values()) < found.record.wall_s - 0.3 and found.record.receipt_fault == ""
    assert "## Ceilings" in (tmp_path / "run" / "results.md").read_text()

"""--wait-for-quiet holds a trial until the machine is idle, says who uses it, gives up at its limit, and is recorded."""

import io
import json
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from rich.console import Console

from common.analysis.grouping import contention_notes, groups
from common.analysis.records import read_results
from common.cli.options import trials_parser
from common.core.errors import InputError
from common.core.machine import usable_cpus
from common.core.results import QuietWait, Waiting
from common.core.settings import WAIT_FOR_QUIET_S
from common.core.specs import TrialSpec
from common.process import quiet
from common.process.quiet import wait_for_quiet
from common.report import notices
from common.report.notices import waited_text, waiting_text
from common.report.progress import Display
from common.run.jobs import make_settings
from tests.helpers.project import PROJECT
from tests.helpers.records import SPEC, results, row

FAST = ("--frameworks", "fake", "--limit", "200", "--image-size", "16", "--epochs", "1")
measurable = pytest.mark.skipif(usable_cpus() is None, reason="what others use cannot be measured here")


def waited(monkeypatch, cores, limit_s=600.0, threads=2):
    """What comes of it, and what is told meanwhile. cores: that others use at each look, the last one from then on."""
    now, cores = [0.0], list(cores)

    def sleep(seconds):
        now[0] += seconds

    def looked():
        return cores.pop(0) if len(cores) > 1 else cores[0]

    monkeypatch.setattr(quiet, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    monkeypatch.setattr(quiet, "Busiest", lambda: SimpleNamespace(words=lambda: "process 7 (other)"))
    told = []
    return wait_for_quiet(limit_s, threads, told.append, lambda: SimpleNamespace(cores=looked)), told


def test_it_goes_on_after_three_quiet_looks_in_a_row(monkeypatch):
    found, told = waited(monkeypatch, [1.0, 0.1, 0.1, 0.9, 0.2, 0.0, 0.1])
    assert found == QuietWait(waited_s=7.0, limit_s=600.0, quiet=True, cores=0.1)
    assert [t.cores for t in told] == [1.0, 0.9]
    assert told[1] == Waiting(cores=0.9, process="process 7 (other)", waited_s=4.0, left_s=596.0)
    assert waited(monkeypatch, [0.0])[0].waited_s == 3.0


def test_it_gives_up_at_the_limit(monkeypatch):
    found, told = waited(monkeypatch, [0.5], limit_s=20.0)
    assert found == QuietWait(waited_s=20.0, limit_s=20.0, quiet=False, cores=0.5) and len(told) == 19


def test_calm_for_too_short_a_time_is_told_with_what_came_before(monkeypatch):
    """Not 'not quiet: others use 0.0 cores'."""
    found, _ = waited(monkeypatch, [1.5, 1.5, 1.5, 0.9, 0.1, 0.0], limit_s=6.0)
    assert found == QuietWait(waited_s=6.0, limit_s=6.0, quiet=False, cores=0.9)
    assert "in its last 3 s other processes used up to 0.9 of this machine's" in waited_text(found)


def test_cores_are_those_that_the_run_may_use(monkeypatch):
    monkeypatch.setattr(notices, "usable_cpus", lambda: (0, 1))
    monkeypatch.setattr(notices.psutil, "cpu_count", lambda: 8)
    assert "use 1.0 of the 2 cores that this run may use" in waiting_text(Waiting(1.0, "", 1.0, 9.0))
    monkeypatch.setattr(notices, "usable_cpus", lambda: tuple(range(8)))
    assert "use 1.0 of this machine's 8 cores" in waiting_text(Waiting(1.0, "", 1.0, 9.0))


@pytest.mark.parametrize(
    ("threads", "cores", "calm"), [(1, 0.11, False), (1, 0.1, True), (2, 0.2, True), (64, 0.3, False)]
)
def test_quiet_is_what_the_report_would_not_flag_and_little_on_a_large_machine(monkeypatch, threads, cores, calm):
    assert waited(monkeypatch, [cores], limit_s=10.0, threads=threads)[0].quiet is calm


def test_where_it_cannot_be_known_it_does_not_wait(monkeypatch):
    found, told = waited(monkeypatch, [None])
    assert found == QuietWait(waited_s=1.0, limit_s=600.0, quiet=False, cores=None) and told == []
    assert "does not wait" in waited_text(found)


def test_the_display_tells_who_uses_the_machine_and_how_long_is_left():
    spec = TrialSpec.model_validate(json.loads(SPEC))
    lines = Display(Console(file=io.StringIO(), width=300))
    lines.begin(spec, 1, 1)
    for second in range(1, 70):
        lines.waiting(Waiting(1.0, "process 7 (other)", second, 100.0 - second))
    lines.waited(QuietWait(waited_s=100.0, limit_s=100.0, quiet=False, cores=1.0))
    shown = lines.console.file.getvalue()
    assert shown.count("Waiting for a quiet machine: other processes use 1.0 of this machine's") == 3  # every 30 s
    assert "most of it by process 7 (other). The trial begins in 1 min 39 s at the latest." in shown
    assert "not quiet after 1 min 40 s" in shown and "begins all the same" in shown

    bar = Display(Console(force_terminal=True, file=io.StringIO(), width=110))
    bar.begin(spec, 1, 1)
    bar.waiting(Waiting(1.0, "process 7 (other)", 10.0, 90.0))
    bar._bar.refresh()
    bar.waited(QuietWait(waited_s=12.0, limit_s=100.0, quiet=True, cores=0.0))
    bar.finish("ok", "", 1.0)
    shown = bar.console.file.getvalue()
    for words in (
        "waiting for quiet",
        "10/100",
        "1.0 cores used, process 7 (other), 1 min 30 s left",
        "The machine is quiet",
    ):
        assert words in shown, shown
    assert "no process that can be seen" in waiting_text(Waiting(1.0, "", 10.0, 90.0))


def test_the_flag_and_its_limits():
    parser = trials_parser({})
    assert parser.parse(["--wait-for-quiet"]).given() == {"wait_for_quiet_s": WAIT_FOR_QUIET_S}
    assert parser.parse(["--wait-for-quiet", "30"]).given() == {"wait_for_quiet_s": 30.0}
    for wrong in ("4", "0", "-1", "inf", "nan", "soon"):
        with pytest.raises(InputError, match="--wait-for-quiet"):
            parser.parse([f"--wait-for-quiet={wrong}"]).given()
    with pytest.raises(InputError, match=r"does not work with --launcher ray.*--launcher local"):
        make_settings({"launcher": "ray", "wait_for_quiet_s": 600.0})
    assert make_settings({"launcher": "ray"}).wait_for_quiet_s == 0


def test_waiting_does_not_make_another_trial_of_it():
    spec = TrialSpec.model_validate(json.loads(SPEC))
    held = spec.model_copy(update={"process": spec.process.model_copy(update={"wait_for_quiet_s": 600.0})})
    assert held.identity() == spec.identity()


def begun(tmp_path, seconds):
    words = [*FAST, "--wait-for-quiet", str(seconds), "--results-dir", str(tmp_path), "--name", "run"]
    return subprocess.Popen(
        [sys.executable, str(PROJECT / "run_bench.py"), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@measurable
def test_a_busy_machine_is_waited_for_and_the_row_carries_it(bench, busy_process, tmp_path):
    began = time.monotonic()
    done = bench(*FAST, "--wait-for-quiet", "5", "--results-dir", tmp_path, "--name", "run")
    whole_s = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    assert "Waiting for a quiet machine: other processes use" in done.stdout and "begins all the same" in done.stdout
    (trial,) = read_results(tmp_path / "run").rows
    wait = trial.record.quiet_wait
    assert not wait.quiet and wait.limit_s == 5 and wait.waited_s >= 5 and wait.cores > 0.2
    assert wait.waited_s + trial.record.wall_s < whole_s  # the wait is no part of the trial's time
    note = "the trial began on a machine that was not known to be quiet"
    assert note in (tmp_path / "run" / "results.md").read_text()


@measurable
def test_ctrl_c_while_it_waits_leaves_the_trial_to_be_gone_on_with(bench, busy_process, tmp_path):
    child, run = begun(tmp_path, 120), tmp_path / "run"
    for line in child.stdout:
        if "Waiting for a quiet machine" in line:
            break
    child.send_signal(signal.SIGINT)
    output = child.communicate(timeout=60)[0]
    assert child.returncode == 130 and "Traceback" not in output, output
    assert "stopped while it waited for a quiet machine" in output and f"--resume {run}" in output
    (trial,) = (run / "trials").iterdir()
    assert [file.name for file in trial.iterdir()] == ["spec.json"]  # it was not begun
    assert read_results(run).rows[0].record.status == "missing"

    spec = json.loads((trial / "spec.json").read_text())
    assert spec["process"]["wait_for_quiet_s"] == 120
    spec["process"]["wait_for_quiet_s"] = 1  # so that this test ends soon
    (trial / "spec.json").write_text(json.dumps(spec))
    done = bench("--resume", run)
    assert done.returncode == 0 and "begins all the same" in done.stdout, done.stdout + done.stderr
    assert read_results(run).rows[0].record.quiet_wait.limit_s == 1


def test_the_report_tells_of_waits_that_were_in_vain():
    def after(wait):
        found = row("a", 0.1)
        return groups(
            results(found.model_copy(update={"record": found.record.model_copy(update={"quiet_wait": wait})}))
        )

    assert contention_notes(after(QuietWait(waited_s=4.0, limit_s=600.0, quiet=True, cores=0.0))) == []
    (note,) = contention_notes(after(QuietWait(waited_s=600.0, limit_s=600.0, quiet=False, cores=1.0)))
    assert "after 10 min 0 s of --wait-for-quiet 600 (others used 1.0 cores)" in note
    (note,) = contention_notes(after(QuietWait(waited_s=1.0, limit_s=600.0, quiet=False, cores=None)))
    assert "what others use is not known here" in note

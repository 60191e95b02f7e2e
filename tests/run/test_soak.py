"""Two hundred trials under random kills, and a disk that is full at every write: nothing lost, nothing doubled, nothing left over."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from common.analysis.records import read_results
from tests.helpers.project import PROJECT

WORDS = ("--frameworks", "fake", "--limit", "60", "--image-size", "16", "--epochs", "3")
SIZES = (0, 4, 8, 12, 20, 28, 40, 60, 90, 130, 180, 240, 320, 420, 600, 900, 1300, 2000, 3000)  # KiB that are free
SLOW = pytest.mark.slow


def kill(kind, driver):
    """Whether there was one to be killed. A killed trial's row fails, the driver goes on; --resume does it again."""
    if kind != "trial":
        os.kill(driver.pid, signal.SIGINT if kind == "polite" else signal.SIGKILL)
        driver.wait(timeout=60)
        return True
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(driver.pid).children(recursive=True):
            if "common.trial.worker" in " ".join(process.cmdline()):
                process.kill()
                return True
    return False


def left_over(run):
    return [
        p.info["cmdline"] for p in psutil.process_iter(["cmdline"]) if str(run) in " ".join(p.info["cmdline"] or ())
    ]


def temporary(run):
    """Files of a write that did not end."""
    return [path for path in run.rglob(".*") if path.name != ".lock"]


@pytest.mark.parametrize(("trials", "least"), [(20, 0), pytest.param(200, 3, marks=SLOW)])
def test_trials_under_random_kills(bench, tmp_path, trials, least):
    rng, run = np.random.default_rng(0), tmp_path / "run"
    words = [*WORDS, "--repeats", str(trials), "--results-dir", tmp_path, "--name", "run"]
    kills, driver = {"driver": 0, "trial": 0, "polite": 0}, None
    while driver is None or driver.returncode != 0:
        if driver is None or driver.poll() is not None:
            said = driver.stderr.read().decode() if driver else ""
            assert "Traceback" not in said, said
            again = ["--resume", run] if run.exists() else words
            driver = subprocess.Popen(
                [sys.executable, PROJECT / "run_bench.py", *map(str, again)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        # Not before a second: Ctrl-C while Python imports the first modules is Python's to tell.
        until = time.monotonic() + rng.uniform(1, 6)
        while driver.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        if driver.poll() is None:
            kind = ("driver", "trial", "polite")[rng.integers(0, 3)]
            kills[kind] += kill(kind, driver)
    assert min(kills.values()) >= least and sum(kills.values()) > 0, kills
    records = [row.record for row in read_results(run).rows]
    assert len(records) == trials and {r.spec.seed for r in records} == set(range(trials))
    assert {(r.status, r.receipt_fault) for r in records} == {("ok", "")}
    for record in records:
        assert [e.epoch for e in record.epochs] == [1, 2, 3] and len(record.receipts) == 3
    assert left_over(run) == [] and temporary(run) == []
    resumed = [r for r in records if r.resumed_after]
    assert resumed or not least, "no kill fell between two epochs"
    resumed = resumed or records
    whole = bench(*WORDS, "--seed", resumed[0].spec.seed, "--results-dir", tmp_path, "--name", "alone")
    assert whole.returncode == 0, whole.stderr
    (alone,) = (tmp_path / "alone" / "trials").glob("*/logits.npz")
    with np.load(alone) as one, np.load(run / "trials" / resumed[0].spec.name / "logits.npz") as other:
        assert all(np.array_equal(one[name], other[name]) for name in one.files)


@pytest.mark.parametrize("sizes", [(0, 60, 3000), pytest.param(SIZES, marks=SLOW)], ids=["three sizes", "every size"])
def test_a_disk_that_is_full_at_every_write_costs_nothing(bench, small_disk, tmp_path, sizes):
    """From no room at all to room for everything, in steps of the disk's pages."""
    ballast, outcomes = small_disk / "ballast", []
    for i, free in enumerate(sizes):
        ballast.unlink(missing_ok=True)
        used = sum(p.stat().st_blocks * 512 for p in small_disk.rglob("*") if p.is_file())
        ballast.write_bytes(bytes(max(0, 4 * 2**20 - used - 2**12 - free * 2**10)))
        run = small_disk / f"run{i}"
        done = bench(*WORDS, "--results-dir", small_disk, "--name", run.name)
        assert done.returncode in (0, 1, 2) and "Traceback" not in done.stderr + done.stdout, done.stderr
        outcomes.append(done.returncode)
        ballast.unlink()
        if done.returncode:
            assert "No space left" in done.stdout + done.stderr or "free" in done.stderr, done.stdout + done.stderr
            again = (
                ("--resume", run)
                if (run / "run.json").exists()
                else (*WORDS, "--results-dir", small_disk, "--name", run.name)
            )
            done = bench(*again)
            assert done.returncode == 0, done.stdout + done.stderr
        (row,) = read_results(run).rows
        assert row.record.status == "ok" and row.record.receipt_fault == "" and temporary(run) == []
        subprocess.run(["rm", "-rf", run], check=True)
    assert 2 in outcomes and 0 in outcomes, outcomes

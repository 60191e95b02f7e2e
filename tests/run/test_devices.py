"""One trial on several devices: each image on one rank alone, and the same work as on one device."""

import contextlib
import os
import re
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from common.analysis.grouping import groups
from common.analysis.records import read_results
from common.process.ranks import RANK, share
from common.report.scaling import scaled, scaling_table
from tests.helpers.project import PROJECT
from tests.helpers.records import results, row
from tests.helpers.runs import in_epoch, wait_until

WORDS = ("--models", "efficientnet_lite0", "--weights", "random", "--keep-frozen", "--image-size", "64")
HOW = {
    "torch": "gradients averaged by DistributedDataParallel",
    "tf": "gradients averaged by MirroredStrategy",
    "keras-jax": "one computation over them (DataParallel)",
}


def test_shares_cover_everything_once_in_order():
    for n in range(40):
        for of in (1, 2, 3, 7):
            parts = [list(range(n)[share(n, of, number)]) for number in range(of)]
            assert [i for part in parts for i in part] == list(range(n)) and max(map(len, parts)) - min(
                map(len, parts)
            ) <= 1


@pytest.mark.parametrize(
    ("framework", "limit", "last"),
    [
        ("torch", 71, 1),
        pytest.param("tf", 91, 3, marks=pytest.mark.slow),
        pytest.param("keras-jax", 71, 1, marks=pytest.mark.slow),
    ],
)
def test_two_devices_do_the_work_of_one(bench, tmp_path, framework, limit, last):
    """The last of the batches of 14 has one image, so that one device gets none of it, or three."""
    if framework == "keras-jax":
        pytest.importorskip("jax", reason="needs uv sync --extra jax")
    words = ("--limit", limit, "--batch-size", "14", "--devices", "1", "2", "--results-dir", tmp_path, "--name", "run")
    done = bench("--frameworks", framework, *WORDS, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    found = read_results(tmp_path / "run")
    one, two = (r.record for r in found.rows)
    assert one.epochs[0].images % 14 == last and two.facts["devices"] == f"2, {HOW[framework]}"
    assert two.receipts == one.receipts and two.receipt_fault == one.receipt_fault == ""
    for a, b in zip(one.epochs, two.epochs):
        assert (a.images, a.train_loss) == (b.images, pytest.approx(b.train_loss, rel=1e-5))
    here, there = (np.load(tmp_path / "run" / "trials" / r.spec.name / "logits.npz")["prediction"] for r in (one, two))
    assert np.linalg.norm(here - there) <= 1e-4 * np.linalg.norm(here)
    assert [g.label for g in groups(found)] == [
        f"{framework} efficientnet_lite0 on 1 device",
        f"{framework} efficientnet_lite0 on 2 devices",
    ]
    assert "## Several devices against one" in (tmp_path / "run" / "results.md").read_text()
    assert not (tmp_path / "run" / "trials" / two.spec.name / "meeting").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ("--frameworks", "torch", "keras-torch"),
            "--devices 2: keras-torch trains on one device here; several are for torch, tf, keras-jax",
        ),
        (("--lane", "tuned"), "--devices 2 is for the default lane"),
        (("--batch-size", "1"), "a batch of 1 has not an image for each"),
    ],
)
def test_what_cannot_be_spread_is_refused(bench, tmp_path, more, message):
    done = bench("--frameworks", "torch", *WORDS, *more, "--devices", "2", "--results-dir", tmp_path)
    assert done.returncode == 2 and message in done.stderr


@pytest.mark.parametrize(
    ("framework", "more", "reason"),
    [
        ("torch", ("--train", "last-block", "--limit", "40"), r"batch norms train here.*--train head, or --devices 1"),
        pytest.param(
            "tf",
            ("--train", "last-block", "--limit", "40"),
            r"batch norms train here.*--train head, or --devices 1",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "tf",
            ("--limit", "71", "--batch-size", "14"),
            r"last of the batches of 14 has 1 image, .* each of 2 devices",
            marks=pytest.mark.slow,
        ),
    ],
    ids=["torch's batch norm", "tf's batch norm", "tf's last batch"],
)
def test_what_would_be_other_work_is_refused(bench, tmp_path, framework, more, reason):
    done = bench("--frameworks", framework, *WORDS, *more, "--devices", "2", "--results-dir", tmp_path, "--name", "run")
    assert done.returncode == 1
    (failed,) = read_results(tmp_path / "run").rows
    assert re.search(reason, failed.record.reason)


RANKS = """
import sys, time
from pathlib import Path
from common.process import ranks

ranks.start_others(Path(sys.argv[1]), [sys.argv[1]], 2, lambda why: print(why, flush=True))
time.sleep(60)
"""


@pytest.mark.usefixtures("not_quick")
def test_a_trial_ends_with_the_rank_that_dies(tmp_path):
    """Here there is no such trial: the others would wait for it for ever."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    words = [sys.executable, "-c", RANKS, str(tmp_path)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (1, "rank 1: ended with exit code 2\n")


def test_a_rank_that_is_killed_is_named_by_the_row(bench, tmp_path):
    words = [
        "--frameworks",
        "torch",
        *WORDS,
        "--limit",
        "2000",
        "--devices",
        "2",
        "--results-dir",
        tmp_path,
        "--name",
        "run",
    ]
    program = [sys.executable, PROJECT / "run_bench.py", *map(str, words)]
    run = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    other = []

    def there():
        for process in psutil.Process(run.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.environ().get(RANK) == "1":
                    other.append(process)
        return bool(other)

    wait_until(there)
    time.sleep(3)
    other[0].kill()
    assert run.wait(timeout=60) == 1
    (failed,) = read_results(tmp_path / "run").rows
    assert (failed.record.status, failed.record.reason) == ("failed", "rank 1: SIGKILL")


@pytest.mark.slow
def test_a_trial_on_two_devices_goes_on_after_a_kill(bench, tmp_path):
    words = ["--frameworks", "torch", *WORDS, "--limit", "600", "--epochs", "2", "--deterministic", "--devices", "2",
             "--results-dir", tmp_path]  # fmt: skip
    assert bench(*words, "--name", "whole").returncode == 0
    program = [sys.executable, PROJECT / "run_bench.py", *map(str, words), "--name", "run"]
    driver = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (trial,) = (path.name for path in (tmp_path / "whole" / "trials").iterdir())
    wait_until(lambda: in_epoch(tmp_path / "run", 2, trial))
    children = psutil.Process(driver.pid).children(recursive=True)
    driver.kill()
    driver.wait()
    assert not psutil.wait_procs(children, timeout=10)[1]
    assert bench("--resume", tmp_path / "run").returncode == 0
    one, other = (read_results(tmp_path / name).rows[0].record for name in ("whole", "run"))
    assert other.resumed_after == (1,) and other.receipts == one.receipts and other.receipt_fault == ""
    here, there = (
        np.load(tmp_path / name / "trials" / trial / "logits.npz")["prediction"] for name in ("whole", "run")
    )
    assert np.linalg.norm(here - there) <= 1e-4 * np.linalg.norm(here)


def on_two(one):
    spec = one.record.spec
    process = spec.process.model_copy(update={"devices": 2, "device": "cuda"})
    spec = spec.model_copy(update={"process": process, "name": f"{spec.name}-two"})
    return one.model_copy(update={"record": one.record.model_copy(update={"spec": spec})})


def test_a_gain_is_over_one_device_for_the_same_job():
    found = results(row("a", 0.1), on_two(row("a", 0.0625)))
    (cells,) = scaling_table(found, scaled(groups(found))).rows
    assert cells == ("a net on 2 devices", "2", "10.0", "16.0", "1.60", "80%")


def test_a_gain_is_of_the_same_seeds():
    """Each seed twice as fast on two devices; of one device the first seed failed."""
    one, two = ([row("a", s, repeat=i, seed=i) for i, s in enumerate(of)] for of in ((0.1, 0.2, 0.4), (0.05, 0.1, 0.2)))
    found = results(*one[1:], *map(on_two, two))
    (cells,) = scaling_table(found, scaled(groups(found))).rows
    assert cells[4:] == ("2.00 [2.00, 2.00]", "100%")

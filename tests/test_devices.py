"""One trial on several devices: each image on one rank alone, and the same work as on one device."""

import re

import numpy as np
import pytest
from test_comparison import results, row

from common.groups import groups
from common.ranks import share
from common.records import read_results
from common.report.scaling import scaled, scaling_table

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
            "--devices 2: keras-torch trains on one device here; several are for keras-jax, torch, tf",
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


def test_a_gain_is_over_one_device_for_the_same_job():
    one, two = row("a", 0.1), row("a", 0.0625)
    spec = two.record.spec
    process = spec.process.model_copy(update={"devices": 2, "device": "cuda"})
    two = two.model_copy(
        update={
            "record": two.record.model_copy(
                update={"spec": spec.model_copy(update={"process": process, "name": "two"})}
            )
        }
    )
    found = results(one, two)
    (cells,) = scaling_table(found, scaled(groups(found))).rows
    assert cells == ("a net on 2 devices", "2", "10.0", "16.0", "1.60", "80%")

"""Receipts: what a training step itself received, against what was planned. Every fault of a loader is caught and named."""

import importlib.util
import json

import numpy as np
import pytest

from common.analysis.records import read_results
from common.analysis.scores import picks
from common.data.chunk_store import save
from common.data.receipts import WORD, fault, of_pixels, receipt, weights, words
from common.process.trial_files import RECEIPTS
from common.run.verify_receipts import proven
from tests.helpers.programs import output
from tests.helpers.project import PROJECT

SIDE, CLASSES, BATCH = 64, 20, 4
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (12, SIDE, SIDE, 3), np.uint8)
LABELS = (RNG.random((12, CLASSES)) < 0.2).astype(np.uint8)
ROWS = np.array([3, 1, 4, 0, 5, 9, 2, 6, 8, 7])  # two full batches and a short one
PLANNED = receipt(PIXELS[ROWS], LABELS[ROWS].astype(np.float32), ROWS)
WORKERS = (0, 1, 2, 4)


def naive(values, factors):
    return sum(int(v) * int(w) for v, w in zip(values, factors, strict=True)) % 2**64


def test_the_hash_is_the_sum_of_value_times_weight():
    """In Python's integers of any size, from the bytes."""
    image = PIXELS[0].tobytes()
    numbers = [int.from_bytes(image[at : at + WORD], "little", signed=True) for at in range(0, len(image), WORD)]
    factors = [int(w) % 2**64 for w in weights(len(numbers))]
    assert all(w % 2 for w in factors) and len(set(factors)) == len(factors)
    assert int(of_pixels(PIXELS[:1])[0]) % 2**64 == naive(numbers, factors)
    odd = RNG.integers(0, 256, (1, 5, 5, 3), np.uint8)  # 75 bytes: the last number is filled up
    filled = odd.tobytes() + b"\0"
    numbers = [int.from_bytes(filled[at : at + WORD], "little", signed=True) for at in range(0, 76, WORD)]
    assert int(of_pixels(odd)[0]) % 2**64 == naive(numbers, [int(w) % 2**64 for w in weights(words(75))])


def test_any_one_changed_byte_changes_it():
    image = PIXELS[:1]
    for place in RNG.integers(0, image.size, 500):
        other = image.copy()
        other.flat[place] ^= 1 << RNG.integers(8)
        assert of_pixels(other) != of_pixels(image)


def test_two_changed_top_bits_do_not_cancel():
    """With 8-byte numbers they would: 2^63 times the sum of two odd weights is 0 modulo 2^64."""
    image = PIXELS[:1]
    for first, second in RNG.integers(0, image.size // WORD, (500, 2)):
        other = image.copy()
        for word in {first, second}:
            other.flat[WORD * word + WORD - 1] ^= 0x80
        assert of_pixels(other) != of_pixels(image)


@pytest.fixture(scope="module", params=["torch", "tf", "keras-torch", "keras-jax"])
def received(not_quick, request, tmp_path_factory):
    """What one framework's training steps say: with each number of workers, and with each fault."""
    if request.param == "keras-jax" and importlib.util.find_spec("jax") is None:
        pytest.skip("needs jax, which is optional")
    folder = tmp_path_factory.mktemp("received")
    save(folder / "store", PIXELS)
    np.save(folder / "labels.npy", LABELS)
    words = {
        "framework": request.param, "labels": str(folder / "labels.npy"), "store": str(folder / "store"), "side": SIDE,
        "rows": ROWS.tolist(), "batch_size": BATCH, "workers": WORKERS, "out": str(folder / "out"),
    }  # fmt: skip
    (folder / "request.json").write_text(json.dumps(words))
    output(PROJECT / "tests" / "helpers" / "receipts_probe.py", folder / "request.json")
    return request.param, dict(np.load(folder / "out.npz")), json.loads((folder / "out.json").read_text())


def test_the_step_received_the_plan_and_workers_change_nothing(received):
    framework, found, answers = received
    for workers in WORKERS:
        assert fault(found[f"workers {workers}"], PLANNED, BATCH) == "", (framework, workers)
        assert answers[f"loss {workers}"] == pytest.approx(answers["loss 0"], rel=1e-6)
        apart = np.abs(found[f"logits {workers}"] - found["logits 0"]).max()
        assert apart <= 1e-5 * np.abs(found["logits 0"]).max(), (framework, workers)
        labels_picked = [picks(found[f"logits {n}"], 90.0) for n in (0, workers)]
        assert np.array_equal(*labels_picked), (framework, workers)  # so every score is equal


def test_every_fault_of_a_loader_is_caught_and_named(received):
    framework, found, answers = received
    said = {name: fault(found[name], PLANNED, BATCH) for name in ("alter", "repeat", "reorder", "relabel", "drop")}
    assert said["alter"] == "batch 2, image 2: the pixels of row 9 are not the planned ones"
    assert said["relabel"] == "batch 2, image 2: the labels of row 9 are not the planned ones"
    assert said["repeat"] == "batch 2, image 2: row 5 was received where row 9 was planned"
    assert said["reorder"] == "batch 2, image 2: row 2 was received where row 9 was planned"
    lost = "9 images were received, 10 were planned" if framework == "torch" else "batch 2, image 1: row 9 was received"
    assert said["drop"].startswith(lost)
    if framework == "torch":  # whose workers are processes: the faults were theirs
        assert answers["loaders"] and answers["parent"] not in answers["loaders"]


@pytest.fixture(scope="module")
def run(bench, tmp_path_factory):
    folder = tmp_path_factory.mktemp("receipts")
    words = ("--frameworks", "fake", "--limit", "200", "--image-size", "16", "--repeats", "1")
    assert bench(*words, "--results-dir", folder, "--name", "run").returncode == 0
    return folder / "run"


def test_a_runs_receipts_are_held_against_its_plan(run):
    (row,) = read_results(run).rows
    assert row.record.receipt_fault == "" and len(row.record.receipts) == row.record.spec.recipe.epochs
    trial = run / "trials" / row.record.spec.name
    assert proven(trial, row.record.spec) == (row.record.receipts, "")


def test_a_receipt_that_is_not_the_plans_is_named_with_its_epoch_and_batch(run):
    (row,) = read_results(run).rows
    trial = run / "trials" / row.record.spec.name
    file = trial / RECEIPTS / "epoch2.npz"
    whole = file.read_bytes()
    try:
        with np.load(file) as arrays:
            found = arrays["received"].copy()
        found[40, 0] += 1
        np.savez(file, received=found)
        hashes, said = proven(trial, row.record.spec)
    finally:
        file.write_bytes(whole)
    at = row.record.spec.recipe.batch_size
    assert said.startswith(f"epoch 2, batch {40 // at + 1}, image {40 % at + 1}: the pixels of row")
    assert hashes[0] == row.record.receipts[0] and hashes[1] != row.record.receipts[1]

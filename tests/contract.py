"""The contract of frameworks/contract.py, line by line, on one framework: run_bench.py check-adapter NAME runs this file.

It needs a process of its own for each framework, so that pytest finds it only where it is named (test_contract.py).
"""

import importlib.util
import math
import os
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from common.core.errors import InputError
from common.core.events import FROZEN, TRAINED, Events, read_events
from common.core.files import write_json
from common.core.registry import framework_info
from common.core.specs import BuildSpec, ModelSpec, Preprocessing, ProcessSpec, WeightsSpec
from common.data.feed import Feed, Held, Stored
from common.data.receipts import fault, receipt
from common.trial.contract import load_adapter
from common.trial.initial_weights import initialise
from common.trial.loss import bce_with_logits
from common.trial.stopwatch import Watch

CLASSES, SIDE, IMAGES, BATCH = 5, 64, 10, 4  # two full batches and a short one
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (IMAGES, SIDE, SIDE, 3), np.uint8)
LABELS = (RNG.random((IMAGES, CLASSES)) < 0.4).astype(np.uint8)
ROWS = RNG.permutation(IMAGES).astype(np.int32)
RATE = 1e-3


@pytest.fixture(scope="session")
def card(pytestconfig):
    return framework_info(pytestconfig.getoption("framework"))


@pytest.fixture(scope="session")
def model_spec(pytestconfig, card):
    """The model asked for; else the framework's default one, else its first."""
    name, _, variant = (pytestconfig.getoption("model") or next(iter([*card.DEFAULT_MODELS, *card.MODELS]))).partition(
        ":"
    )
    variants = card.MODELS[name].variants if name in card.MODELS else ()
    return ModelSpec(name=name, variant=variant or (variants[0] if variants else ""))


@pytest.fixture(scope="session")
def adapter(card):
    return load_adapter(card.NAME)(ProcessSpec(device="cpu", deterministic=False, threads=2, timeout_s=0), 0)


@pytest.fixture
def build(adapter, model_spec):
    """A new model with the head's initial weights; `changes` of the BuildSpec."""

    def call(**changes):
        spec = BuildSpec(
            model=model_spec, classes=CLASSES, side=SIDE, preprocessing=adapter.preprocessing(model_spec), train="head",
            learning_rate=RATE, formulas="matched",
        ).model_copy(update=changes)  # fmt: skip
        model = adapter.build(spec)
        initialise(adapter, model, WeightsSpec(source="random"), Path("/"), np.ones(CLASSES), 0, matched=True)
        return model

    return call


@pytest.fixture(scope="session")
def feed(tmp_path_factory):
    """Pixels in a store, in the order ROWS, or in another."""
    folder = tmp_path_factory.mktemp("store")
    PIXELS.tofile(folder / "pixels.u8")
    write_json(folder / "store.json", {"images": IMAGES, "side": SIDE, "hash": "", "chunks": []})

    def call(train, rows=ROWS, workers=0):
        return Feed(Stored(folder), rows, LABELS[rows] if train else None, BATCH, workers)

    return call


def watch(path=Path(os.devnull), phase="train"):
    return Watch(Events(path), phase, 1, 3)


def same(a, b):
    return a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)


def drawn_norms(adapter, model):
    """Tensors whose norms are not the identity, which folding wrongly would not change, and which let random convolutions
    fade to 1e-8."""
    return {
        n: (a * RNG.uniform(0.8, 1.2, a.shape) + 0.1).astype(np.float32) if a.ndim == 1 else a
        for n, a in adapter.dump(model).items()
    }


def test_the_card_names_models_that_the_adapter_has(card, adapter):
    assert set(card.MODELS) <= set(adapter.models())
    assert set(card.DEFAULT_MODELS) <= set(card.MODELS)
    assert all(importlib.util.find_spec(package) for package in card.NEEDS) and isinstance(card.EXTRA, str)


def test_the_environment_is_in_words(adapter):
    said = adapter.environment()
    assert said["framework"] and said["device"].startswith("cpu")
    assert all(isinstance(value, str) for value in said.values())


def test_the_head_has_a_row_for_each_class(adapter, build):
    model = build()
    weight, bias = (adapter.dump(model)[name] for name in adapter.head(model))
    assert weight.shape[0] == CLASSES and weight.ndim == 2 and bias.shape == (CLASSES,)


def test_dump_after_load_gives_the_same_bytes(adapter, build):
    model = build()
    before = adapter.dump(model)
    other = {n: RNG.uniform(0.5, 1.5, a.shape).astype(a.dtype) for n, a in before.items()}
    adapter.load(model, other)
    assert same(adapter.dump(model), other)
    adapter.load(model, before)
    assert same(adapter.dump(model), before)


def test_a_dump_is_a_copy(adapter, build, feed):
    model = build()
    before = adapter.dump(model)
    kept = {name: array.copy() for name, array in before.items()}
    adapter.train_epoch(model, feed(train=True), watch())
    assert same(before, kept)


def test_what_trains_trains_and_nothing_else_moves(adapter, build, feed):
    model = build()
    trained, before = adapter.trainable(model), adapter.dump(model)
    assert set(adapter.head(model)) == trained
    adapter.train_epoch(model, feed(train=True), watch())
    after = adapter.dump(model)
    moved = {name for name in before if before[name].tobytes() != after[name].tobytes()}
    assert moved == trained


@pytest.mark.parametrize("workers", [0, 2])
def test_the_steps_receive_the_plan(adapter, build, feed, workers, tmp_path):
    """In its order, the short last batch too, with either number of loader workers; and the watch is told what came."""
    model, seen = build(), watch(tmp_path / "events.jsonl")
    adapter.train_epoch(model, feed(train=True, workers=workers), seen)
    assert (seen.images, seen.steps) == (IMAGES, 3)
    assert fault(seen.receipts, receipt(PIXELS[ROWS], LABELS[ROWS].astype(np.float32), ROWS), BATCH) == ""
    forms = next(e for e in read_events(tmp_path / "events.jsonl") if e["event"] == "received")
    assert forms["images"].startswith("uint8") and forms["labels"].startswith("float32")


def test_a_receipt_is_the_harnesses_own(adapter, build):
    """By the framework's operations, on bytes of every kind."""
    model = build()
    pixels = RNG.integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)
    pixels[1], pixels[2] = 0, 255
    labels, ids = RNG.random((3, CLASSES), np.float32), np.array([0, 2**31 - 1, 7], np.int64)
    assert np.array_equal(adapter.receipt(model, pixels, labels, ids), receipt(pixels, labels, ids))


def test_a_second_epoch_receives_the_plan_too(adapter, build, feed):
    model = build()
    for _ in range(2):
        seen = watch()
        adapter.train_epoch(model, feed(train=True), seen)
        assert fault(seen.receipts, receipt(PIXELS[ROWS], LABELS[ROWS].astype(np.float32), ROWS), BATCH) == ""


def test_the_loss_is_the_mean_over_images(adapter, build, feed):
    """Of binary cross-entropy from logits: nothing is learnt here, so that the prediction's logits are the training's."""
    model = build(learning_rate=1e-30)
    loss = adapter.train_epoch(model, feed(train=True), watch())
    logits = adapter.predict(model, feed(train=False), watch(phase="validation"))
    assert loss == pytest.approx(bce_with_logits(logits, LABELS[ROWS]), rel=1e-4)


def test_positives_may_weigh_more(adapter, build, feed):
    weights = tuple(float(w) for w in range(2, 2 + CLASSES))
    model = build(learning_rate=1e-30, positive_weights=weights)
    loss = adapter.train_epoch(model, feed(train=True), watch())
    logits = adapter.predict(model, feed(train=False), watch(phase="validation"))
    assert loss == pytest.approx(bce_with_logits(logits, LABELS[ROWS], np.array(weights, np.float32)), rel=1e-4)


def test_predictions_come_in_the_feeds_order_and_again_the_same(adapter, build, feed):
    model = build()
    seen = watch(phase="validation")
    logits = adapter.predict(model, feed(train=False), seen)
    assert logits.shape == (IMAGES, CLASSES) and np.isfinite(logits).all() and seen.images == IMAGES
    assert np.array_equal(logits, adapter.predict(model, feed(train=False), watch(phase="validation")))
    turned = adapter.predict(model, feed(train=False, rows=ROWS[::-1].copy()), watch(phase="validation"))
    assert np.allclose(turned[::-1], logits, rtol=1e-4, atol=1e-4 * np.abs(logits).max())
    assert any(np.abs(a - b).max() > 0 for a, b in pairwise(logits))  # it looks at the image


def test_a_restored_model_goes_on_as_if_nothing_had_been(adapter, build, feed, tmp_path):
    model = build()
    adapter.train_epoch(model, feed(train=True), watch())
    adapter.save(model, tmp_path / "state")
    adapter.train_epoch(model, feed(train=True), watch())
    again = build()
    adapter.restore(again, tmp_path / "state")
    adapter.train_epoch(again, feed(train=True), watch())
    a, b = adapter.dump(model), adapter.dump(again)
    assert all(np.allclose(a[name], b[name], rtol=1e-6, atol=1e-9) for name in a)


def test_a_loss_that_no_longer_falls_lowers_the_rate(adapter, build):
    """ReduceLROnPlateau with torch's patience of 2: the third epoch without a fall. Or the schedule is refused."""
    try:
        model = build(schedule="plateau")
    except InputError:
        pytest.skip("the adapter refuses this schedule")
    said = []
    for _ in range(4):
        said.append(adapter.facts(model)["optimiser"])
        adapter.validated(model, 0.5)
    assert len(set(said)) == 1
    assert adapter.facts(model)["optimiser"] != said[0]


def test_facts_are_numbers_and_words(adapter, build):
    model = build()
    facts, dump = adapter.facts(model), adapter.dump(model)
    assert facts["trainable_parameters"] == sum(dump[name].size for name in adapter.trainable(model))
    assert facts["parameters"] >= facts["trainable_parameters"] and facts["gmac"] > 0
    assert facts["precision"] == "float32" and f"learning rate {RATE:g}" in facts["optimiser"]
    assert "mean over images" in facts["loss"]


@pytest.mark.parametrize("train", ["head", "last-block"])
def test_what_trains_is_told_apart_from_what_does_not(adapter, build, feed, train):
    """In arithmetic, and in a step's parts where there are any."""
    try:
        model = build(train=train)
    except InputError as error:
        pytest.skip(str(error))
    facts, trained = adapter.facts(model), adapter.trainable(model)
    if "gmac_trained" not in facts:
        pytest.skip("does not count what trains")
    frozen = [name for name, a in adapter.dump(model).items() if a.ndim >= 2 and name not in trained]
    assert 0 < facts["gmac_trained"] <= facts["gmac"] and (facts["gmac_trained"] < facts["gmac"] or not frozen)
    seen = watch()
    adapter.train_epoch(model, feed(True), seen)
    assert TRAINED not in seen.parts or FROZEN in seen.parts or not frozen


def test_the_gate_sees_every_layer(adapter, build, feed):
    """Each tensor's layer is there in words and with what it makes of the images; the last are the prediction's logits."""
    model = build()
    facts, found = adapter.layer_facts(model), adapter.activations(model, PIXELS[ROWS], training=False)
    names = list(found)
    assert names[0] == "input" and names[-1] == "logits" and facts["input"]
    layers = {name.rpartition(".")[0] for name in adapter.dump(model)}
    assert layers <= facts.keys() and layers <= found.keys()
    logits = adapter.predict(model, feed(train=False), watch(phase="validation"))
    assert np.allclose(found["logits"], logits, rtol=1e-4, atol=1e-4 * np.abs(logits).max())


def test_the_gate_computes_in_either_precision(adapter, build):
    for precision in ("float32", "float64", "float32"):  # in this order: one may leave something behind
        model = build(precision=precision)
        assert {str(array.dtype) for array in adapter.dump(model).values()} == {precision}
        assert adapter.facts(model)["precision"] == precision
        logits = adapter.activations(model, PIXELS[:2], training=False)["logits"]
        assert logits.dtype == precision
    exact = adapter.activations(build(precision="float64"), PIXELS[:2], training=False)["logits"]
    apart = np.linalg.norm(exact - logits) / np.linalg.norm(exact)
    assert 1e-12 < apart < 1e-4  # and they are not one and the same under two names


def test_gradient_descent_moves_by_the_gradient(adapter, build):
    """`apply`, with the optimiser that the gate reads gradients off with."""
    model = build(precision="float64", optimiser="sgd", learning_rate=0.5)
    before, trained = adapter.dump(model), adapter.trainable(model)
    gradients = {name: RNG.normal(size=before[name].shape) for name in trained}
    adapter.apply(model, gradients)
    after = adapter.dump(model)
    for name in before:
        expected = before[name] - 0.5 * gradients[name] if name in trained else before[name]
        assert np.allclose(after[name], expected, rtol=1e-9, atol=1e-9), name


@pytest.mark.parametrize("train", ["head", "last-block"])
def test_the_tuned_lane_computes_the_same(adapter, build, feed, train):
    """From features as from pixels: predictions, the loss of a step, and what an epoch changed; and back again."""
    if not hasattr(adapter, "run_as"):
        pytest.skip("offers no tuned lane")
    try:
        plain, tuned = build(train=train), build(train=train)
    except InputError as error:
        pytest.skip(str(error))
    drawn = drawn_norms(adapter, plain)
    for model in (plain, tuned):
        adapter.load(model, drawn)
    ways = adapter.frozen_ways(tuned)
    extract = adapter.extractor(tuned, {setting: values[0] for setting, values in ways.items()}, "float32")
    kept = extract(PIXELS)
    assert len(kept) == IMAGES and kept.dtype == np.float32

    def features(train, rows=ROWS):
        return Feed(Held(kept), rows, LABELS[rows] if train else None, BATCH, 0)

    adapter.run_as(tuned, {}, kept[:1])
    one, other = (
        adapter.predict(m, f, watch(phase="predict")) for m, f in ((plain, feed(False)), (tuned, features(False)))
    )
    assert np.linalg.norm(one - other) <= 1e-4 * np.linalg.norm(one)
    # One batch: Adam's first step goes by the signs of the gradients, in which rounding decides, so that an epoch's losses
    # were 5e-4 apart on one machine and under 1e-4 on another.
    first = ROWS[:BATCH]
    losses = [
        adapter.train_epoch(m, f, watch()) for m, f in ((plain, feed(True, first)), (tuned, features(True, first)))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    seen = watch()
    adapter.train_epoch(tuned, features(True), seen)
    assert fault(seen.receipts, receipt(kept[ROWS], LABELS[ROWS].astype(np.float32), ROWS), BATCH) == ""
    one = adapter.predict(tuned, features(False), watch(phase="predict"))
    adapter.run_as(tuned, {}, None)
    other = adapter.predict(tuned, feed(False), watch(phase="predict"))
    assert np.linalg.norm(one - other) <= 1e-4 * np.linalg.norm(one)  # what trained is the default lane's too


@pytest.mark.parametrize("train", ["head", "last-block"])
def test_every_way_of_the_frozen_part_computes_the_same(adapter, build, train):
    """But those that are slow to build. In a lower precision: within a twentieth, as the lane's gate allows."""
    if not hasattr(adapter, "run_as"):
        pytest.skip("offers no tuned lane")
    try:
        model = build(train=train)
    except InputError as error:
        pytest.skip(str(error))
    adapter.load(model, drawn_norms(adapter, model))
    ways = adapter.frozen_ways(model)
    first = {setting: values[0] for setting, values in ways.items()}
    expected = adapter.extractor(model, first, "float32")(PIXELS)
    for setting, values in ways.items():
        for value in values:
            if value not in adapter.SLOW and setting != "micro batch":
                kept = adapter.extractor(model, first | {setting: value}, "float16")(PIXELS)
                assert kept.dtype == np.float16 and kept.flags.c_contiguous and kept.shape == expected.shape
                assert np.linalg.norm(kept - expected) <= 0.05 * np.linalg.norm(expected), (setting, value)


def test_what_a_step_waits_for_is_told(adapter, build):
    """Loaders read ahead, Keras a dozen batches: the last one is slow, and no more than begun when the first is done."""

    class SlowAtLast(Held):
        def read(self, rows, crops):
            time.sleep(1.0 * (ROWS[-1] in rows))
            return super().read(rows, crops)

    rows = np.concatenate([np.resize(ROWS[:BATCH], 15 * BATCH), ROWS[-BATCH:]])
    told = Watch(Events(Path(os.devnull)), "train", 1, len(rows) // BATCH)
    adapter.train_epoch(build(), Feed(SlowAtLast(PIXELS), rows, LABELS[rows], BATCH, 0), told)
    assert 0.2 < told.wait_s < 2.0


@pytest.mark.parametrize("train", [True, False])
def test_consuming_a_feed_reads_every_image_of_it(adapter, train):
    if not hasattr(adapter, "consume"):
        pytest.skip("offers no ceilings")
    read = []

    class Counted(Held):
        def read(self, rows, crops):
            read.extend(rows.tolist())
            return super().read(rows, crops)

    adapter.consume(Feed(Counted(PIXELS), ROWS, LABELS[ROWS] if train else None, BATCH, 0))
    # All once; before that an image to know the form by, and on TensorFlow two batches.
    assert set(read) == set(ROWS.tolist()) and len(read) <= IMAGES + 1 + 2 * BATCH


def test_products_are_counted_and_computed(adapter):
    if not hasattr(adapter, "products"):
        pytest.skip("offers no ceilings")
    found = adapter.products("float32")
    assert found and all(flops > 1e6 for flops, _ in found.values())
    next(iter(found.values()))[1]()


def test_the_librarys_preprocessing_is_known(adapter, model_spec):
    said = adapter.preprocessing(model_spec)
    assert isinstance(said, Preprocessing) and all(math.isfinite(v) for v in (*said.mean, *said.std))


def test_weights_that_are_not_there_are_bad_input(adapter, model_spec):
    with pytest.raises(InputError):
        adapter.export(model_spec, "/there/is/no/such/file")


def test_the_device_can_be_waited_for(adapter):
    adapter.fence()
    assert adapter.peak_device_bytes() >= 0

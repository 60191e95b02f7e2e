"""Checks of training and prediction: the plan's order, the loss, what changes, and going on after a stop."""

import os
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from common.core.errors import InputError
from common.core.events import Events, Received, of_kind, read_events
from common.data.feed import Feed, Held
from common.data.receipts import receipt
from common.trial.loss import bce_with_logits
from common.trial.stopwatch import Watch
from frameworks.checks.context import (
    BATCH,
    CLASSES,
    IMAGES,
    LABELS,
    PIXELS,
    ROWS,
    SIDE,
    Checks,
    Context,
    Skip,
    new_watch,
    require,
    require_close,
    require_plan,
)

CHECKS = Checks()


@CHECKS.add()
def training_changes_the_trainable_tensors_alone(c: Context) -> None:
    model = c.build()
    trainable, before = c.adapter.trainable(model), c.adapter.dump(model)
    require(set(c.adapter.head(model)) == trainable, f"with train='head', trainable() is {sorted(trainable)}")
    c.adapter.train_epoch(model, c.feed(train=True), new_watch())
    after = c.adapter.dump(model)
    moved = {name for name in before if before[name].tobytes() != after[name].tobytes()}
    require(moved == trainable, f"an epoch changed {sorted(moved)}; trainable() is {sorted(trainable)}")


@CHECKS.add(workers=(0, 2))
def the_steps_receive_the_plan(c: Context, workers: int) -> None:
    """In its order, with the short last batch, and the stopwatch gets the forms of the arrays."""
    events = c.folder / "events.jsonl"
    model, watch = c.build(), new_watch(events)
    c.adapter.train_epoch(model, c.feed(train=True, workers=workers), watch)
    require(
        (watch.images, watch.steps) == (IMAGES, 3),
        f"the epoch had {watch.images} images in {watch.steps} steps, not {IMAGES} in 3",
    )
    require_plan(watch, PIXELS)
    forms = of_kind(read_events(events), Received)[0]
    require(forms.images.startswith("uint8"), f"the images arrive as {forms.images}, not uint8")
    require(forms.labels.startswith("float32"), f"the labels arrive as {forms.labels}, not float32")


@CHECKS.add()
def the_batch_checksum_is_the_harnesses(c: Context) -> None:
    """Computed by the framework's operations, on bytes of every kind."""
    model = c.build()
    pixels = c.rng.integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)
    pixels[1], pixels[2] = 0, 255
    labels, ids = c.rng.random((3, CLASSES), np.float32), np.array([0, 2**31 - 1, 7], np.int64)
    found, expected = c.adapter.receipt(model, pixels, labels, ids), receipt(pixels, labels, ids)
    require(np.array_equal(found, expected), f"receipt() returns {found.tolist()}, not {expected.tolist()}")


@CHECKS.add()
def a_second_epoch_receives_the_plan_too(c: Context) -> None:
    model = c.build()
    for _ in range(2):
        watch = new_watch()
        c.adapter.train_epoch(model, c.feed(train=True), watch)
        require_plan(watch, PIXELS)


def _require_loss(c: Context, model: Any, weights: np.ndarray | None) -> None:
    """With a learning rate of almost 0 nothing is learnt: the prediction's logits are those of training."""
    loss = c.adapter.train_epoch(model, c.feed(train=True), new_watch())
    logits = c.adapter.predict(model, c.feed(train=False), new_watch(phase="validation"))
    require_close(loss, bce_with_logits(logits, LABELS[ROWS], weights), 1e-4, "the loss of train_epoch()")


@CHECKS.add()
def the_loss_is_the_mean_over_images(c: Context) -> None:
    _require_loss(c, c.build(learning_rate=1e-30), None)


@CHECKS.add()
def positive_weights_enter_the_loss(c: Context) -> None:
    weights = tuple(float(w) for w in range(2, 2 + CLASSES))
    _require_loss(c, c.build(learning_rate=1e-30, positive_weights=weights), np.array(weights, np.float32))


@CHECKS.add()
def predictions_follow_the_feed_and_repeat(c: Context) -> None:
    model, watch = c.build(), new_watch(phase="validation")

    def predict(rows: np.ndarray = ROWS) -> np.ndarray:
        return c.adapter.predict(model, c.feed(train=False, rows=rows), new_watch(phase="validation"))

    logits = c.adapter.predict(model, c.feed(train=False), watch)
    require(logits.shape == (IMAGES, CLASSES), f"predict() returns {list(logits.shape)}, not {[IMAGES, CLASSES]}")
    require(np.isfinite(logits).all(), "predict() returns logits that are not finite")
    require(watch.images == IMAGES, f"the stopwatch counted {watch.images} images, not {IMAGES}")
    require(np.array_equal(logits, predict()), "a second predict() returns other logits")
    reversed_logits = predict(ROWS[::-1].copy())
    require(
        np.allclose(reversed_logits[::-1], logits, rtol=1e-4, atol=1e-4 * np.abs(logits).max()),
        "the logits do not follow the order of the feed",
    )
    require(any(np.abs(a - b).max() > 0 for a, b in pairwise(logits)), "all images have the same logits")


@CHECKS.add()
def a_restored_model_continues_identically(c: Context) -> None:
    model, state = c.build(), c.folder / "state"
    c.adapter.train_epoch(model, c.feed(train=True), new_watch())
    c.adapter.save(model, state)
    c.adapter.train_epoch(model, c.feed(train=True), new_watch())
    again = c.build()
    c.adapter.restore(again, state)
    c.adapter.train_epoch(again, c.feed(train=True), new_watch())
    expected, found = c.adapter.dump(model), c.adapter.dump(again)
    differing = [n for n in expected if not np.allclose(expected[n], found[n], rtol=1e-6, atol=1e-9)]
    require(not differing, f"an epoch after save() and restore() ends with other values in {differing}")


@CHECKS.add()
def a_loss_that_no_longer_falls_lowers_the_learning_rate(c: Context) -> None:
    """ReduceLROnPlateau with torch's patience of 2: the third epoch without a fall. Or the schedule is refused."""
    try:
        model = c.build(schedule="plateau")
    except InputError as error:
        raise Skip("the adapter refuses this schedule") from error
    texts = []
    for _ in range(4):
        texts.append(c.adapter.facts(model)["optimiser"])
        c.adapter.validated(model, 0.5)
    require(len(set(texts)) == 1, f"the optimiser changed before the third epoch without a fall: {texts}")
    require(c.adapter.facts(model)["optimiser"] != texts[0], "the third epoch without a fall does not lower the rate")


@CHECKS.add()
def waiting_for_data_is_measured(c: Context) -> None:
    """Loaders read ahead, Keras a dozen batches: the last one is slow, and no more than begun when the first is done."""

    class SlowAtLast(Held):
        def read(self, rows: np.ndarray, crops: np.ndarray | None) -> np.ndarray:
            time.sleep(1.0 * (ROWS[-1] in rows))
            return super().read(rows, crops)

    rows = np.concatenate([np.resize(ROWS[:BATCH], 15 * BATCH), ROWS[-BATCH:]])
    watch = Watch(Events(Path(os.devnull)), "train", 1, len(rows) // BATCH)
    c.adapter.train_epoch(c.build(), Feed(SlowAtLast(PIXELS), rows, LABELS[rows], BATCH, 0), watch)
    require(
        0.2 < watch.wait_s < 2.0, f"the stopwatch measured {watch.wait_s:.2f} s of waiting for a batch that takes 1 s"
    )

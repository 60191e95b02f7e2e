"""Checks of what an adapter may offer: the tuned lane, upper bounds, and the arithmetic of what trains counted apart."""

import numpy as np

from common.core.events import FROZEN, TRAINED
from common.data.feed import Feed, Held
from common.trial.contract import Measurable, Optimizable
from frameworks.checks.context import (
    BATCH,
    IMAGES,
    LABELS,
    PIXELS,
    ROWS,
    Checks,
    Context,
    Skip,
    features_feed,
    new_watch,
    require,
    require_close,
    require_equal_arrays,
    require_plan,
)

CHECKS = Checks()
TRAIN = ("head", "last-block")


def _optimizable(c: Context) -> Optimizable:
    if not isinstance(c.adapter, Optimizable):
        raise Skip("offers no tuned lane")
    return c.adapter


def _measurable(c: Context) -> Measurable:
    if not isinstance(c.adapter, Measurable):
        raise Skip("offers no ceilings")
    return c.adapter


@CHECKS.add(train=TRAIN)
def the_trained_part_is_counted_apart(c: Context, train: str) -> None:
    """In arithmetic, and in a step's phases where there are any."""
    model = c.build_or_skip(train=train)
    facts, trainable = c.adapter.facts(model), c.adapter.trainable(model)
    if "gmac_trained" not in facts:
        raise Skip("does not count what trains")
    frozen = [name for name, a in c.adapter.dump(model).items() if a.ndim >= 2 and name not in trainable]
    trained, whole = facts["gmac_trained"], facts["gmac"]
    require(0 < trained <= whole, f"gmac_trained is {trained}, gmac {whole}")
    require(trained < whole or not frozen, f"gmac_trained is all of gmac ({whole}) though {frozen[:3]} are frozen")
    watch = new_watch()
    c.adapter.train_epoch(model, c.feed(True), watch)
    require(TRAINED not in watch.parts or FROZEN in watch.parts or not frozen, f"a step has the phases {watch.parts}")


@CHECKS.add(train=TRAIN)
def the_tuned_lane_computes_the_same(c: Context, train: str) -> None:
    """From features as from pixels: predictions, the loss of a step, and what an epoch changed; and back again."""
    adapter = _optimizable(c)
    plain, tuned = c.build_or_skip(train=train), c.build_or_skip(train=train)
    tensors = c.redrawn_norms(plain)
    for model in (plain, tuned):
        adapter.load(model, tensors)
    first_way = {setting: values[0] for setting, values in adapter.frozen_ways(tuned).items()}
    features = adapter.extractor(tuned, first_way, "float32")(PIXELS)
    require(len(features) == IMAGES, f"the extractor returns {len(features)} features of {IMAGES} images")
    require(features.dtype == np.float32, f"the extractor returns {features.dtype}, not float32")
    adapter.run_as(tuned, {}, features[:1])
    expected = adapter.predict(plain, c.feed(False), new_watch(phase="predict"))
    found = adapter.predict(tuned, features_feed(features, False), new_watch(phase="predict"))
    require_equal_arrays(found, expected, 1e-4, "predictions from features and from pixels")
    # One batch: Adam's first step goes by the signs of the gradients, in which rounding decides, so that an epoch's losses
    # were 5e-4 apart on one machine and under 1e-4 on another.
    first = ROWS[:BATCH]
    expected_loss = adapter.train_epoch(plain, c.feed(True, first), new_watch())
    loss = adapter.train_epoch(tuned, features_feed(features, True, first), new_watch())
    require_close(expected_loss, loss, 1e-4, "the loss of a step from pixels, beside that from features,")
    watch = new_watch()
    adapter.train_epoch(tuned, features_feed(features, True), watch)
    require_plan(watch, features)
    expected = adapter.predict(tuned, features_feed(features, False), new_watch(phase="predict"))
    adapter.run_as(tuned, {}, None)
    found = adapter.predict(tuned, c.feed(False), new_watch(phase="predict"))
    require_equal_arrays(found, expected, 1e-4, "predictions back in the default lane")  # what trained is its own too


@CHECKS.add(train=TRAIN)
def every_way_of_the_frozen_part_computes_the_same(c: Context, train: str) -> None:
    """But those that are slow to build. In a lower precision: within a twentieth, as the lane's gate allows."""
    adapter, model = _optimizable(c), c.build_or_skip(train=train)
    adapter.load(model, c.redrawn_norms(model))
    ways = adapter.frozen_ways(model)
    first_way = {setting: values[0] for setting, values in ways.items()}
    expected = adapter.extractor(model, first_way, "float32")(PIXELS)
    tried = [(s, v) for s, values in ways.items() for v in values if v not in adapter.SLOW and s != "micro batch"]
    for setting, value in tried:
        features = adapter.extractor(model, first_way | {setting: value}, "float16")(PIXELS)
        what = f"the extractor with {setting} {value}"
        require(features.dtype == np.float16, f"{what} returns {features.dtype}, not float16")
        require(features.flags.c_contiguous, f"{what} returns an array that is not contiguous")
        require(features.shape == expected.shape, f"{what} returns {features.shape}, not {expected.shape}")
        require_equal_arrays(features, expected, 0.05, what)


@CHECKS.add(train=(True, False))
def consuming_a_feed_reads_every_image_of_it(c: Context, train: bool) -> None:
    adapter, read = _measurable(c), list[int]()

    class Counted(Held):
        def read(self, rows: np.ndarray, crops: np.ndarray | None) -> np.ndarray:
            read.extend(rows.tolist())
            return super().read(rows, crops)

    adapter.consume(Feed(Counted(PIXELS), ROWS, LABELS[ROWS] if train else None, BATCH, 0))
    require(set(read) == set(ROWS.tolist()), f"consume() read the rows {sorted(set(read))}")
    # All once; before that an image to know the form by, and on TensorFlow two batches.
    require(len(read) <= IMAGES + 1 + 2 * BATCH, f"consume() read {len(read)} images of a feed of {IMAGES}")


@CHECKS.add()
def products_are_counted_and_computed(c: Context) -> None:
    found = _measurable(c).products("float32")
    require(found, "products('float32') is empty")
    small = [name for name, (flops, _) in found.items() if flops <= 1e6]
    require(not small, f"products with a million operations or fewer: {small}")
    next(iter(found.values()))[1]()

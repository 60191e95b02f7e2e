"""What the training steps of a trial should have received, from its plan, its pixels and its labels."""

import os
from functools import cache
from pathlib import Path

import numpy as np

from common.core.events import last
from common.core.results import Tuning
from common.core.specs import Plan, TrialSpec
from common.data import receipts
from common.data.chunk_store import ChunkStore
from common.data.decode import decode
from common.data.feed import image_paths, read_plan
from common.process.trial_files import RECEIPTS

BLOCK_BYTES = 2**25  # of pixels hashed at once


def proven(trial: Path, spec: TrialSpec) -> tuple[tuple[str, ...], str]:
    """The hash of each epoch's receipts, and where they are not what was planned ("": nowhere)."""
    run = trial.parent.parent
    drawn = read_plan(run / spec.feed.plan, spec.feed.plan_hash)
    with np.load(run / spec.feed.labels) as arrays:
        truth = receipts.of_labels(arrays["labels"].astype(np.float32))
    hashes, fault, tuned = [], "", last(trial / "events.jsonl", Tuning) or Tuning()
    for epoch in range(1, spec.recipe.epochs + 1):
        with np.load(trial / RECEIPTS / f"epoch{epoch}.npz") as arrays:
            found = arrays["received"]
        rows = drawn.orders[epoch - 1]
        given = _features(run / tuned.store, rows) if tuned.store else _pixels(run, spec, drawn, epoch)
        expected = np.stack([given, truth[rows], rows.astype(np.int64)], axis=1)
        # Features differ in their last digits from framework to framework: of them, each is held against its own store.
        hashes.append(receipts.chained(found[:, 1:] if tuned.store else found))
        differs = receipts.fault(found, expected, spec.recipe.batch_size)
        fault = fault or (f"epoch {epoch}, {differs}" if differs else "")
    return tuple(hashes), fault


def _features(folder: Path, rows: np.ndarray) -> np.ndarray:
    """int64: the hash of each visit's features, as they lie in the store."""
    store = ChunkStore(folder)
    used = np.unique(rows)
    step = max(1, BLOCK_BYTES // store.read(used[:1]).nbytes)
    blocks = [receipts.of_pixels(store.read(used[at : at + step])) for at in range(0, len(used), step)]
    return np.concatenate(blocks)[np.searchsorted(used, rows)]


def _pixels(run: Path, spec: TrialSpec, drawn: Plan, epoch: int) -> np.ndarray:
    """int64: the hash of the pixels of each of the epoch's visits."""
    rows, feed = drawn.orders[epoch - 1], spec.feed
    if not len(drawn.crops):
        used = np.unique(rows)
        store = os.path.abspath(run / feed.pixels) if feed.pixels else ""
        files = "" if store else os.path.abspath(run / feed.files)
        return _whole(store, files, feed.image_side, used.tobytes())[np.searchsorted(used, rows)]
    return _cropped(os.path.abspath(run / feed.files), feed.image_side, os.path.abspath(run / feed.plan), epoch)


@cache  # the trials of a seed share their crops
def _cropped(files: str, side: int, plan: str, epoch: int) -> np.ndarray:
    """int64: the hash of each visit's crop."""
    paths = image_paths(Path(files)).tolist()
    with np.load(plan) as arrays:
        rows, draws = arrays["orders"][epoch - 1], arrays["crops"][epoch - 1]
    return np.array([_decoded(paths[row], side, draw) for row, draw in zip(rows, draws)])


@cache  # the trials of a run share their images
def _whole(store: str, files: str, side: int, rows_bytes: bytes) -> np.ndarray:
    """int64: the hash of each row's image, uncropped."""
    rows = np.frombuffer(rows_bytes, np.int32)
    if not store:
        paths = image_paths(Path(files)).tolist()
        return np.array([_decoded(paths[row], side, np.empty(0)) for row in rows])
    pixels, step = ChunkStore(Path(store)), max(1, BLOCK_BYTES // (side * side * 3))
    blocks = [receipts.of_pixels(pixels.read(rows[at : at + step])) for at in range(0, len(rows), step)]
    return np.concatenate(blocks)


def _decoded(path: str, side: int, draw: np.ndarray) -> np.int64:
    pixels = np.frombuffer(decode(path, side, draw.tolist()), np.uint8)
    return receipts.of_pixels(pixels.reshape(1, side, side, 3))[0]

"""PURE: what a training step received, as numbers that the plan and the pixels must give again.

A receipt is int64 [images, 3], in the order in which the steps took the images: a hash of the pixels, a hash of the
labels, the row number. The adapter computes it inside the step, from the very tensors that it trains on: `fit` of Keras
reads batches that it never trains on, so counting where batches are loaded lies. The hash is linear: the sum of value
times a fixed odd 64-bit weight, modulo 2^64 (Carter and Wegman 1979 for the family). A value that changes alone changes
it for certain, since an odd weight has an inverse; values are 4 bytes, of pixels or of a
label. Of other changes one in 2^32 may be missed.
"""

from functools import cache

import numpy as np

from common.core.hashing import hash_arrays

# Bytes of pixels hashed as one number, extended to 64 bits: a weight's upper half then takes part in every sum.
WORD = 4


@cache
def weights(n: int) -> np.ndarray:
    """int64 [n], odd: the first n numbers of splitmix64 (Steele, Lea, Flood 2014)."""
    with np.errstate(over="ignore"):
        z = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return ((z ^ (z >> np.uint64(31))) | np.uint64(1)).view(np.int64)


def words(image_bytes: int) -> int:
    """Numbers that an image's bytes make, the last filled up with zeros."""
    return -(-image_bytes // WORD)


def of_pixels(pixels: np.ndarray) -> np.ndarray:
    """int64 [n] of uint8 [n, h, w, 3] (or features [n, ...]), 4 bytes as one little-endian int32."""
    flat = np.ascontiguousarray(pixels).reshape(len(pixels), -1).view(np.uint8)
    n = words(flat.shape[1])
    if flat.shape[1] % WORD:
        flat = np.pad(flat, ((0, 0), (0, n * WORD - flat.shape[1])))
    with np.errstate(over="ignore"):
        return (flat.view("<i4").astype(np.int64) * weights(n)).sum(axis=1)


def of_labels(labels: np.ndarray) -> np.ndarray:
    """int64 [n] of float32 [n, classes], by their bits."""
    bits = np.ascontiguousarray(labels, np.float32).view(np.int32).astype(np.int64)
    with np.errstate(over="ignore"):
        return (bits * weights(labels.shape[1])).sum(axis=1)


def receipt(pixels: np.ndarray, labels: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """int64 [n, 3] of one batch."""
    return np.stack([of_pixels(pixels), of_labels(labels), ids.astype(np.int64)], axis=1)


def chained(rows: np.ndarray) -> str:
    """16 hex digits over an epoch's receipts, in order."""
    return hash_arrays(np.ascontiguousarray(rows, np.int64))


def fault(found: np.ndarray, expected: np.ndarray, batch_size: int) -> str:
    """Where the steps received something else than planned: the first batch, and what of it; "" where nowhere."""
    n = min(len(found), len(expected))
    differing = np.flatnonzero((found[:n] != expected[:n]).any(axis=1))
    if not len(differing):
        return "" if len(found) == len(expected) else f"{len(found)} images were received, {len(expected)} were planned"
    at = int(differing[0])
    mine, planned = found[at], expected[at]
    if mine[2] != planned[2]:
        what = f"row {mine[2]} was received where row {planned[2]} was planned"
    else:
        what = f"the {'pixels' if mine[0] != planned[0] else 'labels'} of row {planned[2]} are not the planned ones"
    return f"batch {at // batch_size + 1}, image {at % batch_size + 1}: {what}"

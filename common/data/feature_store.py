"""The feature store: what a model's frozen part makes of every image, once, in a chunk store."""

import json
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from common.core.callbacks import Progress, silent
from common.core.errors import InputError
from common.core.locks import locked
from common.data import chunk_store
from common.data.chunk_store import FILE, LAYOUT, Chunk, Layout

CHUNK = 256  # images journalled at once
Compute = Callable[[np.ndarray], Iterable[np.ndarray]]


def key(**parts: Any) -> str:
    """A store's name: 20 hex digits over all that its content depends on."""
    return xxhash.xxh3_128_hexdigest(json.dumps(parts | {"layout": LAYOUT}, sort_keys=True).encode())[:20]


def complete(folder: Path, rows: np.ndarray) -> bool:
    """Whether the store holds these rows as they were written."""
    try:
        record = chunk_store.read_record(folder)
    except (OSError, ValueError):
        return False
    layout = Layout(record.dtype, record.shape, rows, CHUNK)
    return len(chunk_store.intact(folder, layout)) == layout.chunks


def fill(
    folder: Path, rows: np.ndarray, compute: Compute, shape: tuple[int, ...], dtype: str,
    progress: Progress, waiting: Callable[[float], None] = silent,
) -> int:  # fmt: skip
    """Compute the features of `rows` (ascending) and keep them. Returns how many images were computed now; 0 where another
    process has completed the store.

    compute: row numbers [k] -> dtype [k, *shape], in parts. waiting: called while another process fills it. InputError where
    the disk cannot hold them, or where a value is beyond what the dtype holds.
    """
    layout = Layout(dtype, shape, rows, CHUNK)
    with locked(folder, waiting):
        done = chunk_store.intact(folder, layout)
        left = len(rows) - layout.count(done)
        if left or not chunk_store.is_finished(folder):
            what, smaller = f"the feature store of {len(rows)} images", "fewer images (--limit N), or --lane default"
            chunk_store.fill(
                folder,
                layout,
                done,
                lambda chunks: _computed(folder / FILE, layout, compute, chunks),
                progress,
                what,
                smaller,
            )
    return left


def _computed(
    file: Path, layout: Layout, compute: Compute, chunks: list[int]
) -> Generator[tuple[int, Chunk], None, None]:
    """Compute these chunks into the file, and give each that is finished."""
    with open(file, "r+b") as stream:
        for index in chunks:
            rows, digest, at = layout.chunk(index), xxhash.xxh3_128(), 0
            for part in compute(rows):  # checked and written while it is in the processor's cache
                _check_finite(part)
                for row, values in zip(rows[at:], part):
                    stream.seek(int(row) * layout.row_bytes)
                    stream.write(values.data)
                digest.update(part.data)
                at += len(part)
            stream.flush()
            yield index, Chunk(digest.hexdigest())


def _check_finite(block: np.ndarray) -> None:
    """InputError for a value that is not finite, or beyond what the dtype holds."""
    if block.dtype == np.float16:
        exponents = block.view(np.uint16) & 0x7C00  # of a [14, 14, 1024] in .02 ms; isfinite takes .28
        finite = bool((exponents != 0x7C00).all())
    else:
        finite = bool(np.isfinite(block).all())
    if not finite:
        raise InputError(
            "the frozen part's output is not finite; take other weights"
            if block.dtype == np.float32
            else f"features are not finite, or beyond what {block.dtype} holds; take --features float32"
        )

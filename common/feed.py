"""A plan's rows as batches: uint8 RGB pixels and, for training alone, float32 labels."""

from functools import cached_property
from pathlib import Path

import numpy as np

from common.pixels import PixelStore


class Feed:
    """Positions 0 to images - 1, in the plan's order; batch i holds positions i * batch_size onwards.

    `labels`: those of `rows`, position by position (a training feed), or None: an adapter never holds a label of
    the validation split. It may be pickled into loader workers: the store is opened anew where it is first used.
    """

    def __init__(self, store: Path, rows: np.ndarray, labels: np.ndarray | None, batch_size: int, workers: int):
        if labels is not None and len(labels) != len(rows):
            raise ValueError(f"{len(labels)} labels for {len(rows)} rows")
        self.store, self.rows, self.labels = store, rows, labels
        self.batch_size, self.workers = batch_size, workers

    @cached_property
    def _pixels(self) -> PixelStore:
        return PixelStore(self.store)

    def __getstate__(self) -> dict:
        return {key: value for key, value in self.__dict__.items() if key != "_pixels"}

    @property
    def images(self) -> int:
        return len(self.rows)

    @property
    def batches(self) -> int:
        """The short last batch is kept."""
        return -(-len(self.rows) // self.batch_size)

    def item(self, position: int) -> tuple[np.ndarray, np.ndarray | None]:
        """uint8 [h, w, 3] and float32 [classes] (None without labels)."""
        pixels = self._pixels.read(self.rows[position : position + 1])[0]
        return pixels, None if self.labels is None else self.labels[position].astype(np.float32)

    def batch(self, index: int) -> tuple[np.ndarray, np.ndarray | None]:
        """uint8 [n, h, w, 3] and float32 [n, classes] (None without labels)."""
        here = slice(index * self.batch_size, (index + 1) * self.batch_size)
        return self._pixels.read(self.rows[here]), None if self.labels is None else self.labels[here].astype(np.float32)

"""A plan's rows as batches: uint8 RGB pixels and, for training alone, float32 labels."""

from functools import cached_property
from pathlib import Path

import numpy as np

from common.pixels import PixelStore


class Feed:
    """Positions 0 to images - 1, in the plan's order; batch i holds positions i * batch_size onwards.

    It may be pickled into loader workers: the memory map is opened anew where it is first used.
    """

    def __init__(self, store: Path, rows: np.ndarray, labels: np.ndarray | None, batch_size: int, workers: int):
        self.store, self.rows, self.labels = store, rows, labels
        self.batch_size, self.workers = batch_size, workers

    @cached_property
    def _pixels(self) -> np.ndarray:
        return PixelStore(self.store).pixels

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
        row = self.rows[position]
        return np.array(self._pixels[row]), None if self.labels is None else self.labels[row].astype(np.float32)

    def batch(self, index: int) -> tuple[np.ndarray, np.ndarray | None]:
        """uint8 [n, h, w, 3] and float32 [n, classes] (None without labels)."""
        rows = self.rows[index * self.batch_size : (index + 1) * self.batch_size]
        return self._pixels[rows], None if self.labels is None else self.labels[rows].astype(np.float32)

"""An array in a file, read row by row."""

import os
from pathlib import Path

import numpy as np


class Rows:
    """A C-ordered array in a file, read row by row. Not mapped: mapped pages would count as the reader's memory, which
    would then grow with the data set."""

    def __init__(self, path: Path, dtype: str, shape: tuple[int, ...]):
        self._path, self._dtype, self._shape = path, np.dtype(dtype), tuple(shape)
        self._row_bytes = self._dtype.itemsize * int(np.prod(shape))
        self._file = open(path, "rb", buffering=0)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """[len(rows), *shape], in the order of `rows`. Safe in several threads at once."""
        block = np.empty((len(rows), self._row_bytes), np.uint8)
        for place, row in zip(block, rows):
            if os.preadv(self._file.fileno(), [place], int(row) * self._row_bytes) != self._row_bytes:
                raise OSError(f"{self._path} ends before row {row}; remove its folder, and it is filled again")
        return block.view(self._dtype).reshape(len(rows), *self._shape)

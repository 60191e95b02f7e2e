"""A plan's rows as batches: uint8 RGB pixels and, for training alone, float32 labels."""

import os
from pathlib import Path
from typing import Protocol

import numpy as np

from common.core.errors import InputError, listed
from common.core.specs import Plan
from common.data.decode import ImageChanged, ImageError, content_of, decode
from common.data.plan import plan_hash


def read_plan(path: Path, expected_hash: str) -> Plan:
    """A trial's plan from its file. InputError where it is another than the trial was planned with."""
    with np.load(path) as arrays:
        plan = Plan(**{name: arrays[name] for name in arrays.files})
    found = plan_hash(plan)
    if found != expected_hash:
        raise InputError(f"{path} has hash {found}, the trial was planned with {expected_hash}; start the run anew")
    return plan


def image_paths(file: Path) -> np.ndarray:
    """Of every image of the data, from a run's files.npz, which names them as seen from its own folder."""
    with np.load(file) as arrays:
        return np.array([str(file.parent / path) for path in arrays["paths"]])


def image_contents(file: Path) -> np.ndarray | None:
    """uint8 [n, 16]: of every image the hash of what its file held when the run was planned. None in runs of earlier versions."""
    with np.load(file) as arrays:
        return arrays["contents"] if "contents" in arrays.files else None


def changed_images(file: Path) -> str:
    """Which images hold something else than they did when the run was planned, as a sentence; "" where none does."""
    contents = image_contents(file)
    if contents is None:
        return ""
    paths = image_paths(file).tolist()
    changed = [
        os.path.normpath(path) for path, content in zip(paths, contents) if content_of(path) != content.tobytes()
    ]
    if not changed:
        return ""
    return (
        f"{len(changed)} of the {len(paths):,} image files changed or vanished since the run was planned: {listed(changed)}; "
        "start the run anew"
    )


class Source(Protocol):
    """Where a feed's pixels come from, such as a `ChunkStore`."""

    def read(self, rows: np.ndarray, crops: np.ndarray | None) -> np.ndarray:
        """uint8 [len(rows), side, side, 3], in the order of `rows`; crops: float32 [len(rows), 23]."""


class Decoded:
    """The image files, decoded where they are asked for: in the framework's own loader workers.

    contents: of `image_contents`; ImageChanged for a file that holds something else by now. None: it is not looked at.
    """

    def __init__(self, paths: np.ndarray, side: int, contents: np.ndarray | None = None):
        self.paths, self.side, self.contents = paths, side, contents

    def read(self, rows: np.ndarray, crops: np.ndarray | None) -> np.ndarray:
        draws = [()] * len(rows) if crops is None else crops.tolist()
        images = bytearray().join(self._decode(row, draw) for row, draw in zip(rows, draws))
        return np.frombuffer(images, np.uint8).reshape(-1, self.side, self.side, 3)

    def _decode(self, row: int, draw: list[float]) -> bytes:
        try:
            return decode(
                self.paths[row], self.side, draw, b"" if self.contents is None else self.contents[row].tobytes()
            )
        except ImageChanged as error:
            raise ImageChanged(f"{self.paths[row]}: {error}; start the run anew") from None
        except ImageError as error:
            raise ImageError(f"{self.paths[row]}: {error}") from None


class Feed:
    """Positions 0 to images - 1, in the plan's order; batch i holds positions i * batch_size onwards.

    Item and batch are what a step receives: (images, labels, ids) for training; (images,) without labels.

    `labels`: those of `rows`, position by position (a training feed), or None: an adapter never holds a label of
    the validation split. `crops`: float32 [images, 23], those of each visit, or None.
    """

    def __init__(
        self, source: Source, rows: np.ndarray, labels: np.ndarray | None, batch_size: int, workers: int,
        crops: np.ndarray | None = None,
    ):  # fmt: skip
        for what, array in (("labels", labels), ("crops", crops)):
            if array is not None and len(array) != len(rows):
                raise ValueError(f"{len(array)} {what} for {len(rows)} rows")
        self.source, self.rows, self.labels, self.crops = source, rows, labels, crops
        self.batch_size, self.workers = batch_size, workers

    @property
    def images(self) -> int:
        return len(self.rows)

    @property
    def batches(self) -> int:
        """The short last batch is kept."""
        return -(-len(self.rows) // self.batch_size)

    def item(self, position: int) -> tuple[np.ndarray, ...]:
        """uint8 [h, w, 3], float32 [classes] and int64 []."""
        return tuple(array[0] for array in self._slice(slice(position, position + 1)))

    def batch(self, index: int) -> tuple[np.ndarray, ...]:
        """uint8 [n, h, w, 3], float32 [n, classes] and int64 [n], the row numbers."""
        return self._slice(slice(index * self.batch_size, (index + 1) * self.batch_size))

    def _slice(self, here: slice) -> tuple[np.ndarray, ...]:
        pixels = self.source.read(self.rows[here], None if self.crops is None else self.crops[here])
        if self.labels is None:
            return (pixels,)
        return pixels, self.labels[here].astype(np.float32), self.rows[here].astype(np.int64)


class Held:
    """A feed's source in memory."""

    def __init__(self, pixels: np.ndarray):
        self.pixels = pixels

    def read(self, rows: np.ndarray, crops: np.ndarray | None) -> np.ndarray:
        return self.pixels[rows]

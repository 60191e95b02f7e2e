"""The images of a page's figure."""

from pathlib import Path

import numpy as np

from common.core.dataset import Dataset
from common.core.errors import InputError
from common.core.files import write_arrays
from common.data.decode import ImageError, decode

FIRST = 5  # images whose 0/1 rows the page shows
SAMPLES, SAMPLE_SIDE = 12, 160  # images, and their side in pixels


def sample_rows(rows: np.ndarray) -> np.ndarray:
    """A few rows, evenly spread."""
    return rows[np.linspace(0, len(rows) - 1, min(SAMPLES, len(rows))).astype(int)]


def write_samples(file: Path, dataset: Dataset, train_rows: np.ndarray, contents: np.ndarray) -> None:
    """A few training images. A run that is published without its images leaves this file out.

    contents: the hash of each image file, as planned with. InputError where a file has changed since.
    """
    chosen, images = sample_rows(train_rows), []
    for row in chosen:
        path = str(dataset.paths[row])
        try:
            images.append(np.frombuffer(decode(path, SAMPLE_SIDE, content=contents[row].tobytes()), np.uint8))
        except ImageError as error:
            raise InputError(f"'{path}' changed while the run was prepared: {error}; run again") from None
    write_arrays(file, rows=chosen, images=np.stack(images).reshape(-1, SAMPLE_SIDE, SAMPLE_SIDE, 3))

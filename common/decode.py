"""The one decoder, light to import: the store's worker processes start with it and nothing else of ours."""

import hashlib

import numpy as np
from PIL import Image

_block = np.empty(0, np.uint8)  # one buffer per process: fresh memory for every chunk costs as much as hashing it


class ImageError(Exception):
    """A file that Pillow cannot decode."""


def decode(path: str, side: int) -> np.ndarray:
    """Pillow, RGB, bilinear (which antialiases). uint8 [side, side, 3]."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((side, side), Image.BILINEAR))


def fill_chunk(file: str, side: int, start: int, paths: list[str]) -> str:
    """Decode `paths` into rows `start`.. of the store's file; returns the SHA-256 of their pixels."""
    global _block
    shape = (len(paths), side, side, 3)
    if _block.shape != shape:
        _block = np.empty(shape, np.uint8)
    for row, path in enumerate(paths):
        try:
            _block[row] = decode(path, side)
        except (OSError, SyntaxError, ValueError) as error:  # Pillow's words for a broken file
            raise ImageError(f"{path}: {error}") from None
    with open(file, "r+b") as stream:
        stream.seek(start * side * side * 3)
        stream.write(_block.data)
    return hashlib.sha256(_block.data).hexdigest()

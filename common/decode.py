"""The one decoder. Light to import, without NumPy even (0.25 s): the store's worker processes start with it alone."""

import contextlib
import math
import os
from collections.abc import Sequence

import xxhash
from PIL import Image

LARGEST_PIXELS = 100_000_000  # an image that decodes to more (300 MB) is refused: a small file can claim any size
Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit warns at 89 and fails at 179 million; ours does one thing at once
# torchvision's RandomResizedCrop, as the paper's code used it: the crop's share of the area, its aspect ratio
AREA, RATIO, TRIES = (0.08, 1.0), (3 / 4, 4 / 3), 10
DRAWS = 2 * TRIES + 3  # numbers a visit's crop and flip are made of


class ImageError(Exception):
    """A file that cannot be used as an image."""


def crop_box(width: int, height: int, draws: Sequence[float]) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) in pixels, by torchvision's RandomResizedCrop: the first of ten pairs (area, aspect
    ratio) whose box fits, then top and left; the middle of the image where none fits. draws: 22 numbers in [0, 1).
    """
    low, high = (math.log(r) for r in RATIO)
    for share, stretch in zip(draws[0 : 2 * TRIES : 2], draws[1 : 2 * TRIES : 2]):
        area = width * height * (AREA[0] + (AREA[1] - AREA[0]) * share)
        ratio = math.exp(low + (high - low) * stretch)
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            top, left = int(draws[2 * TRIES] * (height - h + 1)), int(draws[2 * TRIES + 1] * (width - w + 1))
            return left, top, left + w, top + h
    w, h = min(width, round(height * RATIO[1])), min(height, round(width / RATIO[0]))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def decode(path: str, side: int, draws: Sequence[float] = ()) -> bytes:
    """Pillow, RGB, bilinear (which antialiases). The bytes of a uint8 [side, side, 3].

    draws: DRAWS numbers in [0, 1), the last for the flip; none: the whole image. ImageError where the file is
    missing, truncated, no image, or larger than 100 million pixels.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height > LARGEST_PIXELS:
                raise ImageError(f"{image.width} x {image.height} pixels, more than {LARGEST_PIXELS:,}")
            whole = image.convert("RGB")
        part = whole.crop(crop_box(*whole.size, draws)) if len(draws) else whole
        small = part.resize((side, side), Image.BILINEAR)
        if len(draws) and draws[-1] < 0.5:
            small = small.transpose(Image.FLIP_LEFT_RIGHT)
        return small.tobytes()
    except FileNotFoundError:
        raise ImageError("no such file") from None
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # broken files make Pillow raise OSError, SyntaxError, ValueError, struct.error, ...
        raise ImageError(str(error).replace(f" {path!r}", "").replace(path, "it") or type(error).__name__) from None


def fill_chunk(file: str, side: int, start: int, paths: list[str]) -> tuple[str, list[tuple[int, str]]]:
    """Decode `paths` into rows `start`.. of the store's file (none: only to see whether they can be). Returns the
    XXH3 hash of their pixels, and the rows that cannot be decoded with the reason; their pixels are 0.

    Each image is hashed and written while it lies in the processor's cache: to write 10,000 of 224 pixels takes .4 s of
    the system so, and 2 s by chunks of 16; to decode them takes 9. XXH3 costs a thousandth of decoding, SHA-256 9 %.
    """
    digest, bad = xxhash.xxh3_128(), []
    image_bytes = side * side * 3
    with open(file, "r+b", buffering=0) if file else contextlib.nullcontext() as stream:
        for row, path in enumerate(paths, start):
            try:
                image = decode(path, side)
            except ImageError as error:
                bad.append((row, str(error)))
                image = bytes(image_bytes)
            digest.update(image)
            written = 0 if stream else image_bytes
            while written < image_bytes:  # a disk that fills up writes a part, and says why at the next try
                written += os.pwrite(stream.fileno(), image[written:], row * image_bytes + written)
    return digest.hexdigest(), bad

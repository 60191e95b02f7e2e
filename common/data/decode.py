"""The one decoder. Light to import, without NumPy even (0.25 s): the store's decoding processes start with it alone."""

import contextlib
import io
import math
import os
import signal
import stat
import warnings
from collections.abc import Sequence

import xxhash
from PIL import Image, UnidentifiedImageError

from common.core.signals import die_with
from common.data import not_images
from common.data.colours import ImageError, rgb

AT_ONCE = 2**28  # bytes of a file that are read into memory; a larger one (it may be no image) is read where it lies
BLOCK = 2**20  # bytes hashed at once
NO_CONTENT = bytes(14)  # begins the hash of a file that cannot be read; two bytes of error number follow
LARGEST_PIXELS = 100_000_000  # an image that decodes to more (300 MB) is refused: a small file can claim any size
Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit warns at 89 and fails at 179 million; ours does one thing at once
# torchvision's RandomResizedCrop, as the paper's code used it: the crop's share of the area, its aspect ratio
AREA, RATIO, TRIES = (0.08, 1.0), (3 / 4, 4 / 3), 10
DRAWS = 2 * TRIES + 3  # numbers a visit's crop and flip are made of


class ImageChanged(ImageError):
    """An image file whose content is not what the run was planned with."""


def content_of(path: str) -> bytes:
    """The 16 bytes of the XXH3 hash of what the file holds, or NO_CONTENT and an error number. A link is what it points to."""
    digest = xxhash.xxh3_128()
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return NO_CONTENT + bytes(2)
        handle = os.open(path, os.O_RDONLY)
        try:
            while block := os.read(handle, BLOCK):
                digest.update(block)
        finally:
            os.close(handle)
    except OSError as error:
        return NO_CONTENT + (error.errno or 0).to_bytes(2, "big")
    except ValueError:  # a path with a NUL
        return NO_CONTENT + bytes(2)
    return digest.digest()


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


def decode(path: str, side: int, draws: Sequence[float] = (), content: bytes = b"") -> bytes:
    """Pillow, upright RGB (common/data/colours.py), bilinear (which antialiases). The bytes of a uint8 [side, side, 3].

    draws: DRAWS numbers in [0, 1), the last for the flip; none: the whole image. content: what `content_of` gave for
    the file; ImageChanged where it gives something else now. ImageError where the file is missing, truncated, no image,
    or larger than 100 million pixels.
    """
    source = _read(path, content)
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            if image.width * image.height > LARGEST_PIXELS:
                raise ImageError(f"{image.width} x {image.height} pixels, more than {LARGEST_PIXELS:,}")
            whole = rgb(image)
        part = whole.crop(crop_box(*whole.size, draws)) if len(draws) else whole
        small = part.resize((side, side), Image.Resampling.BILINEAR)
        if len(draws) and draws[-1] < 0.5:
            small = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return small.tobytes()
    except (ImageError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise ImageError(not_images.reason(*_begin_and_size(source))) from None
    except Exception as error:  # broken files make Pillow raise OSError, SyntaxError, ValueError, struct.error, ...
        said = str(error).replace(f" {path!r}", "").replace(path, "it") or type(error).__name__
        raise ImageError(not_images.cut_off(*_begin_and_size(source)) or said) from None


def _read(path: str, content: bytes) -> bytes | str:
    """The file's bytes, so that those that are checked are those that are decoded; of a very large file its path."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # a pipe would wait for ever
            raise ImageError("a folder, not an image file" if stat.S_ISDIR(status.st_mode) else "not a regular file")
        if status.st_size > AT_ONCE:
            source: bytes | str = path
            found = content_of(path) if content else b""
        else:
            with open(path, "rb", buffering=0) as stream:
                source = data = stream.read()
            found = xxhash.xxh3_128_digest(data) if content else b""
    except FileNotFoundError:
        to = os.readlink(path) if os.path.islink(path) else ""
        raise ImageError(f"a link to '{to}', which does not exist" if to else "no such file") from None
    except NotADirectoryError:
        raise ImageError("no such file: what should be its folder is a file") from None
    except OSError as error:
        raise ImageError(f"it cannot be read: {error.strerror}") from None
    except ValueError as error:  # a path with a NUL
        raise ImageError(f"no such file: {error}") from None
    if found != content:
        raise ImageChanged("its content is not what the run was planned with")
    return source


def _begin_and_size(source: bytes | str) -> tuple[bytes, int]:
    if isinstance(source, bytes):
        return source[: not_images.HEAD], len(source)
    with open(source, "rb") as stream:
        return stream.read(not_images.HEAD), os.fstat(stream.fileno()).st_size


def begin_worker(parent: int) -> None:
    """Set up a decoding process. Ctrl-C is its parent's; after a hard kill of that it would wait for work for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with(parent)
    # Of damage that Pillow can ignore; other damage is an ImageError.
    warnings.filterwarnings("ignore", module=r"PIL\.")


def fill_chunk(
    file: str, side: int, start: int, paths: list[str], contents: Sequence[bytes] = ()
) -> tuple[str, list[tuple[int, str]]]:
    """Decode `paths` into rows `start`.. of the store's file (none: only to see whether they can be). Returns the
    XXH3 hash of their pixels, and the rows that cannot be decoded with the reason; their pixels are 0. contents: the
    hashes of the files; ImageChanged, with the path, where one is another.

    Each image is hashed and written while it is in the processor's cache: to write 10,000 of 224 pixels takes .4 s of
    the system so, and 2 s by chunks of 16; to decode them takes 9. XXH3 costs a thousandth of decoding, SHA-256 9 %.
    """
    digest, bad = xxhash.xxh3_128(), []
    image_bytes = side * side * 3
    with open(file, "r+b", buffering=0) if file else contextlib.nullcontext() as stream:
        for row, (path, content) in enumerate(zip(paths, contents or [b""] * len(paths)), start):
            try:
                image = decode(path, side, (), content)
            except ImageChanged as error:
                raise ImageChanged(f"'{path}': {error}") from None
            except ImageError as error:
                bad.append((row, str(error)))
                image = bytes(image_bytes)
            digest.update(image)
            if stream:
                _write(stream.fileno(), image, row * image_bytes)
    return digest.hexdigest(), bad


def _write(handle: int, data: bytes, offset: int) -> None:
    """A disk that fills up writes a part, and says why at the next try."""
    written = 0
    while written < len(data):
        written += os.pwrite(handle, data[written:], offset + written)

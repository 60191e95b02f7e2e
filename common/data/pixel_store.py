"""Decode and resize once, for all frameworks: a chunk store of uint8 pixels, filled on all cores."""

import contextlib
import hashlib
import multiprocessing
import os
import time
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import __version__ as pillow_version

from common.core.callbacks import Progress, Say, silent
from common.core.errors import InputError
from common.core.files import cache_folder, replacing
from common.core.formatting import size_text
from common.core.locks import locked
from common.core.machine import cores
from common.data import chunk_store
from common.data.chunk_store import FILE, LAYOUT, Checks, Chunk, Layout, Record
from common.data.colours import RULES
from common.data.decode import ImageChanged, begin_worker, content_of, fill_chunk

CHUNK = 16  # images journalled at once
HASHED = 64  # files that a thread hashes at once
CONTENTS = "contents.u8"  # a store's file: the hash of every image file that it was made of
WORTH_TELLING_S = 2.0  # what takes longer is announced
T = TypeVar("T")


def hash_contents(paths: np.ndarray, say: Say = silent, progress: Progress = silent) -> np.ndarray:
    """uint8 [n, 16]: of every image the hash of what its file holds. Size and time do not show that a file was replaced:
    unzip, rsync -t and cp -p keep both.

    5,300 photographs (66 MB) take 0.1 s on two cores where the system has them in its memory; to decode them takes 3 s.
    """
    found, n = np.zeros((len(paths), 16), np.uint8), len(paths)

    def block(start: int) -> None:
        digests = b"".join(map(content_of, paths[start : start + HASHED].tolist()))
        found[start : start + HASHED] = np.frombuffer(digests, np.uint8).reshape(-1, 16)

    what = f"reading {n:,} images to see whether their pixels are stored"
    with ThreadPoolExecutor(cores()) as pool:  # reading and hashing release the GIL
        for _ in _followed(pool.map(block, range(0, n, HASHED)), HASHED, n, what, say, progress):
            pass
    return found


def _followed(results: Iterable[T], each: int, n: int, what: str, say: Say, progress: Progress) -> Iterator[T]:
    """The results, each of so many of n images; from the third second on, say what is being done and show how far it is."""
    began, announced = time.perf_counter(), False
    for number, result in enumerate(results, start=1):
        if time.perf_counter() - began > WORTH_TELLING_S:
            if not announced:
                say(what)
            announced = True
            progress(min(number * each, n), n)
        yield result


def _key(contents: np.ndarray, side: int) -> str:
    """Of a store: what the files hold, in order, and all that decides which pixels are made of it. Where they are does not."""
    digest = hashlib.sha256(f"{side} {pillow_version} {RULES} {LAYOUT}".encode())
    digest.update(contents.data)
    return digest.hexdigest()[:16]


def read_contents(folder: Path) -> np.ndarray:
    """uint8 [n, 16]: what `hash_contents` gave for the images of a store, or of a record without pixels."""
    return np.fromfile(folder / CONTENTS, np.uint8).reshape(-1, 16)


def store(
    name: str, paths: np.ndarray, side: int, say: Say = silent, progress: Progress = silent, keep: bool = True
) -> tuple[Path, Record, int]:
    """The folder with the pixels of `paths`, uint8 [n, side, side, 3], filled if they are not there yet; its record, whose
    missing rows are the images that cannot be decoded; and how many images were decoded now.

    keep=False: everything is decoded once and nothing kept, to know what is missing. InputError where the disk cannot hold
    it, or where a file changes meanwhile. Two runs at once wait for each other.
    """
    kind = "pixels" if keep else "decoded"
    contents = hash_contents(paths, say, progress)
    folder = cache_folder() / kind / f"{name}-{len(paths)}x{side}-{_key(contents, side)}"

    def waiting(waited_s: float) -> None:
        if not waited_s:
            say("another run fills the same pixel store; this one waits")

    with locked(folder, waiting):
        return folder, *fill(folder, paths, contents, side, say, progress, keep)


def fill(
    folder: Path, paths: np.ndarray, contents: np.ndarray, side: int, say: Say = silent, progress: Progress = silent,
    keep: bool = True,
) -> tuple[Record, int]:  # fmt: skip
    """Decode every image whose pixels the folder does not have. Returns the record of all, and how many were decoded.
    contents: of `hash_contents`; InputError where a file has another content when it is decoded."""
    n, size = len(paths), size_text(len(paths) * side * side * 3)
    layout = Layout("uint8", (side, side, 3), np.arange(n), CHUNK, keep)
    done = _usable(folder, layout, paths, say, progress)
    if chunk_store.is_finished(folder):
        if len(done) == layout.chunks:
            return chunk_store.read_record(folder), 0
        say(f"the pixel store at {folder} is not what its images give now; it is filled again")
    with replacing(folder / CONTENTS) as temporary:
        contents.tofile(temporary)
    left = n - layout.count(done)

    def decoded(chunks: list[int]) -> Generator[tuple[int, Chunk], None, None]:
        what = f"decoding {left} images to {side} x {side}"
        say(f"{what}: {size} in {folder}" if keep else f"{what} once, to see whether all of them can be")
        return _decoded(folder / FILE if keep else None, layout, paths, contents, chunks)

    with _input_errors(folder):
        what = f"the pixel store of {n} images at {side} pixels"
        smaller = "fewer images (--limit N), a smaller --image-size"
        return chunk_store.fill(folder, layout, done, decoded, progress, what, smaller), left


def _usable(folder: Path, layout: Layout, paths: np.ndarray, say: Say, progress: Progress) -> dict[int, Chunk]:
    """The finished chunks that are as they were written, and of whose missing images none can be decoded now: a missing right
    to read leaves no trace in a file's time."""
    n = len(paths)

    def follow(checks: Checks) -> Checks:
        return _followed(checks, CHUNK, n, f"checking the pixel store of {n:,} images", say, progress)

    def same(chunk: Chunk) -> bool:
        return all(fill_chunk("", layout.shape[0], row, [paths[row]])[1] for row, _ in chunk.missing)

    return {i: chunk for i, chunk in chunk_store.intact(folder, layout, follow).items() if same(chunk)}


def _decoded(
    file: Path | None, layout: Layout, paths: np.ndarray, contents: np.ndarray, chunks: list[int]
) -> Generator[tuple[int, Chunk], None, None]:
    """Decode the images of these chunks into the file, and give each chunk that is finished. file: None: no pixels are kept."""
    # Processes, not threads: Pillow's decoder holds the GIL (750 images/s on two threads, 810 on one).
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores(), context, begin_worker, (os.getpid(),)) as pool:
        try:
            jobs = {}
            for index in chunks:
                rows = layout.chunk(index)
                hashes = [*map(bytes, contents[rows])]
                job = pool.submit(
                    fill_chunk, str(file or ""), layout.shape[0], int(rows[0]), paths[rows].tolist(), hashes
                )
                jobs[job] = index
            for job, index in jobs.items():
                digest, missing = job.result()
                yield index, Chunk(digest, tuple(missing))
        finally:
            pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _input_errors(folder: Path) -> Iterator[None]:
    """InputError, with what to do, for what stops a fill."""
    try:
        yield
    except BrokenProcessPool as error:
        raise InputError(
            "a decoding process was killed (often: no memory); run again, it goes on from there"
        ) from error
    except ImageChanged as error:
        raise InputError(
            f"an image changed while the images were decoded ({error}); run again when no program writes to them"
        ) from error
    except (OSError, MemoryError) as error:
        raise InputError(
            f"the pixel store in {folder} cannot be written: {error or 'no memory'}; run again, it goes on from there"
        ) from error

"""Decode and resize once, for all frameworks: a uint8 store on disk, filled on all cores, read row by row."""

import contextlib
import hashlib
import json
import multiprocessing
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import xxhash
from PIL import __version__ as pillow_version

from common.core.errors import InputError, readable
from common.core.files import cache_folder, need_space, read_json, replacing, write_json
from common.core.formatting import size_text
from common.core.locks import locked
from common.core.machine import cores
from common.core.signals import die_with
from common.data.array_file import Rows
from common.data.colours import RULES
from common.data.decode import ImageChanged, content_of, fill_chunk

CHUNK = 16  # images journalled at once
HASHED = 64  # files that a thread hashes at once
LAYOUT = 3  # of a store's files: raise it when they change, and older stores are not used
CONTENTS = "contents.u8"  # a store's file: the hash of every image file that it was made of
WORTH_TELLING_S = 2.0  # what takes longer is announced
Say = Callable[[str], None]
Progress = Callable[[int, int], None]
T = TypeVar("T")


def _silent(*_: object) -> None: ...


def hash_contents(paths: np.ndarray, say: Say = _silent, progress: Progress = _silent) -> np.ndarray:
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
    """The results, each of so many of n images; from the third second on it is told what is being done, and how far it is."""
    began, told = time.perf_counter(), False
    for number, result in enumerate(results, start=1):
        if time.perf_counter() - began > WORTH_TELLING_S:
            if not told:
                say(what)
            told = True
            progress(min(number * each, n), n)
        yield result


def _key(contents: np.ndarray, side: int) -> str:
    """Of a store: what the files hold, in order, and all that decides which pixels are made of it. Where they lie does not."""
    digest = hashlib.sha256(f"{side} {pillow_version} {RULES} {LAYOUT}".encode())
    digest.update(contents.data)
    return digest.hexdigest()[:16]


def read_contents(folder: Path) -> np.ndarray:
    """uint8 [n, 16]: what `hash_contents` gave for the images of a store, or of a record without pixels."""
    return np.fromfile(folder / CONTENTS, np.uint8).reshape(-1, 16)


class PixelStore:
    """uint8 [n, side, side, 3] in one file."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.meta = read_json(self.folder / "store.json")
        side = self.meta["side"]
        self.read = Rows(self.folder / "pixels.u8", "uint8", (side, side, 3)).read

    @property
    def hash(self) -> str:
        return self.meta["hash"]

    def verify(self, say: Say = _silent, progress: Progress = _silent) -> bool:
        """Whether every chunk still has the hash it was written with; all cores."""
        chunks, n = self.meta["chunks"], self.meta["images"]

        def same(index: int) -> bool:
            block = self.read(np.arange(index * CHUNK, min((index + 1) * CHUNK, n)))
            return xxhash.xxh3_128_hexdigest(block.data) == chunks[index]

        with ThreadPoolExecutor(cores()) as pool:  # reading and hashing release the GIL
            results, what = pool.map(same, range(len(chunks))), f"checking the pixel store of {n:,} images"
            return all(_followed(results, CHUNK, n, what, say, progress))


def store(
    name: str, paths: np.ndarray, side: int, say: Say = _silent, progress: Progress = _silent, keep: bool = True
) -> tuple[Path, dict[str, Any], int]:  # fmt: skip
    """The folder with the pixels of `paths` at `side`, filled if they are not there yet; what its store.json says: "bad" are
    the rows that cannot be decoded, with the reason, whose pixels are 0; and how many images were decoded now.

    It goes on where a kill stopped it: each finished chunk is journalled with its hash, so only chunks without an
    entry are decoded again; what was there before is checked against its hash. keep=False: everything is decoded
    once and nothing kept, to know what is bad. InputError where the disk cannot hold it, or where a file changes
    meanwhile. Two runs at once wait for each other.
    """
    kind = "pixels" if keep else "decoded"
    contents = hash_contents(paths, say, progress)
    folder = cache_folder() / kind / f"{name}-{len(paths)}x{side}-{_key(contents, side)}"

    def waiting(waited_s: float) -> None:
        if not waited_s:
            say("another run fills the same pixel store; this one waits")

    decoded = 0
    with locked(folder, waiting):
        for _ in range(2):
            earlier = (folder / "store.json").exists() or (folder / "journal.jsonl").exists()
            if not (folder / "store.json").exists():
                decoded += fill(name, paths, side, folder, say, progress, keep, contents)
            if not earlier or _as_it_was(folder, paths, side, say, progress, keep):
                break
            say(f"the pixel store at {folder} is not what its images give now; it is filled again")
            for file in ("store.json", "journal.jsonl"):
                (folder / file).unlink(missing_ok=True)
    return folder, read_json(folder / "store.json"), decoded


def _as_it_was(folder: Path, paths: np.ndarray, side: int, say: Say, progress: Progress, keep: bool) -> bool:
    """Whether the store can be read, holds what was written, and no image that could not be decoded can be now: a missing
    right to read leaves no trace in a file's time."""
    try:
        with readable(f"the pixel store at {folder}"):
            bad = read_json(folder / "store.json")["bad"]
            still_bad = all(fill_chunk("", side, row, [paths[row]])[1] for row, _ in bad)
            return still_bad and (not keep or PixelStore(folder).verify(say, progress))
    except InputError:
        return False


def fill(
    name: str, paths: np.ndarray, side: int, folder: Path, say: Say, progress: Progress, keep: bool = True,
    contents: np.ndarray | None = None,
) -> int:  # fmt: skip
    """Decode every image that the folder's journal does not have, then write store.json over all of them. Returns how many
    were decoded. contents: of `hash_contents`; InputError where a file has another content when it is decoded."""
    contents = hash_contents(paths) if contents is None else contents
    with replacing(folder / CONTENTS) as temporary:
        contents.tofile(temporary)
    n, journal, file = len(paths), folder / "journal.jsonl", folder / "pixels.u8"
    done = _journalled(journal) if file.exists() or not keep else {}
    starts = [s for s in range(0, n, CHUNK) if s not in done]
    finished = n - sum(min(CHUNK, n - s) for s in starts)
    left = n - finished
    image_bytes = side * side * 3
    words = f"decoding {left} images to {side} x {side}"
    if keep:
        what = f"the pixel store of {n} images at {side} pixels"
        need_space(folder, left * image_bytes, what, "fewer images (--limit N), a smaller --image-size")
        with open(file, "ab") as stream:
            stream.truncate(n * image_bytes)
        say(f"{words}: {size_text(n * image_bytes)} in {folder}")
    else:
        say(f"{words} once, to see whether all of them can be")
    # Processes, not threads: Pillow's decoder holds the GIL (750 images/s on two threads, 810 on one).
    context = multiprocessing.get_context("spawn")
    try:
        with (
            ProcessPoolExecutor(cores(), context, _begin, (os.getpid(),)) as pool,
            open(journal, "a", encoding="utf-8") as log,
        ):
            chunks = {s: paths[s : s + CHUNK].tolist() for s in starts}
            hashes = {s: [*map(bytes, contents[s : s + CHUNK])] for s in starts}
            where = str(file) if keep else ""
            jobs = {pool.submit(fill_chunk, where, side, s, chunks[s], hashes[s]): s for s in starts}
            try:
                for job, start in jobs.items():
                    done[start] = job.result()
                    log.write(json.dumps([start, *done[start]]) + "\n")
                    log.flush()
                    finished += len(chunks[start])
                    progress(finished, n)
            finally:
                pool.shutdown(cancel_futures=True)
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
    hashes = [done[s][0] for s in range(0, n, CHUNK)]
    whole = hashlib.sha256("".join(hashes).encode()).hexdigest()
    bad = [item for s in range(0, n, CHUNK) for item in done[s][1]]
    meta = {"images": n, "side": side, "hash": whole, "chunks": hashes, "pillow": pillow_version, "bad": bad}
    write_json(folder / "store.json", meta)
    return left


def _begin(parent: int) -> None:
    """Of a decoding process. Ctrl-C is its parent's; after a hard kill of that it would wait for work for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with(parent)
    warnings.filterwarnings(
        "ignore", module=r"PIL\."
    )  # of damage that Pillow can ignore; other damage is an ImageError


def _journalled(journal: Path) -> dict[int, tuple[str, list]]:
    """Chunks already decoded, with hash and bad rows; a half-written last line is not one of them."""
    done: dict[int, tuple[str, list]] = {}
    for line in journal.read_text(encoding="utf-8").splitlines() if journal.exists() else ():
        with contextlib.suppress(ValueError):
            start, chunk_hash, bad = json.loads(line)
            done[start] = (chunk_hash, bad)
    return done

"""Decode and resize once, for all frameworks: a memory-mapped uint8 store on disk, filled on all cores."""

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import __version__ as pillow_version

from common.decode import fill_chunk
from common.errors import InputError
from common.files import cache_folder, need_space, read_json, size_text, write_json
from common.types import Dataset

CHUNK = 16  # images decoded, hashed and journalled at once; 16 stay in the cache until they are written


def _open(folder: Path, n: int, side: int, mode: str) -> np.memmap:
    return np.memmap(folder / "pixels.u8", np.uint8, mode, shape=(n, side, side, 3))


def _fingerprint(dataset: Dataset, side: int) -> tuple[str, int]:
    """A key over ids, file sizes, modification times, side and Pillow's version; and the images' bytes."""
    digest = hashlib.sha256(f"{side} {pillow_version}".encode())
    total = 0
    missing = []
    for image, path in zip(dataset.ids, dataset.paths):
        try:
            stat = os.stat(path)
        except OSError:
            missing.append(str(image))
            continue
        total += stat.st_size
        digest.update(f"{image} {path} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    if missing:
        raise InputError(
            f"{len(missing)} of {len(dataset)} images of '{dataset.name}' are not in their folder: "
            f"{', '.join(missing[:20])}{' ...' if len(missing) > 20 else ''}; restore them, or take rows off the table"
        )
    return digest.hexdigest()[:16], total


class PixelStore:
    """uint8 [n, side, side, 3] on disk, read as memory that the system may drop again."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.meta = read_json(self.folder / "store.json")
        self.pixels = _open(self.folder, self.meta["images"], self.meta["side"], "r")

    @property
    def hash(self) -> str:
        return self.meta["sha256"]

    def verify(self) -> bool:
        """Whether every chunk still has the hash it was written with; all cores."""
        chunks = self.meta["chunks"]

        def same(index: int) -> bool:
            block = self.pixels[index * CHUNK : (index + 1) * CHUNK]
            return hashlib.sha256(np.ascontiguousarray(block).data).hexdigest() == chunks[index]

        with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashlib releases the GIL
            return all(pool.map(same, range(len(chunks))))


def store(
    dataset: Dataset,
    side: int,
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> PixelStore:
    """The dataset's pixels at `side`, filled if they are not there yet; goes on where a kill stopped it.

    Each finished chunk is journalled with its hash, so only chunks without an entry are decoded again.
    InputError where the disk cannot hold the store or an image cannot be decoded.
    """
    key, _ = _fingerprint(dataset, side)
    folder = cache_folder() / "pixels" / f"{dataset.name}-{len(dataset)}x{side}-{key}"
    if (folder / "store.json").exists():
        ready = PixelStore(folder)
        if ready.verify():
            return ready
        say(f"the pixel store at {folder} does not have the hash it was written with; it is filled again")
        for name in ("store.json", "journal.jsonl"):
            (folder / name).unlink(missing_ok=True)
    fill(dataset, side, folder, say, progress)
    return PixelStore(folder)


def fill(
    dataset: Dataset, side: int, folder: Path, say: Callable[[str], None], progress: Callable[[int, int], None]
) -> None:
    """Decode every image that the folder's journal does not have, then write store.json over all of them."""
    n = len(dataset)
    wanted = n * side * side * 3
    journal = folder / "journal.jsonl"
    done = _journalled(journal)
    file = folder / "pixels.u8"
    if not file.exists():
        need_space(folder, wanted, f"the pixel store of {n} images at {side} pixels")
        _open(folder, n, side, "w+").flush()
        done = {}
    starts = [s for s in range(0, n, CHUNK) if s not in done]
    say(f"decoding {n} images to {side} x {side}: {size_text(wanted)} in {folder}")
    finished = n - sum(min(CHUNK, n - s) for s in starts)
    # Processes, not threads: Pillow's decoder holds the GIL (750 images/s on two threads, 810 on one).
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool, open(journal, "a") as log:
        jobs = {pool.submit(fill_chunk, str(file), side, s, dataset.paths[s : s + CHUNK].tolist()): s for s in starts}
        try:
            for job, start in jobs.items():
                done[start] = job.result()
                log.write(json.dumps([start, done[start]]) + "\n")
                log.flush()
                finished += min(CHUNK, n - start)
                progress(finished, n)
        except OSError as error:
            raise InputError(f"an image of '{dataset.name}' cannot be decoded: {error}; mend or remove it") from error
        finally:
            pool.shutdown(cancel_futures=True)
    chunks = [done[s] for s in range(0, n, CHUNK)]
    whole = hashlib.sha256("".join(chunks).encode()).hexdigest()
    write_json(
        folder / "store.json",
        {"images": n, "side": side, "sha256": whole, "chunks": chunks, "pillow": pillow_version},
    )


def _journalled(journal: Path) -> dict[int, str]:
    """Chunks already written; a half-written last line is not one of them."""
    done: dict[int, str] = {}
    if journal.exists():
        for line in journal.read_text().splitlines():
            try:
                start, chunk_hash = json.loads(line)
                done[start] = chunk_hash
            except ValueError:
                continue
    return done

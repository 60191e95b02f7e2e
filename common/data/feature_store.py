"""The feature store: what a model's frozen part makes of every image, once, on disk; read like pixels."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from common.core.errors import InputError
from common.core.files import need_space, read_json, write_json
from common.core.hashing import hash_arrays
from common.core.locks import locked
from common.data.array_file import Rows

CHUNK = 256  # images journalled at once
FILE, JOURNAL = "features.bin", "journal.json"
LAYOUT = 1  # of a store's files: raise it when they change, and older stores are not used


def key(**parts: Any) -> str:
    """A store's name: 20 hex digits over all that its content depends on."""
    return xxhash.xxh3_128_hexdigest(json.dumps(parts | {"layout": LAYOUT}, sort_keys=True).encode())[:20]


class FeatureStore:
    """dtype [n, *shape] in one file, row by row as the data set's; rows that were not asked for are not there."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.meta = read_json(self.folder / "store.json")
        self._rows = Rows(self.folder / FILE, self.meta["dtype"], tuple(self.meta["shape"]))

    def read(self, rows: np.ndarray, crops: np.ndarray | None = None) -> np.ndarray:
        """[len(rows), *shape], in the order of `rows`: a feed's source."""
        if crops is not None:
            raise ValueError("features are of whole images")
        return self._rows.read(rows)

    def __getstate__(self) -> Path:
        return self.folder

    def __setstate__(self, folder: Path) -> None:
        self.__init__(folder)  # in a loader worker: the file is opened anew


def complete(folder: Path, rows: np.ndarray) -> bool:
    """Whether the store holds these rows as they were written."""
    try:
        store = FeatureStore(folder)
        chunks = store.meta["chunks"]
        return all(_hash(store.read(block)) == chunks[i] for i, block in enumerate(_blocks(rows)))
    except (OSError, ValueError, KeyError, IndexError):
        return False


def begun(folder: Path) -> bool:
    """Whether a store was begun there and not completed."""
    return (folder / JOURNAL).exists()


def fill(
    folder: Path, rows: np.ndarray, total: int, compute: Callable[[np.ndarray], Iterable[np.ndarray]], shape: tuple[int, ...],
    dtype: str, progress: Callable[[int, int], None], waiting: Callable[[float], None] = lambda waited_s: None,
) -> int:  # fmt: skip
    """Compute the features of `rows` (of `total`) and keep them; goes on where a kill stopped it. Returns how many images
    were computed now; 0 where another process has completed the store.

    compute: row numbers [k] -> dtype [k, *shape], in parts. waiting: told while another process fills it. InputError where the disk cannot hold them, or where a value is
    beyond what the dtype holds.
    """
    with locked(folder, waiting):
        if complete(folder, rows):
            return 0
        (folder / "store.json").unlink(missing_ok=True)  # damaged, if there
        journal, file, row_bytes = (
            folder / JOURNAL,
            folder / FILE,
            np.dtype(dtype).itemsize * int(np.prod(shape)),
        )
        chunks = _journalled(journal, file, rows, shape, dtype)
        done = min(len(chunks) * CHUNK, len(rows))
        what = f"the feature store of {len(rows)} images"
        need_space(folder, (len(rows) - done) * row_bytes, what, "fewer images (--limit N), or --lane default")
        computed, of = len(rows) - done, hash_arrays(rows)
        with open(file, "r+b" if file.exists() else "w+b") as stream:
            stream.truncate(total * row_bytes)
            for block in list(_blocks(rows))[len(chunks) :]:
                digest, at = xxhash.xxh3_128(), 0
                for part in compute(block):  # looked at and written while it lies in the processor's cache
                    if not _finite(part):
                        raise InputError(
                            "the frozen part's output is not finite; take other weights"
                            if dtype == "float32"
                            else f"features are not finite, or beyond what {dtype} holds; take --features float32"
                        )
                    for row, values in zip(block[at:], part):
                        stream.seek(int(row) * row_bytes)
                        stream.write(values.data)
                    digest.update(part.data)
                    at += len(part)
                stream.flush()
                chunks.append(digest.hexdigest())
                done += len(block)
                write_json(journal, {"rows": of, "chunks": chunks})
                progress(done, len(rows))
        meta = {"dtype": dtype, "shape": list(shape), "rows": len(rows), "chunks": chunks}
        write_json(folder / "store.json", meta)
        journal.unlink()
    return computed


def _blocks(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[at : at + CHUNK] for at in range(0, len(rows), CHUNK)]


def _finite(block: np.ndarray) -> bool:
    if block.dtype != np.float16:
        return bool(np.isfinite(block).all())
    exponents = block.view(np.uint16) & 0x7C00  # of a [14, 14, 1024] in .02 ms; isfinite takes .28
    return bool((exponents != 0x7C00).all())


def _hash(block: np.ndarray) -> str:
    return xxhash.xxh3_128_hexdigest(block.data)


def _journalled(journal: Path, file: Path, rows: np.ndarray, shape: tuple[int, ...], dtype: str) -> list[str]:
    """The hashes of the first chunks that are there as they were written."""
    if not (journal.exists() and file.exists()):
        return []
    said = read_json(journal)
    if said["rows"] != hash_arrays(rows):
        return []
    there, found = Rows(file, dtype, shape), []
    for block, written in zip(_blocks(rows), said["chunks"]):
        if _hash(there.read(block)) != written:
            break
        found.append(written)
    return found

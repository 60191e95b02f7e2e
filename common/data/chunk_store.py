"""An array on disk that is filled chunk by chunk: a fill goes on where a kill stopped it, and every chunk has its hash.

array.bin      the rows, in C order
journal.jsonl  while it is filled: the index, hash and missing rows of each finished chunk
store.json     from the end of the fill on: `Record`
"""

import hashlib
import json
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xxhash
from pydantic import BaseModel

from common.core.callbacks import Progress
from common.core.files import need_space, write_text
from common.core.machine import cores

FILE, JOURNAL, RECORD = "array.bin", "journal.jsonl", "store.json"
LAYOUT = 4  # of a store's files, a part of every store's name: raise it when they change, and older stores are not used


class Chunk(NamedTuple):
    """A finished chunk."""

    hash: str  # XXH3 of its rows, 32 hex digits
    missing: tuple[tuple[int, str], ...] = ()  # rows that could not be made, which are 0, and why


class Record(BaseModel, frozen=True):
    """What a finished store holds."""

    dtype: str
    shape: tuple[int, ...]  # of one row
    rows: int  # how many it holds
    chunks: tuple[Chunk, ...]

    @property
    def hash(self) -> str:
        """SHA-256 over the hashes of the chunks, in hex."""
        return hashlib.sha256("".join(chunk.hash for chunk in self.chunks).encode()).hexdigest()

    @property
    def missing(self) -> dict[int, str]:
        """The rows that could not be made, and why."""
        return {row: why for chunk in self.chunks for row, why in chunk.missing}


@dataclass(frozen=True)
class Layout:
    """What a store is to hold."""

    dtype: str
    shape: tuple[int, ...]  # of one row
    rows: np.ndarray  # int [n]: the numbers of the rows, ascending
    chunk_rows: int
    kept: bool = True  # False: no array is written, the hashes alone are wanted

    @property
    def chunks(self) -> int:
        return -(-len(self.rows) // self.chunk_rows)

    @property
    def row_bytes(self) -> int:
        return np.dtype(self.dtype).itemsize * int(np.prod(self.shape))

    def chunk(self, index: int) -> np.ndarray:
        """The row numbers of a chunk."""
        return self.rows[index * self.chunk_rows : (index + 1) * self.chunk_rows]

    def count(self, chunks: Iterable[int]) -> int:
        """The number of rows of these chunks."""
        return sum(len(self.chunk(index)) for index in chunks)


Make = Callable[[list[int]], Generator[tuple[int, Chunk], None, None]]
Checks = Iterable[tuple[int, bool]]  # a chunk's index, and whether it is as it was written


class Rows:
    """A C-ordered array in a file, read row by row. Not mapped: mapped pages would count as the reader's memory, which
    would then grow with the data set."""

    def __init__(self, path: Path, dtype: str, shape: tuple[int, ...]):
        self._path, self._dtype, self._shape = path, np.dtype(dtype), tuple(shape)
        self._row_bytes = self._dtype.itemsize * int(np.prod(shape))
        self._file = open(path, "rb", buffering=0)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """[len(rows), *shape], in the order of `rows`. Safe in several threads at once. OSError where the file is shorter."""
        block = np.empty((len(rows), self._row_bytes), np.uint8)
        for place, row in zip(block, rows):
            if os.preadv(self._file.fileno(), [place.data], int(row) * self._row_bytes) != self._row_bytes:
                raise OSError(f"{self._path} ends before row {row}; remove its folder, and it is filled again")
        return block.view(self._dtype).reshape(len(rows), *self._shape)


class ChunkStore:
    """A finished store, as the source of a feed. Pickled, e.g. for a loader's worker, it is opened anew."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.record = read_record(self.folder)
        self._rows = Rows(self.folder / FILE, self.record.dtype, self.record.shape)

    def read(self, rows: np.ndarray, crops: np.ndarray | None = None) -> np.ndarray:
        """[len(rows), *shape], in the order of `rows`. Safe in several threads at once."""
        if crops is not None:
            raise ValueError("a store is of whole images; crops are decoded from the files")
        return self._rows.read(rows)

    def __reduce__(self) -> tuple[type["ChunkStore"], tuple[Path]]:
        return type(self), (self.folder,)


def read_record(folder: Path) -> Record:
    """OSError or ValueError where the store is not finished, or its record damaged."""
    return Record.model_validate_json((folder / RECORD).read_bytes())


def is_finished(folder: Path) -> bool:
    return (folder / RECORD).exists()


def is_begun(folder: Path) -> bool:
    """Whether a fill was stopped there."""
    return (folder / JOURNAL).exists()


def save(folder: Path, array: np.ndarray) -> Path:
    """Write an array as a finished store of all its rows. Returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    array.tofile(folder / FILE)
    record = Record(dtype=str(array.dtype), shape=array.shape[1:], rows=len(array), chunks=(Chunk(hash_of(array)),))
    write_text(folder / RECORD, record.model_dump_json())
    return folder


def hash_of(block: np.ndarray) -> str:
    """XXH3 of C-ordered values, 32 hex digits."""
    return xxhash.xxh3_128_hexdigest(block.data)


def intact(folder: Path, layout: Layout, follow: Callable[[Checks], Checks] = iter) -> dict[int, Chunk]:
    """The finished chunks whose rows still have the hash that they were written with. follow: gets the checks as they are
    made, e.g. to show how far they are, and passes them on."""
    chunks = {index: chunk for index, chunk in _recorded(folder).items() if index < layout.chunks}
    return {index: chunks[index] for index, same in follow(_checked(folder, layout, chunks)) if same}


def fill(
    folder: Path, layout: Layout, done: dict[int, Chunk], make: Make, progress: Progress, what: str,
    smaller: str,
) -> Record:  # fmt: skip
    """Make the chunks that are not done, and write the record of all. The folder is this process's alone.

    make: indices of chunks -> each chunk once its rows are written, in any order. progress: called with the rows done and
    all. InputError where the disk cannot hold them; what, smaller: as in `need_space`.
    """
    n, finished = len(layout.rows), layout.count(done)
    if layout.kept:
        need_space(folder, (n - finished) * layout.row_bytes, what, smaller)
        with open(folder / FILE, "ab") as stream:
            stream.truncate((int(layout.rows.max(initial=-1)) + 1) * layout.row_bytes)
    write_text(folder / JOURNAL, "".join(_line(index, chunk) for index, chunk in done.items()))
    (folder / RECORD).unlink(missing_ok=True)
    left = [index for index in range(layout.chunks) if index not in done]
    done = dict(done)
    with open(folder / JOURNAL, "a", encoding="utf-8") as journal, closing(make(left)) as made:
        for index, chunk in made:
            done[index] = chunk
            journal.write(_line(index, chunk))
            journal.flush()
            finished += len(layout.chunk(index))
            progress(finished, n)
    chunks = tuple(done[index] for index in range(layout.chunks))
    record = Record(dtype=layout.dtype, shape=layout.shape, rows=n, chunks=chunks)
    write_text(folder / RECORD, record.model_dump_json())
    (folder / JOURNAL).unlink()
    return record


def _line(index: int, chunk: Chunk) -> str:
    return json.dumps([index, *chunk]) + "\n"


def _recorded(folder: Path) -> dict[int, Chunk]:
    """The chunks that the record, or else the journal, calls finished; none where it is damaged."""
    with suppress(OSError, ValueError):
        return dict(enumerate(read_record(folder).chunks))
    found = {}
    with suppress(OSError, UnicodeDecodeError):
        for line in (folder / JOURNAL).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, TypeError):  # a line that a kill cut off
                index, digest, missing = json.loads(line)
                found[int(index)] = Chunk(digest, tuple((row, why) for row, why in missing))
    return found


def _checked(folder: Path, layout: Layout, chunks: dict[int, Chunk]) -> Iterator[tuple[int, bool]]:
    """Whether each chunk has its hash, read on all cores: reading and hashing release the GIL."""
    if not layout.kept or not (folder / FILE).exists():
        yield from ((index, not layout.kept) for index in chunks)
        return
    rows = Rows(folder / FILE, layout.dtype, layout.shape)

    def same(index: int) -> bool:
        with suppress(OSError):  # the file is too short
            return hash_of(rows.read(layout.chunk(index))) == chunks[index].hash
        return False

    with ThreadPoolExecutor(cores()) as pool:
        yield from zip(chunks, pool.map(same, chunks))

"""Reading and writing files so that a kill leaves the old file or the new one, never half of one."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from common.errors import InputError
from common.words import size_text

PROJECT = Path(__file__).resolve().parent.parent
LEFT = re.compile(r"\..+\.[a-z0-9_]{8}(\.[^.]*)?")  # a temporary file's name, as mkstemp makes it
CACHE = "FRAMEWORK_BENCH_CACHE"
POLL_S = 2.0  # of a folder that another process has


def cache_folder() -> Path:
    """Where data that can be made again lies (FRAMEWORK_BENCH_CACHE, or .cache in the project)."""
    return Path(os.environ.get(CACHE) or PROJECT / ".cache")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


_held: list[IO[str]] = []  # open, and so locked, until the process ends


def hold(folder: Path, through_exec: bool = False) -> None:
    """Keep the folder to this process as long as it lives, or to what it execs into too. InputError where another has it."""
    stream = open(folder / ".lock", "w", encoding="utf-8")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        raise InputError(f"'{folder}' is being run by another process; wait until it has ended") from None
    os.set_inheritable(stream.fileno(), through_exec)
    _held.append(stream)


def use_cache(through_exec: bool = False) -> None:
    """As long as this process lives, or what it execs into too, `prune` takes nothing out of the cache: between trials no file
    of it is open."""
    stream = _cache_lock()
    fcntl.flock(stream, fcntl.LOCK_SH)  # waits for a `prune` that removes things now
    os.set_inheritable(stream.fileno(), through_exec)
    _held.append(stream)


@contextlib.contextmanager
def cache_to_itself() -> Iterator[bool]:
    """Whether no run uses the cache; if so, one that begins waits until the block ends."""
    with _cache_lock() as stream:
        yield _taken(stream)


def _cache_lock() -> IO[str]:
    """InputError where the cache cannot be written, e.g. on a read-only disk."""
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        return open(cache_folder() / ".in-use", "w", encoding="utf-8")
    except OSError as error:
        raise InputError(os_error_text(error)) from None


def os_error_text(error: OSError) -> str:
    """The system's own words; of the cache, with the variable that puts it elsewhere."""
    names = [Path(os.fsdecode(name)) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    if not any(name.absolute().is_relative_to(cache_folder().absolute()) for name in names):
        return str(error)
    return (
        f"the cache folder '{cache_folder()}' cannot be written ({error.strerror}: '{names[0]}'); decoded images and converted "
        f"weights go there: set {CACHE} to a folder that can be written"
    )


def check_writable(folder: Path, flag: str) -> None:
    """InputError where the folder cannot be made, or cannot be written; it is not made here. flag: that names another."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise InputError(f"{flag} {folder}: Not a directory: '{there}'; name a folder that can be written")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{flag} {folder}: '{there}' cannot be written; name a folder that can be written")


def sweep(folder: Path) -> None:
    """Remove what `replacing` leaves beside a file where a hard kill ends it. The folder is this process's own."""
    for path in folder.glob(".*.*"):
        if LEFT.fullmatch(path.name):
            path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def to_json(value: Any) -> str:
    """Stable text: sorted keys, indented, NumPy numbers as plain ones."""

    def plain(x: Any) -> Any:
        if isinstance(x, np.generic):
            return x.item()
        if isinstance(x, np.ndarray):
            return x.tolist()
        return str(x)

    return json.dumps(value, indent=1, sort_keys=True, default=plain, ensure_ascii=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    write_text(path, to_json(value))


def read_json(path: Path) -> Any:
    """The file's value. UTF-8, or what Windows' editors and shells write: a byte order mark, UTF-16."""
    return json.loads(path.read_bytes())


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    with replacing(path) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, **arrays)


def hash_arrays(*arrays: np.ndarray) -> str:
    """16 hex digits over dtype, shape and bytes of each array."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data if array.size else b"")
    return digest.hexdigest()[:16]


class Rows:
    """A C-ordered array in a file, read row by row. Not mapped: mapped pages would count as the reader's memory, which
    would then grow with the data set."""

    def __init__(self, path: Path, dtype: str, shape: tuple[int, ...]):
        self._path, self._dtype, self._shape = path, np.dtype(dtype), tuple(shape)
        self._row_bytes = self._dtype.itemsize * int(np.prod(shape))
        self._file = open(path, "rb", buffering=0)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """[len(rows), *shape], in the order of `rows`. Safe in several threads at once."""
        block = np.empty((len(rows), self._row_bytes), np.uint8)
        for place, row in zip(block, rows):
            if os.preadv(self._file.fileno(), [place], int(row) * self._row_bytes) != self._row_bytes:
                raise OSError(f"{self._path} ends before row {row}; remove its folder, and it is filled again")
        return block.view(self._dtype).reshape(len(rows), *self._shape)


@contextlib.contextmanager
def locked(folder: Path, waiting: Callable[[float], None] = lambda waited_s: None) -> Iterator[None]:
    """The folder, made if need be, to this process alone; others wait, and are told so at once and every few seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w", encoding="utf-8") as lock:
        waited_s = 0.0
        while not _taken(lock):
            waiting(waited_s)
            time.sleep(POLL_S)
            waited_s += POLL_S
        yield


def _taken(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def hash_file(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_weights(path: Path) -> str:
    """SHA-256 over a safetensors file with its header sorted: the format's own writer leaves the order of the metadata
    to chance, so that equal files had other hashes in every clone. Any other file: as `hash_file`."""
    with open(path, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        try:
            header = json.dumps(json.loads(stream.read(length)), sort_keys=True)
        except (ValueError, MemoryError, OverflowError):
            return hash_file(path)
        digest = hashlib.sha256(header.encode())
        while block := stream.read(2**22):
            digest.update(block)
    return digest.hexdigest()


def need_space(folder: Path, wanted_bytes: int, what: str, smaller: str = "") -> None:
    """InputError where the disk under `folder` cannot hold `wanted_bytes` and 5 % more. smaller: what would take less."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < wanted_bytes * 1.05:
        raise InputError(
            f"{what} needs {size_text(wanted_bytes)} in {folder}, where {size_text(free)} are free; "
            + (f"take {smaller}, or " if smaller else "")
            + "set FRAMEWORK_BENCH_CACHE to a larger disk"
        )

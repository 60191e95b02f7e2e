"""Reading and writing files so that a kill leaves the old file or the new one, never half of one."""

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from common.core.errors import InputError
from common.core.formatting import size_text

PROJECT = Path(__file__).resolve().parents[2]
LEFT = re.compile(r"\..+\.[a-z0-9_]{8}(\.[^.]*)?")  # a temporary file's name, as mkstemp makes it
CACHE = "FRAMEWORK_BENCH_CACHE"


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
        np.savez_compressed(stream, allow_pickle=False, **arrays)


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

"""What runs left that can be made again: where it lies, how large it is, and its removal."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from common.core.files import cache_folder
from common.core.locks import is_held
from common.process.trial_files import CHECKPOINT, TUNING


@dataclass(frozen=True)
class Kind:
    """One sort of what can be made again."""

    what: str
    again: str  # what it takes to have it again
    patterns: tuple[str, ...]
    cached: bool = True  # in the cache; else in the run folders


KINDS = {
    "pixels": Kind("images decoded once", "the next run decodes them", ("pixels/*", "decoded/*")),
    "features": Kind("what frozen parts made of images", "the next tuned trial computes them", ("features/*",)),
    "weights": Kind("weights in the harness's own form", "the next run converts them", ("weights/*",)),
    "parity": Kind("tensors of gates that were killed", "the next gate computes them", ("parity/*",)),
    "demo": Kind("the images of the demo", "the next run draws them", ("demo-*",)),
    "checkpoints": Kind("states of stopped trials", "--resume begins those trials anew", (f"trials/*/{CHECKPOINT}", f"trials/*/{TUNING}"), False),
}  # fmt: skip
DEFAULT = tuple(name for name, kind in KINDS.items() if kind.cached)  # a checkpoint holds hours of somebody's work


@dataclass(frozen=True)
class Left:
    """What there is of one kind."""

    kind: str
    free: tuple[Path, ...]
    used: tuple[Path, ...]  # by a process, now
    size_bytes: int  # of what is free


def left(results: Path, kinds: tuple[str, ...] = tuple(KINDS), cache_used: bool = False) -> list[Left]:
    """What each kind holds in the cache, or in the runs of the results folder. cache_used: by a run, which may come back to
    any of it."""
    opened = _opened()
    found = []
    for name in kinds:
        kind = KINDS[name]
        places = [cache_folder()] if kind.cached else [file.parent for file in sorted(results.glob("**/run.json"))]
        paths = [path for place in places for pattern in kind.patterns for path in sorted(place.glob(pattern))]
        used = tuple(path for path in paths if (cache_used and kind.cached) or _used(path, kind, opened))
        free = tuple(path for path in paths if path not in used)
        found.append(Left(name, free, used, sum(map(size_bytes, free))))
    return found


def remove(path: Path) -> None:
    """A kill in between leaves nothing that could be taken for whole: what says that it is goes first."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for name in ("store.json", "checkpoint.json", "train.csv"):
        (path / name).unlink(missing_ok=True)
    shutil.rmtree(path)


def size_bytes(path: Path) -> int:
    """On the disk: a store that is not full yet has holes."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_blocks * 512 for file in files if file.is_file())


def _used(path: Path, kind: Kind, opened: set[str]) -> bool:
    lock = path / "lock" if kind.cached else path.parents[2] / ".lock"
    return is_held(lock) or any(name == str(path) or name.startswith(f"{path}/") for name in opened)


def _opened() -> set[str]:
    """Every file that a process has open; of other users' processes the system says nothing."""
    return {file.path for process in psutil.process_iter() for file in _files(process)}


def _files(process: psutil.Process) -> Iterator[Any]:
    try:
        yield from process.open_files()
    except psutil.Error:
        return

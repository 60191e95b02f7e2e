"""Locks on folders: of a run, of the cache, and of one store in it."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from common.core.errors import InputError
from common.core.files import cache_folder, os_error_text

POLL_S = 2.0  # of a folder that another process has

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

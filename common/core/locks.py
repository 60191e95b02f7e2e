"""Locks on folders: of a run, of the cache, and of one store in it."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from common.core.callbacks import silent
from common.core.errors import InputError
from common.core.files import cache_folder, os_error_text

POLL_S = 2.0  # between two tries of a lock that another process holds


class FolderLock:
    """A lock on a folder, kept in a file of it. The system releases it when the process ends, however that happens.

    shared: several holders at once, but none that is not shared. through_exec: the program that this process becomes by exec
    keeps the lock.
    """

    def __init__(self, file: Path, shared: bool = False, through_exec: bool = False):
        self.file, self.shared, self.through_exec = file, shared, through_exec
        self._stream: IO[str] | None = None

    def acquire(self) -> bool:
        """Take the lock if it is free, and return whether it was. OSError where its file cannot be written."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        stream = open(self.file, "w", encoding="utf-8")
        if not _locked(stream, self.shared):
            stream.close()
            return False
        os.set_inheritable(stream.fileno(), self.through_exec)
        self._stream = stream
        return True

    def wait(self, waiting: Callable[[float], None] = silent) -> None:
        """Take the lock as soon as it is free. waiting: called with the seconds so far, at once and at every further try."""
        waited_s = 0.0
        while not self.acquire():
            waiting(waited_s)
            time.sleep(POLL_S)
            waited_s += POLL_S

    def release(self) -> None:
        """Give the lock back, if it was taken."""
        if self._stream:
            self._stream.close()
            self._stream = None


def _locked(stream: IO[str], shared: bool = False) -> bool:
    """Take the lock on an open file if it is free, and return whether it was."""
    try:
        fcntl.flock(stream, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_held(file: Path) -> bool:
    """Whether somebody holds the lock in that file, which need not be writable, nor be there."""
    if not file.exists():
        return False
    with open(file, encoding="utf-8") as stream:
        return not _locked(stream)


_kept: list[FolderLock] = []  # until `lock_scope` ends them, or the process


@contextlib.contextmanager
def lock_scope() -> Iterator[None]:
    """Release at the end of the block the locks that `hold` and `use_cache` took in it: a process may carry out several runs."""
    before = len(_kept)
    try:
        yield
    finally:
        while len(_kept) > before:
            _kept.pop().release()


def hold(folder: Path, through_exec: bool = False) -> None:
    """Keep the run's folder to this process until the `lock_scope` around it ends, or the process. InputError where another
    has it."""
    lock = FolderLock(folder / ".lock", through_exec=through_exec)
    if not lock.acquire():
        raise InputError(f"'{folder}' is being run by another process; wait until it has ended")
    _kept.append(lock)


def use_cache(through_exec: bool = False) -> None:
    """Until the `lock_scope` around it ends, or the process, `prune` takes nothing out of the cache: between trials no file of
    it is open. InputError where the cache cannot be written, e.g. on a read-only disk."""
    lock = FolderLock(_cache_file(), shared=True, through_exec=through_exec)
    with _as_input_error():
        lock.wait()  # for a `prune` that removes things now
    _kept.append(lock)


@contextlib.contextmanager
def cache_to_itself() -> Iterator[bool]:
    """Whether no run uses the cache; if so, one that begins waits until the block ends. InputError as in `use_cache`."""
    lock = FolderLock(_cache_file())
    with _as_input_error():
        alone = lock.acquire()
    try:
        yield alone
    finally:
        lock.release()


@contextlib.contextmanager
def locked(folder: Path, waiting: Callable[[float], None] = silent) -> Iterator[None]:
    """The folder, made if need be, to this block alone; others wait. waiting: as in `FolderLock.wait`."""
    lock = FolderLock(folder / "lock")
    lock.wait(waiting)
    try:
        yield
    finally:
        lock.release()


def _cache_file() -> Path:
    return cache_folder() / ".in-use"


@contextlib.contextmanager
def _as_input_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(os_error_text(error)) from None

"""Ctrl-C, a polite kill and a hard one: what ends a run, once, what must not be cut in two, and what ends with it."""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Iterator

ENDING = (signal.SIGINT, signal.SIGTERM)


def end_once(number: int, frame: object) -> None:
    """The first Ctrl-C ends the run; a second would only leave its report unwritten."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def listen() -> None:
    """For the process of a command line. Ctrl-C works in the background too, where shells have it ignored. A polite kill does what Ctrl-C does: the
    children end and the run stays readable."""
    for number in ENDING:
        signal.signal(number, end_once)


def die_with(parent: int) -> None:
    """Linux: end when that parent process ends, however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it ended before the line above
        os.kill(os.getpid(), signal.SIGKILL)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the block is done: a second one must not leave a child running or a file half-written."""
    kept = {number: signal.signal(number, signal.SIG_IGN) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)

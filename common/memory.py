"""Memory of a process and its workers, counted once: proportional set size where the system has it."""

import threading

import psutil

from common.child import tree

EVERY_S = 0.25


def method() -> str:
    """What `in_use` returns on this system, as a word for the tables."""
    names = psutil.Process().memory_full_info()._fields
    return next(name for name in ("pss", "uss", "rss") if name in names).upper()


def in_use(pid: int) -> int:
    """Bytes of the process and all its descendants. PSS shares out the pages that several of them map, so that
    a loader's workers do not count their parent's memory again; USS (private pages) or RSS elsewhere."""
    kind = method().lower()
    total = 0
    for process in tree(pid):
        try:
            total += getattr(process.memory_full_info(), kind)
        except psutil.Error:
            continue  # a worker that ended between the two looks
    return total


class PeakMemory:
    """Samples `in_use` from a thread of the parent until `stop`; `now` and `peak` are bytes."""

    def __init__(self, pid: int):
        self.now = self.peak = 0
        self._pid = pid
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while not self._end.wait(EVERY_S):
            self.now = in_use(self._pid)
            self.peak = max(self.peak, self.now)

    def stop(self) -> int:
        self._end.set()
        self._thread.join()
        return self.peak

"""Memory of a process and its workers, counted once: proportional set size where the system has it."""

import threading
import time
from functools import cache

import psutil

from common.process.tree import total, tree

LOOK_S = 0.25  # resident size: a few ms a look
FIRST_LOOK_S = 0.02  # looks come closer together at first: a trial may be over in a third of a second
SAMPLE_S = 10.0  # PSS at least this often: 40 ms for a process of 1.6 GiB, in which it cannot map memory
NEW_HIGH = 1.02  # and whenever the resident size has grown by so much over the last highest sample


@cache
def method() -> str:
    """What `in_use` returns on this system, as a word for the tables."""
    names = psutil.Process().memory_full_info()._fields
    return next(name for name in ("pss", "uss", "rss") if name in names).upper()


def in_use(pid: int) -> int:
    """Bytes of the process and all its descendants. PSS shares out the pages that several of them map, so that
    a loader's workers do not count their parent's memory again; USS (private pages) or RSS elsewhere."""
    kind = method().lower()
    return int(total(tree(pid), lambda process: getattr(process.memory_full_info(), kind)))


def _resident(processes: list[psutil.Process]) -> int:
    return int(total(processes, lambda process: process.memory_info().rss))


class PeakMemory:
    """Samples `in_use` from a thread of the parent until `stop`; `now` and `peak` are bytes.

    Looking is cheap, sampling is not: a sample every 0.25 s took 17 % of a core. So the resident size is looked at,
    and sampled where it has reached a new high.
    """

    def __init__(self, pid: int):
        self.now = self.peak = 0
        self._pid = pid
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        highest, sampled, wait = 0, -SAMPLE_S, FIRST_LOOK_S
        while not self._end.wait(wait):
            wait = min(1.2 * wait, LOOK_S)
            resident, now = _resident(tree(self._pid)), time.monotonic()
            if resident > highest * NEW_HIGH or now - sampled > SAMPLE_S:
                highest, sampled = max(highest, resident), now
                self.now = in_use(self._pid)
                self.peak = max(self.peak, self.now)

    def stop(self) -> int:
        self._end.set()
        self._thread.join()
        return self.peak

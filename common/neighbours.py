"""The CHILD's neighbours: how many cores other processes keep busy while it trains."""

import contextlib
import time

import psutil

from common.machine import cores_allowed

IDLE = {"idle", "iowait", "guest", "guest_nice"}  # a guest's seconds are counted among user's already


class Neighbours:
    """Looks at the whole machine when made, and again when asked."""

    def __init__(self) -> None:
        self._before = _seconds()

    def cores(self) -> float | None:
        """Cores that other processes kept busy meanwhile, a mean. None where this process may use some of the cores alone: who
        works on which is not told. A minute's load says less: it hardly moves in an epoch of seconds."""
        before, now = self._before, _seconds()
        wall_s = now["wall"] - before["wall"]
        if cores_allowed() != psutil.cpu_count() or not wall_s:
            return None
        return max(0.0, (now["all"] - before["all"] - (now["own"] - before["own"])) / wall_s)


def _seconds() -> dict[str, float]:
    """On the wall, of all cores at work, and of this process with its workers, also those that have ended."""
    return {"wall": time.monotonic(), "all": _all(), "own": _own()}


def _all() -> float:
    return sum(value for name, value in psutil.cpu_times()._asdict().items() if name not in IDLE)


def _own() -> float:
    me = psutil.Process()
    found = sum(me.cpu_times()[:4])  # user, system, and of children that were waited for
    for worker in me.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            found += sum(worker.cpu_times()[:2])
    return found

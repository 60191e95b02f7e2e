"""How many cores other processes keep busy, measured over an interval: of a trial from within, or of its parent."""

import contextlib
import time

import psutil

from common.core.machine import usable_cpus

IDLE = {"idle", "iowait", "guest", "guest_nice"}  # a guest's seconds are counted among user's already
TICKS_S = 0.2  # the kernel counts CPU time in ticks of 10 ms, for each core and each process


class Neighbours:
    """Reads the CPU times of the machine and of this process's tree when made, and again when asked."""

    def __init__(self) -> None:
        self._cpus = usable_cpus()
        self._before = self._seconds()

    def cores(self) -> float | None:
        """Mean number of cores that other processes kept busy since this object was made.

        Of the cores that this process may use, where an affinity or a cpuset leaves it some of them. None where it cannot
        be known: under a CPU quota, and where the system does not count its own CPU time or does not show it. A minute's load
        average hardly moves in an epoch of seconds.
        """
        before, now = self._before, self._seconds()
        if self._cpus is None or before is None or now is None:
            return None
        wall_s, all_s, own_s = (b - a for a, b in zip(before, now))
        if not wall_s or own_s > all_s + TICKS_S * len(self._cpus):
            return None
        return max(0.0, (all_s - own_s) / wall_s)

    def _seconds(self) -> tuple[float, float, float] | None:
        """Of the wall clock, of all usable cores at work, and of this process with its descendants. None where the system
        does not show them: that is no reason for a trial to fail."""
        with contextlib.suppress(OSError, psutil.Error):
            return time.monotonic(), _busy_s(self._cpus or ()), _own_s()
        return None


def _busy_s(cpus: tuple[int, ...]) -> float:
    every = psutil.cpu_times(percpu=True)
    of = (every[number]._asdict() for number in cpus if number < len(every))
    return sum(value for times in of for name, value in times.items() if name not in IDLE)


def _own_s() -> float:
    """User and system time of the tree, and of its ended processes that were waited for."""
    me = psutil.Process()
    return sum(_times(process) for process in [me, *me.children(recursive=True)])


def _times(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        return sum(process.cpu_times()[:4])
    return 0.0


class Busiest:
    """Finds the process outside this one's tree that used most CPU time since this object was made."""

    def __init__(self) -> None:
        self._before = _others()

    def words(self) -> str:
        """'process 4711 (python)', or "" where no process that can be seen used any: another container's cannot."""
        used = {
            pid: (seconds - self._before.get(pid, ("", 0.0))[1], name) for pid, (name, seconds) in _others().items()
        }
        pid, (seconds, name) = max(used.items(), key=lambda item: item[1], default=(0, (0.0, "")))
        return f"process {pid} ({name})" if seconds > 0 else ""


def _others() -> dict[int, tuple[str, float]]:
    """Name and own CPU seconds of every process that can be seen and is not of this one's tree."""
    found = {}
    with contextlib.suppress(OSError, psutil.Error):
        me = psutil.Process()
        own = {me.pid, *(process.pid for process in me.children(recursive=True))}
        for process in psutil.process_iter(["name", "cpu_times"]):
            if process.pid not in own and process.info["cpu_times"]:
                found[process.pid] = (process.info["name"] or "?", sum(process.info["cpu_times"][:2]))
    return found

"""A process with everything that it started, and sums over them."""

import contextlib
from collections.abc import Callable

import psutil


def tree(pid: int) -> list[psutil.Process]:
    """The process and all its descendants that are still there."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def total(processes: list[psutil.Process], of: Callable[[psutil.Process], float]) -> float:
    """The sum over the processes; one that ended between the two looks counts nothing."""
    found = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            found += of(process)
    return found

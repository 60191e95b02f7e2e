"""The CHILD's other ranks: a process for each further device of a trial, which does what the trial's own does, in silence."""

import os
import subprocess
import sys
from pathlib import Path

from common.child import MEETING
from common.files import PROJECT

RANK, MEET = "FRAMEWORK_BENCH_RANK", "FRAMEWORK_BENCH_MEET"  # which rank; the file through which ranks find each other


def rank() -> int:
    """0: the one that writes, and that a trial on one device is."""
    return int(os.environ.get(RANK, 0))


def meeting_point() -> str:
    """A file that is not there yet, as torch.distributed's file store wants it."""
    return os.environ[MEET]


def start_others(trial: Path, arguments: list[str], devices: int) -> None:
    """Ranks 1 and up of this trial, their output in its log; they end with this process."""
    if devices == 1:
        return
    (trial / MEETING).unlink(missing_ok=True)
    os.environ[MEET] = str(trial / MEETING)
    for number in range(1, devices):
        variables = os.environ | {RANK: str(number), "FRAMEWORK_BENCH_CHILD": str(os.getpid())}
        subprocess.Popen(
            [sys.executable, "-m", "common.trial", *arguments], cwd=PROJECT, env=variables, stdin=subprocess.DEVNULL
        )


def share(n: int, of: int, number: int) -> slice:
    """Rank `number`'s part of n things, in order; parts differ by one at the most (as numpy.array_split)."""
    least, more = divmod(n, of)
    start = number * least + min(number, more)
    return slice(start, start + least + (number < more))

"""The CHILD's other ranks: a process for each further device of a trial, which does what the trial's own does, in silence."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from common.core.events import Failed, last
from common.core.files import PROJECT
from common.process.trial_files import MEETING, RANKS

LOOK_S = 0.2
RANK, MEET = "FRAMEWORK_BENCH_RANK", "FRAMEWORK_BENCH_MEET"  # which rank; the file through which ranks find each other


def rank() -> int:
    """0: the one that writes, and that a trial on one device is."""
    return int(os.environ.get(RANK, 0))


def meeting_point() -> str:
    """A file that is not there yet, as torch.distributed's file store wants it."""
    return os.environ[MEET]


_others: list[subprocess.Popen] = []
_done = threading.Event()


def said(trial: Path, number: int) -> Path:
    """Where a rank writes what happens to it: the first one for the parent, the others for the first."""
    return trial / ("events.jsonl" if number == 0 else RANKS.replace("*", str(number)))


def start_others(trial: Path, arguments: list[str], devices: int, failed: Callable[[str], None]) -> None:
    """Ranks 1 and up of this trial, their output in its log; they end with this process. Where one fails, the others would wait
    for it for ever: `failed` is told why, and this process ends."""
    if devices == 1:
        return
    (trial / MEETING).unlink(missing_ok=True)
    os.environ[MEET] = str(trial / MEETING)
    for number in range(1, devices):
        variables = os.environ | {RANK: str(number), "FRAMEWORK_BENCH_CHILD": str(os.getpid())}
        said(trial, number).unlink(missing_ok=True)
        command = [sys.executable, "-m", "common.trial.worker", *arguments]
        _others.append(subprocess.Popen(command, cwd=PROJECT, env=variables, stdin=subprocess.DEVNULL))

    def watch() -> None:
        while not _done.wait(LOOK_S):
            if why := lost(trial):
                failed(why)
                os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def lost(trial: Path, within_s: float = 0.0) -> str:
    """Which of the other ranks has failed, and why; "" where none has, nor does so soon."""
    until = time.monotonic() + within_s
    while True:
        for number, process in enumerate(_others, start=1):
            if code := process.poll():
                failed = last(said(trial, number), Failed)
                return f"rank {number}: {failed.reason if failed else (f'ended with exit code {code}' if code > 0 else signal.Signals(-code).name)}"
        if time.monotonic() >= until:
            return ""
        time.sleep(LOOK_S)


def done() -> None:
    """All is computed: how the others end does not matter any more."""
    _done.set()


def several() -> bool:
    return bool(_others)


def share(n: int, of: int, number: int) -> slice:
    """Rank `number`'s part of n things, in order; parts differ by one at the most (as numpy.array_split)."""
    least, more = divmod(n, of)
    start = number * least + min(number, more)
    return slice(start, start + least + (number < more))

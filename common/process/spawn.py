"""Start a child process of the harness, and end it with everything that it started."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from common.core.files import PROJECT
from common.core.openmp import with_policy
from common.core.signals import die_with

STARTED = "FRAMEWORK_BENCH_STARTED"  # the variable that holds when the child was started, in seconds since 1970
RESUME = "--resume"  # the worker's flag after its parent has taken the events back to the last checkpoint
END_S = 3  # a child that was asked to end is killed after this


def environment(threads: int, device: str, policy: str = "") -> dict[str, str]:
    """The variables that every process which trains is started with, ours or a bare loop. policy: of common/core/openmp.py."""
    variables = with_policy(os.environ, policy) | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")])),
        "PYTHONUNBUFFERED": "1",
        # Logs and file names are UTF-8, whatever the locale.
        "PYTHONUTF8": "1",
        "PYTHONIOENCODING": "utf-8",
        "FRAMEWORK_BENCH_CHILD": str(os.getpid()),
        # The kernel's start time of a process is counted from a rounded boot time: it was .8 s off.
        STARTED: str(time.time()),
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
    }
    return variables | ({"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {})


def start(
    module: str, arguments: list[str], threads: int, device: str, log: IO[bytes] | int,
    policy: str = "", pass_fds: tuple[int, ...] = (),
) -> subprocess.Popen:  # fmt: skip
    """`python -m module arguments` in a session of its own, its output in `log`. policy: of common/core/openmp.py; pass_fds: files
    that it inherits."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=PROJECT, env=environment(threads, device, policy), stdin=subprocess.DEVNULL, stdout=log,
        stderr=subprocess.STDOUT, start_new_session=True, pass_fds=pass_fds,
    )  # fmt: skip


def die_with_parent() -> None:
    """So that no trial is left running alone."""
    die_with(int(os.environ["FRAMEWORK_BENCH_CHILD"]))


def end(child: subprocess.Popen) -> None:
    """End the child and everything it started; returns when they are gone.

    The child leads a process group of its own, which holds its loader workers also when the child itself is dead.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        limit = time.monotonic() + END_S
        while time.monotonic() < limit and (child.poll() is None or _group_lives(child.pid)):
            time.sleep(0.02)
    child.wait()


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def log_tail(path: Path, lines: int) -> str:
    """The last lines of a log file, without empty ones and without this machine's path of the project."""
    if not path.exists():
        return ""
    text = path.read_text(encoding="utf-8", errors="replace")[-20_000:].replace(f"{PROJECT}/", "")
    return "\n".join([line.rstrip() for line in text.splitlines() if line.strip()][-lines:])

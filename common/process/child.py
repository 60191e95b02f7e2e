"""How a child process of the harness is started, asked, and ended with everything it started."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import psutil

from common.core.errors import InputError
from common.core.files import PROJECT, read_json, sweep
from common.core.machine import cores
from common.core.openmp import with_policy
from common.core.signals import die_with

# What a trial leaves in its folder.
TRACES = ("events.jsonl", "logits.npz", "weights.safetensors", "predictions.csv", "parent.json")
STARTED = "FRAMEWORK_BENCH_STARTED"  # the variable that tells a child when it was started
RESUME = "--resume"  # said by the parent, which has taken the events back to the last checkpoint
RECEIPTS = "receipts"  # what the training steps received, a file for each epoch
CHECKPOINT = "checkpoint"  # and while it runs: its state after the last epoch
TUNING = "tuning"  # and while the tuned lane tries ways of training: the state to go back to
MEETING = "meeting"  # and while it runs on several devices: the file through which their processes find each other,
RANKS = "rank*.jsonl"  # and what the further ones say
END_S = 3  # after this, a child that was asked to end is killed
STALL_S = 15.0  # a download that brings no byte for so long is given up
BUSY_CPU_S = 0.5  # a child that computes so much meanwhile is no stalled download
LOOK_S = 0.1


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


def clear(folder: Path) -> None:
    """Remove what an earlier try of the trial left, so that it cannot be taken for this one's."""
    for name in TRACES:
        (folder / name).unlink(missing_ok=True)
    for name in (RECEIPTS, CHECKPOINT, TUNING):
        shutil.rmtree(folder / name, ignore_errors=True)
    for file in folder.glob(RANKS):
        file.unlink()
    sweep(folder)


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


def _wait_unless_stalled(child: subprocess.Popen, stall_s: float) -> bool:
    """Wait until the child ends; False where for `stall_s` it read and wrote nothing and hardly computed.

    Seen from outside, so that it holds for whatever library downloads: each has time limits of its own, or none, and
    retries (huggingface_hub five times). What arrives is written to a file, which counts.
    """
    seen, cpu_s, since = -1, 0.0, time.monotonic()
    while child.poll() is None:
        processes = tree(child.pid)
        io = total(processes, _io_bytes)
        now_cpu_s = total(processes, lambda process: sum(process.cpu_times()[:2]))
        if io != seen or now_cpu_s - cpu_s > BUSY_CPU_S:
            seen, cpu_s, since = io, now_cpu_s, time.monotonic()
        if time.monotonic() - since > stall_s:
            return False
        time.sleep(LOOK_S)
    return True


def _io_bytes(process: psutil.Process) -> int:
    """Bytes read and written; 0 on a system that does not count them."""
    return sum(process.io_counters()[2:6]) if hasattr(process, "io_counters") else 0


def ask(
    framework: str, question: str, threads: int = 0, device: str = "cpu", deterministic: bool = False, **values: Any
) -> Any:
    """The answer of a framework to one question (common/trial/query.py), from a process of its own.

    InputError with the framework's own words where it has none, or where its download has stalled.
    """
    with tempfile.TemporaryDirectory() as folder:
        request, answer, log = (Path(folder) / name for name in ("request.json", "answer.json", "log.txt"))
        threads = threads or cores()
        process = {"device": device, "deterministic": deterministic, "threads": threads, "timeout_s": 0}
        said = {"framework": framework, "question": question, "process": process, "values": values}
        request.write_text(json.dumps(said), encoding="utf-8")
        with open(log, "wb") as stream:
            child = start("common.trial.query", [str(request), str(answer)], threads, device, stream)
            try:
                alive = _wait_unless_stalled(child, STALL_S)
            finally:
                end(child)
        if not alive:
            raise InputError(f"{framework}: no byte came for {STALL_S:g} s")
        result = (
            read_json(answer) if answer.exists() else {"error": log_tail(log, 3) or f"exit code {child.returncode}"}
        )
    if "error" in result:
        raise InputError(result["error"])
    return result["answer"]


def log_tail(path: Path, lines: int) -> str:
    """The last lines of a log file, without empty ones and without this machine's path of the project."""
    if not path.exists():
        return ""
    text = path.read_text(encoding="utf-8", errors="replace")[-20_000:].replace(f"{PROJECT}/", "")
    return "\n".join([line.rstrip() for line in text.splitlines() if line.strip()][-lines:])

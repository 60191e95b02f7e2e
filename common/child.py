"""How a child process of the harness is started, asked, and ended with everything it started."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

import psutil

from common.errors import InputError
from common.files import PROJECT, read_json
from common.machine import cores

TRACES = ("events.jsonl", "logits.npz", "weights.safetensors", "parent.json")  # what a trial leaves in its folder
END_S = 3  # after this, a child that was asked to end is killed


def environment(threads: int, device: str) -> dict[str, str]:
    """The variables that every process which trains is started with, ours or a bare loop."""
    variables = dict(os.environ) | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")])),
        "PYTHONUNBUFFERED": "1",
        "FRAMEWORK_BENCH_CHILD": "1",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
    }
    return variables | ({"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {})


def start(module: str, arguments: list[str], threads: int, device: str, log: IO[bytes] | int) -> subprocess.Popen:
    """`python -m module arguments` in a session of its own, its output in `log`."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=PROJECT, env=environment(threads, device), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip


def clear(folder: Path) -> None:
    """Remove what an earlier try of the trial left, so that it cannot be taken for this one's."""
    for name in TRACES:
        (folder / name).unlink(missing_ok=True)


def tree(pid: int) -> list[psutil.Process]:
    """The process and all its descendants that are still there."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


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


def ask(framework: str, question: str, threads: int = 0, device: str = "cpu", **values: Any) -> Any:
    """The answer of a framework to one question (common/ask.py), from a process of its own.

    InputError with the framework's own words where it has none.
    """
    with tempfile.TemporaryDirectory() as folder:
        request, answer, log = (Path(folder) / name for name in ("request.json", "answer.json", "log.txt"))
        request.write_text(json.dumps({"framework": framework, "question": question, "values": values}))
        with open(log, "wb") as stream:
            child = start("common.ask", [str(request), str(answer)], threads or cores(), device, stream)
            try:
                child.wait()
            except BaseException:
                end(child)
                raise
        result = (
            read_json(answer) if answer.exists() else {"error": log_tail(log, 3) or f"exit code {child.returncode}"}
        )
    if "error" in result:
        raise InputError(result["error"])
    return result["answer"]


def log_tail(path: Path, lines: int) -> str:
    """The last lines of a log file, without empty ones."""
    if not path.exists():
        return ""
    text = path.read_text(encoding="utf-8", errors="replace")[-20_000:]
    return "\n".join([line.rstrip() for line in text.splitlines() if line.strip()][-lines:])

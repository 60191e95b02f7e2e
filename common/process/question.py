"""Ask a framework a question: a child process of its own answers it (common/trial/query.py)."""

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from common.core.errors import InputError
from common.core.files import read_json
from common.core.machine import cores
from common.process.spawn import end, log_tail, start
from common.process.tree import total, tree

STALL_S = 15.0  # a download that brings no byte for so long is given up
BUSY_CPU_S = 0.5  # a child that computes so much meanwhile is no stalled download
LOOK_S = 0.1


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


def _wait_unless_stalled(child: subprocess.Popen, stall_s: float) -> bool:
    """Wait until the child ends; False where for `stall_s` it read and wrote nothing and hardly computed.

    Seen from outside, so that it holds for whatever library downloads: each has time limits of its own, or none, and
    retries (huggingface_hub five times). What arrives is written to a file, which counts.
    """
    seen, cpu_s, since = -1.0, 0.0, time.monotonic()
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

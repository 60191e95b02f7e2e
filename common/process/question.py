"""Ask a framework a question (questions.py): a child process of its own answers it (common/trial/query.py)."""

import json
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import psutil
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from common.core.errors import InputError
from common.core.files import read_json
from common.core.machine import cores
from common.process.spawn import end, log_tail, start
from common.process.tree import total, tree

STALL_S = 15.0  # a download that brings no byte for so long is given up
BUSY_CPU_S = 0.5  # a child that computes so much meanwhile is no stalled download
LOOK_S = 0.1
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Question(Generic[Answer]):
    name: str
    answer: type[Answer]

    def read(self, framework: str, answer: Any) -> Answer:
        """The answer from its JSON. InputError where it has another type."""
        try:
            return TypeAdapter(self.answer).validate_python(answer)
        except ValidationError as error:
            raise InputError(f"the adapter of {framework} gave a wrong answer to '{self.name}': {error}") from None


def ask(
    framework: str,
    question: Question[Answer],
    threads: int = 0,
    device: str = "cpu",
    deterministic: bool = False,
    **values: Any,
) -> Answer:
    """The answer of a framework to one question, from a process of its own. values: plain or of pydantic.

    InputError with the framework's own text where it has none, or where its download has stalled.
    """
    with tempfile.TemporaryDirectory() as folder:
        request, answer, log = (Path(folder) / name for name in ("request.json", "answer.json", "log.txt"))
        threads = threads or cores()
        process = {"device": device, "deterministic": deterministic, "threads": threads, "timeout_s": 0}
        asked = {"framework": framework, "question": question.name, "process": process, "values": values}
        request.write_text(json.dumps(to_jsonable_python(asked)), encoding="utf-8")
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
    return question.read(framework, result["answer"])


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

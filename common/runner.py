"""The PARENT: one child at a time, watched from outside; timeout, memory, and what ended it."""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Protocol

from common import checkpoint
from common.child import clear, end, log_tail, start, uninterrupted
from common.files import read_json, size_text, write_json
from common.memory import PeakMemory, method
from common.types import TrialSpec

LOOK_S = 0.1
UNLOAD_S = 10.0  # a child that has said its last word and does not end is ended
LOG_LINES = 8


class Display(Protocol):
    """Where progress goes: bars on a terminal, lines elsewhere (common/progress.py)."""

    def begin(self, spec: TrialSpec, number: int, total: int) -> None: ...

    def reused(self, spec: TrialSpec) -> None: ...

    def event(self, event: dict[str, Any], memory_bytes: int) -> None: ...

    def finish(self, status: str, reason: str, wall_s: float) -> None: ...


def run_trials(folder: Path, specs: list[TrialSpec], display: Display, resume: bool = False) -> None:
    """Every trial in a process of its own, one at a time; a failed one does not stop the others, nor does an error
    of the harness while it watches one.

    KeyboardInterrupt ends the running child with all that it started, records it, and is raised again. resume: a
    finished trial is left as it is, any other goes on after its last finished epoch.
    """
    for number, spec in enumerate(specs, start=1):
        trial = folder / "trials" / spec.name
        display.begin(spec, number, len(specs))
        if resume and finished(trial):
            display.reused(spec)
        else:
            run_trial(trial, spec, display, resume)


def finished(trial: Path) -> bool:
    """Whether the trial ended well, as its parent saw it, and what it made is there."""
    file = trial / "parent.json"
    ok = file.exists() and read_json(file)["status"] == "ok"
    return ok and (trial / "logits.npz").exists()


def run_trial(folder: Path, spec: TrialSpec, display: Display, resume: bool = False) -> None:
    """One trial; what the parent saw of it is written to parent.json, however it ended."""
    began = time.monotonic()
    status, reason = "interrupted", "ended by Ctrl-C"
    done_epochs = checkpoint.rewind(folder) if resume else 0
    earlier = read_json(folder / "parent.json") if done_epochs and (folder / "parent.json").exists() else {}
    if not done_epochs:
        clear(folder)
    tail = _Tail(folder / "events.jsonl")
    child = memory = None
    try:
        with open(folder / "log.txt", "ab" if done_epochs else "wb") as log:
            words = [str(folder.resolve()), *(["--resume"] if done_epochs else [])]
            child = start("common.trial", words, spec.process.threads, spec.process.device, log)
        memory = PeakMemory(child.pid)
        status, reason = _watch(child, spec, tail, memory, display, began)
    except Exception as error:  # ours, while watching: this row says so, and the others go on
        status, reason = "failed", f"the harness itself: {type(error).__name__}: {error}"
    finally:
        with uninterrupted():
            if child:
                end(child)
            peak, wall_s = memory.stop() if memory else 0, time.monotonic() - began
            if status == "killed":
                reason += f"; its memory peaked at {size_text(peak)}"
            said = {
                "status": status, "reason": reason, "wall_s": wall_s + earlier.get("wall_s", 0.0),
                "peak_memory_bytes": max(peak, earlier.get("peak_memory_bytes", 0)), "memory_method": method(),
                "resumed_after": [*earlier.get("resumed_after", []), *([done_epochs] if done_epochs else [])],
                "log_tail": "" if status == "ok" else log_tail(folder / "log.txt", LOG_LINES),
            }  # fmt: skip
            write_json(folder / "parent.json", said)
            display.finish(status, reason, wall_s)


def _watch(
    child: subprocess.Popen, spec: TrialSpec, tail: "_Tail", memory: PeakMemory, display: Display, began: float
) -> tuple[str, str]:
    """Follow the child's events until it ends or its time is up. Returns status and reason."""
    limit, stall, done, heard = spec.process.timeout_s, spec.process.stall_s, 0.0, time.monotonic()
    while True:
        ended = child.poll() is not None
        events = tail.new()
        for event in events:
            display.event(event, memory.now)
        if tail.last.get("event") in ("done", "failed"):
            done = done or time.monotonic()
        if ended or (done and time.monotonic() - done > UNLOAD_S):
            return outcome(child.returncode or 0, tail.last)
        if events:
            heard = time.monotonic()
        if stall and time.monotonic() - heard > stall:
            return "stalled", f"no event for --stall {stall:g} s ({_last_words(tail.last)})"
        if limit and time.monotonic() - began > limit:
            return "timeout", f"not finished after --timeout {limit:g} s ({_last_words(tail.last)})"
        time.sleep(LOOK_S)


def outcome(exit_code: int, last: dict[str, Any]) -> tuple[str, str]:
    """Status and reason of a child that ended by itself, from its exit code and last event."""
    if last.get("event") == "failed":
        return "failed", last["reason"]
    if last.get("event") == "done":
        return "ok", ""  # all is written; a library that falls over while it is unloaded changes nothing
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        hint = " (often: the system ran out of memory)" if exit_code == -signal.SIGKILL else ""
        return "killed", f"ended by {name}{hint}, {_last_words(last)}"
    return "failed", f"ended with exit code {exit_code} and without a word, {_last_words(last)}"


def _last_words(last: dict[str, Any]) -> str:
    if not last:
        return "before its first event"
    words = " ".join(f"{key} {last[key]}" for key in ("phase", "epoch", "step") if key in last)
    return f"last seen at: {last['event']}{' (' + words + ')' if words else ''}"


class _Tail:
    """The events that have come since the last look; a half-written line waits for its rest."""

    def __init__(self, path: Path):
        self._path, self._offset = path, path.stat().st_size if path.exists() else 0
        self.last: dict[str, Any] = {}

    def new(self) -> list[dict[str, Any]]:
        if not self._path.exists():
            return []
        with open(self._path, "rb") as stream:
            stream.seek(self._offset)
            whole, _, _ = stream.read().rpartition(b"\n")
        self._offset += len(whole) + bool(whole)
        events = [json.loads(line) for line in whole.splitlines()]
        if events:
            self.last = events[-1]
        return events

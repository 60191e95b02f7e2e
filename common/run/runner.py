"""The PARENT of one trial: its process watched from outside; timeout, memory, and what ended it."""

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from common.core.errors import InputError, readable
from common.core.events import read_events
from common.core.files import read_json, write_json
from common.core.formatting import size_text
from common.core.machine import what_counts
from common.core.results import QuietWait, Seen
from common.core.signals import uninterrupted
from common.core.specs import TrialSpec
from common.process.contention import Watcher
from common.process.memory import PeakMemory, method
from common.process.spawn import RESUME, end, log_tail, start
from common.process.trial_files import clear
from common.run.verify_receipts import proven
from common.trial import checkpoint

LOOK_S = 0.1
UNLOAD_S = 10.0  # a child that has said its last word and does not end is ended
LOG_LINES = 8
ENDED_BY = {
    signal.SIGKILL: " (often: the system ran out of memory)",
    signal.SIGBUS: " (often: shared memory in /dev/shm is full; --workers 0 needs none)",
}


class Display(Protocol):
    """Where progress goes: bars on a terminal, lines elsewhere (common/report/progress.py)."""

    def begin(self, spec: TrialSpec, number: int, total: int) -> None: ...

    def reused(self, spec: TrialSpec) -> None: ...

    def event(self, event: dict[str, Any], memory_bytes: int) -> None: ...

    def contention(self, seen: Seen) -> None: ...

    def finish(self, status: str, reason: str, wall_s: float) -> None: ...


def finished(trial: Path, spec: TrialSpec) -> bool:
    """Whether this very trial ended well, as its parent saw it, and what it made can be read."""
    said = said_before(trial)
    if said.get("status") != "ok" or said.get("spec") != spec.identity():
        return False
    try:
        with readable("its logits"), np.load(trial / "logits.npz") as arrays:
            return all(arrays[name].size for name in arrays.files)
    except (OSError, InputError):
        return False


def prove_alone(folder: Path, names: tuple[str, ...]) -> None:
    """Trials that were repeated alone, and so have no parent's word, are held against their plan here."""
    for trial in (folder / "trials" / name for name in names):
        if (trial / "parent.json").exists() or not any(
            e["event"] == "done" for e in read_events(trial / "events.jsonl")
        ):
            continue
        with readable(f"'{trial / 'spec.json'}'"):
            spec = TrialSpec.model_validate(read_json(trial / "spec.json"))
        hashes, fault = _proven(trial, spec)
        said = {"status": "ok", "reason": "", "receipts": hashes, "receipt_fault": fault, "spec": spec.identity()}
        write_json(trial / "parent.json", said)


def disown(trial: Path) -> None:
    """What the trial reached stays to be read until it is run anew; it is not gone on with."""
    write_json(trial / "parent.json", said_before(trial) | {"spec": ""})


def said_before(trial: Path) -> dict[str, Any]:
    """What the last parent of the trial wrote down; {} where there was none."""
    try:
        return dict(read_json(trial / "parent.json"))
    except (OSError, ValueError):
        return {}


class _Parent:
    """What the parent saw of one trial: parent.json, kept up to date so that a kill of the parent loses little."""

    def __init__(self, folder: Path, spec: TrialSpec, resume: bool, node: str, waited: QuietWait | None):
        self.waited, self.watcher = waited, Watcher(spec.process.threads, spec.recipe.epochs)
        self.folder, self.spec, self.node, self.began = folder, spec, node, time.monotonic()
        before = said_before(folder)
        self.resumed_after = checkpoint.rewind(folder) if resume and before.get("spec") == spec.identity() else 0
        self._before = before if self.resumed_after else {}
        if not self.resumed_after:
            clear(folder)
        self.ended = 0.0
        self.memory: PeakMemory | None = None
        self.receipts: tuple[tuple[str, ...], str | None] = ((), None)  # hashes, and where they are not as planned

    def write(self, status: str, reason: str, peak_bytes: int) -> None:
        before = self._before
        said = {
            "status": status, "reason": reason, "spec": self.spec.identity(),
            "wall_s": self.wall_s + before.get("wall_s", 0.0),
            "peak_memory_bytes": max(peak_bytes, before.get("peak_memory_bytes", 0)), "memory_method": method(),
            "resumed_after": [*before.get("resumed_after", []), *([self.resumed_after] if self.resumed_after else [])],
            "receipts": self.receipts[0], "receipt_fault": self.receipts[1], "node": self.node,
            "machines": [*before.get("machines", []), what_counts()],
            "contention": [*before.get("contention", []), *(seen.model_dump() for seen in self.watcher.episodes)],
            "quiet_wait": self.waited.model_dump() if self.waited else None,
            "log_tail": "" if status == "ok" else log_tail(self.folder / "log.txt", LOG_LINES),
        }  # fmt: skip
        write_json(self.folder / "parent.json", said)

    def still_there(self) -> None:
        """Said while the trial runs; it is what remains where the parent is killed."""
        self.write("interrupted", "the harness was killed", self.memory.peak if self.memory else 0)

    def prove(self) -> None:
        self.receipts = _proven(self.folder, self.spec)

    @property
    def wall_s(self) -> float:
        return (self.ended or time.monotonic()) - self.began


def _proven(folder: Path, spec: TrialSpec) -> tuple[tuple[str, ...], str | None]:
    """What the steps received, held against the plan. What cannot be held against it is a fault too."""
    try:
        return proven(folder, spec)
    except Exception as error:  # e.g. a receipt that a full disk cut off: the row says so, and the others go on
        return (), f"it could not be looked at: {type(error).__name__}: {error}"


def run_trial(
    folder: Path,
    spec: TrialSpec,
    display: Display,
    resume: bool = False,
    node: str = "",
    waited: QuietWait | None = None,
) -> None:
    """One trial; what the parent saw of it is written to parent.json, however it ended. node: of a cluster, this one.
    waited: what came of --wait-for-quiet."""
    status, reason = "interrupted", "stopped by Ctrl-C or a polite kill (SIGTERM)"
    parent = _Parent(folder, spec, resume, node, waited)
    tail = Tail(folder / "events.jsonl")
    child = None
    try:
        parent.still_there()
        with open(folder / "log.txt", "ab" if parent.resumed_after else "wb") as log:
            words = [str(folder.resolve()), *([RESUME] if parent.resumed_after else [])]
            child = start("common.trial.worker", words, spec.process.threads, spec.process.device, log)
        parent.memory = PeakMemory(child.pid)
        said = _watch(child, spec, tail, parent, display)
        end(child)
        parent.ended = time.monotonic()
        if said[0] == "ok":
            parent.prove()
        status, reason = said
    except Exception as error:  # ours, while watching: this row says so, and the others go on
        status, reason = "failed", f"the harness itself: {type(error).__name__}: {error}"
    finally:
        with uninterrupted():
            if child:
                end(child)
            peak = parent.memory.stop() if parent.memory else 0
            if status == "killed":
                reason += f"; its memory peaked at {size_text(peak)}"
            parent.ended = parent.ended or time.monotonic()
            parent.write(status, reason, peak)
            display.finish(status, reason, parent.wall_s)


def _watch(
    child: subprocess.Popen, spec: TrialSpec, tail: "Tail", parent: _Parent, display: Display
) -> tuple[str, str]:
    """Follow the child's events until it ends or its time is up. Returns status and reason.

    A trial that is done but for its ceilings is done: what they take is not its memory, and where they say nothing for too
    long the row stands without them.
    """
    limit, stall, ended_s, heard = spec.process.timeout_s, spec.process.stall_s, 0.0, time.monotonic()
    last_word, done = "ceilings" if spec.ceilings else "done", False
    assert parent.memory is not None
    while True:
        ended = child.poll() is not None
        events = tail.new()
        for event in events:
            display.event(event, parent.memory.now)
            parent.watcher.heard(event)
            if event["event"] == "epoch":
                parent.still_there()
            if event["event"] == "done":
                done, limit = True, 0.0
                parent.memory.stop()
        if seen := parent.watcher.look():
            display.contention(seen)
        if tail.last.get("event") in (last_word, "failed"):
            ended_s = ended_s or time.monotonic()
        if ended or (ended_s and time.monotonic() - ended_s > UNLOAD_S):
            return outcome(child.returncode or 0, tail.last)
        if events:
            heard = time.monotonic()
        if stall and time.monotonic() - heard > stall:
            return ("ok", "") if done else ("stalled", f"no event for --stall {stall:g} s ({_last_words(tail.last)})")
        if limit and parent.wall_s > limit:
            return "timeout", f"not finished after --timeout {limit:g} s ({_last_words(tail.last)})"
        time.sleep(LOOK_S)


def outcome(exit_code: int, last: dict[str, Any]) -> tuple[str, str]:
    """Status and reason of a child that ended by itself, from its exit code and last event."""
    if last.get("event") == "failed":
        return "failed", last["reason"]
    if last.get("event") in ("done", "ceilings"):
        return "ok", ""  # all is written; a library that falls over while it is unloaded changes nothing
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        return "killed", f"ended by {name}{ENDED_BY.get(-exit_code, '')}, {_last_words(last)}"
    return "failed", f"ended with exit code {exit_code} and without a word, {_last_words(last)}"


def _last_words(last: dict[str, Any]) -> str:
    if not last:
        return "before its first event"
    words = " ".join(f"{key} {last[key]}" for key in ("phase", "epoch", "step") if key in last)
    return f"last seen at: {last['event']}{' (' + words + ')' if words else ''}"


class Tail:
    """The events that have come since the last look; a half-written line waits for its rest.

    Another node may take the file back to a checkpoint, which is heard already, or begin it anew. Which of the two its first
    line tells, in which a trial says when it was born: a new file may well have the old one's inode.
    """

    def __init__(self, path: Path):
        self._path, self._offset, self._first = path, path.stat().st_size if path.exists() else 0, b""
        if self._offset:
            with open(path, "rb") as stream:
                self._first = stream.readline()
        self.last: dict[str, Any] = {}

    def new(self) -> list[dict[str, Any]]:
        with contextlib.suppress(FileNotFoundError), open(self._path, "rb") as stream:
            first, size = stream.readline(), os.fstat(stream.fileno()).st_size
            if not first.endswith(b"\n"):
                return []
            if first != self._first:
                self._first, self._offset = first, 0
            self._offset = min(self._offset, size)
            stream.seek(self._offset)
            whole, _, _ = stream.read().rpartition(b"\n")
            self._offset += len(whole) + bool(whole)
            events = [event for line in whole.splitlines() for event in _told(line)]
            self.last = events[-1] if events else self.last
            return events
        return []


def _told(line: bytes) -> list[dict[str, Any]]:
    """Its event; nothing where it is none, which the trial's row will say."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        event = dict(json.loads(line))
        event["event"]
        return [event]
    return []

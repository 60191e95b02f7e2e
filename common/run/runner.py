"""One trial, run by its PARENT: its process is started, watched from outside, and ended."""

import subprocess
import time
from pathlib import Path
from typing import Protocol

from common.core.events import Done, Event
from common.core.formatting import size_text
from common.core.results import EpochRecord, QuietWait, Seen
from common.core.signals import uninterrupted
from common.core.specs import TrialSpec
from common.process.memory import PeakMemory
from common.process.spawn import RESUME, end, start
from common.run.parent_record import Observer
from common.run.tail import Tail
from common.run.trial_state import CTRL_C, Ending, TrialState

LOOK_S = 0.1


class Display(Protocol):
    """Where progress goes: bars on a terminal, lines elsewhere (common/report/progress.py)."""

    def begin(self, spec: TrialSpec, number: int, total: int) -> None: ...

    def reused(self, spec: TrialSpec) -> None: ...

    def event(self, event: Event, memory_bytes: int) -> None: ...

    def contention(self, seen: Seen) -> None: ...

    def finish(self, status: str, reason: str, wall_s: float) -> None: ...


def run_trial(
    folder: Path,
    spec: TrialSpec,
    display: Display,
    resume: bool = False,
    node: str = "",
    waited: QuietWait | None = None,
) -> None:
    """Run one trial and write what its parent saw to parent.json, however it ends. node: of a cluster, this one.
    waited: the result of --wait-for-quiet."""
    ending = CTRL_C  # what stands where KeyboardInterrupt leaves the block below
    seen = Observer(folder, spec, resume, node, waited)
    tail = Tail(folder / "events.jsonl")
    child = None
    try:
        seen.write()
        child = _start(folder, spec, seen.resumed_after > 0)
        seen.memory = PeakMemory(child.pid)
        found = _watch(child, spec, tail, seen, seen.memory, display)
        end(child)
        seen.stop_clock()
        if found.status == "ok":
            seen.verify()
        ending = found
    except Exception as error:  # of the harness: this row reports it, and the other trials go on
        ending = Ending("failed", f"the harness itself: {type(error).__name__}: {error}")
    finally:
        with uninterrupted():
            _finish(child, seen, ending, display)


def _start(folder: Path, spec: TrialSpec, resumed: bool) -> subprocess.Popen:
    arguments = [str(folder.resolve()), *([RESUME] if resumed else [])]
    with open(folder / "log.txt", "ab" if resumed else "wb") as log:
        return start("common.trial.worker", arguments, spec.process.threads, spec.process.device, log)


def _watch(
    child: subprocess.Popen, spec: TrialSpec, tail: Tail, seen: Observer, memory: PeakMemory, display: Display
) -> Ending:
    """Follow the trial's events until its process exits, or until it has to be ended."""
    state = TrialState(spec, seen.began, time.monotonic())
    while True:
        exit_code = child.poll()  # before the events are read: the last one is in the file then
        for event in tail.new():
            state.on_event(event, time.monotonic())
            display.event(event, memory.now)
            seen.watcher.heard(event)
            if isinstance(event, EpochRecord):
                seen.write()
            if isinstance(event, Done):
                memory.stop()  # what measuring upper bounds takes is not the trial's memory
        if contention := seen.watcher.look():
            display.contention(contention)
        if ending := state.ending(exit_code, time.monotonic()):
            return ending
        time.sleep(LOOK_S)


def _finish(child: subprocess.Popen | None, seen: Observer, ending: Ending, display: Display) -> None:
    """End the process, and write and show how the trial ended."""
    if child:
        end(child)
    if seen.memory:
        seen.memory.stop()
    if ending.status == "killed":
        ending = Ending("killed", f"{ending.reason}; its memory peaked at {size_text(seen.peak_bytes)}")
    seen.stop_clock()
    seen.write(ending)
    display.finish(ending.status, ending.reason, seen.wall_s)

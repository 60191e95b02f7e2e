"""What a running trial is doing, by its events, and what ends it: a state machine without a process or a clock."""

import signal
from dataclasses import dataclass
from enum import Enum, auto

from common.core.events import Done, Event, Failed, kind
from common.core.results import UpperBounds
from common.core.specs import Status, TrialSpec

EXIT_S = 10.0  # a process that has written its last event is ended after this
KILLED_BY: dict[int, str] = {
    signal.SIGKILL: " (often: the system ran out of memory)",
    signal.SIGBUS: " (often: shared memory in /dev/shm is full; --workers 0 needs none)",
}


@dataclass(frozen=True)
class Ending:
    """How a trial ended, as its parent saw it."""

    status: Status
    reason: str = ""


OK = Ending("ok")
CTRL_C = Ending("interrupted", "stopped by Ctrl-C or a polite kill (SIGTERM)")
HARNESS_KILLED = Ending("interrupted", "the harness was killed")


class State(Enum):
    TRAINING = auto()  # --timeout and --stall hold
    MEASURING = auto()  # the trial counts as finished; its upper bounds are measured, for which --stall alone holds
    EXITING = auto()  # the last event is written; the process has EXIT_S to exit


class TrialState:
    """Moves from TRAINING over MEASURING (only with upper bounds) to EXITING. All times are of time.monotonic()."""

    def __init__(self, spec: TrialSpec, began: float, now: float):
        self.state = State.TRAINING
        self.last: Event | None = None
        self._spec, self._began = spec, began
        self._last_s = now  # of the last event
        self._result: Ending | None = None  # the trial's own, which stands however its process ends

    def on_event(self, event: Event, now: float) -> None:
        self.last, self._last_s = event, now
        if isinstance(event, Done):
            self._trained()
        elif isinstance(event, UpperBounds):
            self._measured()
        elif isinstance(event, Failed):
            self._failed(event.reason)

    def _trained(self) -> None:
        self._result = OK
        self.state = State.MEASURING if self._spec.ceilings else State.EXITING

    def _measured(self) -> None:
        self._result = self._result or OK  # where the log's line of Done is damaged, no event of it arrived
        self.state = State.EXITING

    def _failed(self, reason: str) -> None:
        self._result = Ending("failed", reason)
        self.state = State.EXITING

    def ending(self, exit_code: int | None, now: float) -> Ending | None:
        """What ends the trial now; None: it goes on. exit_code: of its process; None: it runs."""
        if exit_code is not None:
            return self._result or self._died(exit_code)
        silent_s, limit, stall = now - self._last_s, self._spec.process.timeout_s, self._spec.process.stall_s
        if self.state is State.EXITING:
            return self._result if silent_s > EXIT_S else None
        if stall and silent_s > stall:
            return self._result or Ending("stalled", f"no event for --stall {stall:g} s ({self._last_words()})")
        if self.state is State.TRAINING and limit and now - self._began > limit:
            return Ending("timeout", f"not finished after --timeout {limit:g} s ({self._last_words()})")
        return None

    def _died(self, exit_code: int) -> Ending:
        """Of a process that ended without a result."""
        if exit_code < 0:
            how = f"{signal.Signals(-exit_code).name}{KILLED_BY.get(-exit_code, '')}"
            return Ending("killed", f"ended by {how}, {self._last_words()}")
        return Ending("failed", f"ended with exit code {exit_code} and without a word, {self._last_words()}")

    def _last_words(self) -> str:
        last = self.last
        if last is None:
            return "before its first event"
        words = " ".join(f"{key} {getattr(last, key)}" for key in ("phase", "epoch", "step") if hasattr(last, key))
        return f"last seen at: {kind(last)}{f' ({words})' if words else ''}"

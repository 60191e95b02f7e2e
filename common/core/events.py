"""A trial's event log, one JSON object a line: what each event holds, and the names of a step's phases.

The trial that writes an event and everything that reads it share the classes below, and the payloads of results.py.
"""

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field

from common.core.errors import InputError
from common.core.results import EpochRecord, EqualityGate, Payload, Tried, Tuning, UpperBounds

FROZEN, TRAINED = "frozen forward", "trainable forward"  # parts of a step
RECEIPT = "receipt"  # of what the step received
FORWARD = "forward"  # of both, where they are not told apart
REST = "backward and optimiser"  # where the two are not told apart


class Born(Payload):
    """The trial's process began, for the first time or to go on."""

    at: float  # seconds since 1970


class Built(Payload):
    """The model is built and its weights are loaded."""

    facts: dict[str, Any]
    environment: dict[str, str]
    weights_report: dict[str, int]
    weights_names: dict[str, tuple[str, ...]] = Field({})


class StoringStarted(Payload):
    """The frozen part begins to fill the feature store."""

    images: int
    size: str  # for the user, such as "1.5 GiB"


class StoringProgress(Payload):
    """How far the feature store is filled."""

    done: int  # images
    images: int
    elapsed_s: float


class WaitingForStore(Payload):
    """Another trial fills the same feature store."""

    waited_s: float


class Ready(Payload):
    """Training begins, or goes on after `done_epochs`."""

    start_s: float  # since the process was started
    done_epochs: int = 0
    best_loss: float | None = None


class Received(Payload):
    """The first batch of a pass, as the step received it: dtype and shape of each array."""

    phase: str
    epoch: int
    images: str = ""
    labels: str = ""
    ids: str = ""


class Step(Payload):
    """A step of a pass is done. Not every step is written."""

    phase: str
    epoch: int
    step: int  # from 1
    batches: int  # of the pass
    images: int  # so far
    elapsed_s: float  # since the pass began


class Done(Payload):
    """The trial's results are written."""

    prediction_s: float = 0.0
    test_s: float = 0.0
    writing_s: float = 0.0
    lived_s: float = 0.0  # since the process was started
    peak_device_bytes: int = 0


class Failed(Payload):
    """The trial's last event where it failed."""

    reason: str


Event = (
    Born | Built | Tried | StoringStarted | StoringProgress | WaitingForStore | Tuning | Ready | Received | Step | EpochRecord | EqualityGate
    | Done | UpperBounds | Failed
)  # fmt: skip
E = TypeVar("E", bound=Event)
KINDS: dict[str, type[Event]] = {
    "born": Born, "built": Built, "tried": Tried, "storing": StoringStarted, "features": StoringProgress, "waiting": WaitingForStore,
    "tuned": Tuning, "ready": Ready, "received": Received, "step": Step, "epoch": EpochRecord, "lane gate": EqualityGate,
    "done": Done, "ceilings": UpperBounds, "failed": Failed,
}  # fmt: skip
_NAMES = {kind: name for name, kind in KINDS.items()}


def kind(event: Event) -> str:
    """Its name in the log."""
    return _NAMES[type(event)]


def to_line(event: Event) -> str:
    return json.dumps({"event": kind(event), **event.model_dump()}) + "\n"


def from_line(line: bytes | str) -> Event | None:
    """The event without keys that this version does not know; None for a kind that it does not know.

    ValueError, TypeError or KeyError where it is none.
    """
    values = dict(json.loads(line))
    found = KINDS.get(values.pop("event"))
    return found.from_trial_file(values) if found else None


class Events:
    """Appends one JSON object a line; a kill loses at most the last one."""

    def __init__(self, path: Path):
        self._stream = open(path, "a", encoding="utf-8")

    def write(self, event: Event) -> None:
        self._stream.write(to_line(event))
        self._stream.flush()


def read_events(path: Path) -> list[Event]:
    """Every whole line; a last one that a kill cut off is left out. InputError where another is damaged: an epoch that is not
    there would make of the next one the first."""
    *whole, _ = path.read_bytes().split(b"\n") if path.exists() else [b""]
    events = []
    for number, line in enumerate(whole, start=1):
        try:
            event = from_line(line)
        except (ValueError, TypeError, KeyError):
            raise InputError(f"'{path}' is damaged in line {number}") from None
        events += [event] if event is not None else []
    return events


def of_kind(events: list[Event], wanted: type[E]) -> list[E]:
    return [event for event in events if isinstance(event, wanted)]


def last_of(events: list[Event], wanted: type[E]) -> E | None:
    return next(reversed(of_kind(events, wanted)), None)


def last(path: Path, wanted: type[E]) -> E | None:
    """The last event of that kind in the log."""
    return last_of(read_events(path), wanted)

"""A trial's event log, one JSON object a line, and the names of a step's phases."""

import json
from pathlib import Path
from typing import Any

from common.core.errors import InputError

FROZEN, TRAINED = "frozen forward", "trainable forward"  # parts of a step
RECEIPT = "receipt"  # of what the step received
FORWARD = "forward"  # of both, where they are not told apart
REST = "backward and optimiser"  # where the two are not told apart


class Events:
    """Appends one JSON object a line; a kill loses at most the last one."""

    def __init__(self, path: Path):
        self._stream = open(path, "a", encoding="utf-8")

    def write(self, kind: str, **values: Any) -> None:
        self._stream.write(json.dumps({"event": kind, **values}) + "\n")
        self._stream.flush()


def read_events(path: Path) -> list[dict[str, Any]]:
    """Every whole line; a last one that a kill cut off is left out. InputError where another is damaged: an epoch that is not
    there would make of the next one the first."""
    *whole, _ = path.read_bytes().split(b"\n") if path.exists() else [b""]
    events = []
    for number, line in enumerate(whole, start=1):
        try:
            events.append(dict(json.loads(line)))
            events[-1]["event"]
        except (ValueError, TypeError, KeyError):
            raise InputError(f"'{path}' is damaged in line {number}") from None
    return events


def last(path: Path, kind: str) -> dict[str, Any]:
    """The last event of that kind; {} where there is none."""
    return {e["event"]: e for e in read_events(path)}.get(kind, {})

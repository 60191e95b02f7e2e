"""Reads the events that a running trial appends to its log."""

import contextlib
import os
from pathlib import Path

from common.core.events import Event, from_line


class Tail:
    """The events that have come since the last look; a half-written line waits for its rest.

    Another node may take the file back to a checkpoint, whose events were read already, or begin it anew. Its first line holds
    the time at which the trial began and so tells the two apart: a new file may well have the old one's inode.
    """

    def __init__(self, path: Path):
        self._path, self._offset, self._first = path, path.stat().st_size if path.exists() else 0, b""
        if self._offset:
            with open(path, "rb") as stream:
                self._first = stream.readline()

    def new(self) -> list[Event]:
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
            return [event for line in whole.splitlines() if (event := _event(line)) is not None]
        return []


def _event(line: bytes) -> Event | None:
    """None where the line is damaged, which the trial's row reports."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        return from_line(line)
    return None

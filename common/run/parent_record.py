"""parent.json of a trial: what its parent saw, read, written while the trial runs, and disowned."""

import time
from pathlib import Path

import numpy as np

from common.core.errors import InputError, readable
from common.core.events import Done, last
from common.core.files import read_json, write_json
from common.core.machine import what_counts
from common.core.results import ParentRecord, QuietWait
from common.core.specs import TrialSpec
from common.process.contention import Watcher
from common.process.memory import PeakMemory, method
from common.process.spawn import log_tail
from common.process.trial_files import clear
from common.run.trial_state import HARNESS_KILLED, Ending
from common.run.verify_receipts import proven
from common.trial import checkpoint

FILE = "parent.json"
LOG_LINES = 8


def read_parent(trial: Path) -> ParentRecord | None:
    """What the last parent of the trial wrote; None where there is no such file, or where it is damaged."""
    try:
        return ParentRecord.from_trial_file(read_json(trial / FILE))
    except (OSError, ValueError):
        return None


def finished(trial: Path, spec: TrialSpec) -> bool:
    """Whether this very trial ended well, as its parent saw it, and its logits can be read."""
    record = read_parent(trial)
    if record is None or record.status != "ok" or record.spec != spec.identity():
        return False
    try:
        with readable("its logits"), np.load(trial / "logits.npz") as arrays:
            return all(arrays[name].size for name in arrays.files)
    except (OSError, InputError):
        return False


def disown(trial: Path) -> None:
    """Keep what the trial reached for the report until it runs anew, but never resume it."""
    if record := read_parent(trial):
        write_json(trial / FILE, record.model_copy(update={"spec": ""}).model_dump())


def prove_alone(folder: Path, names: tuple[str, ...]) -> None:
    """Verify the receipts of trials that were repeated without a parent, and write parent.json for them."""
    for trial in (folder / "trials" / name for name in names):
        if (trial / FILE).exists() or last(trial / "events.jsonl", Done) is None:
            continue
        with readable(f"'{trial / 'spec.json'}'"):
            spec = TrialSpec.model_validate(read_json(trial / "spec.json"))
        hashes, fault = verified(trial, spec)
        record = ParentRecord(status="ok", receipts=hashes, receipt_fault=fault, spec=spec.identity())
        write_json(trial / FILE, record.model_dump())


def verified(trial: Path, spec: TrialSpec) -> tuple[tuple[str, ...], str | None]:
    """Hash of each epoch's receipts, and where they differ from the plan. Receipts that cannot be read are a fault too."""
    try:
        return proven(trial, spec)
    except Exception as error:  # e.g. a receipt that a full disk cut off: the row says so, and the other trials go on
        return (), f"it could not be looked at: {type(error).__name__}: {error}"


class Observer:
    """What the parent sees of one trial. Keeps parent.json up to date, so that a kill of the parent loses little."""

    def __init__(self, folder: Path, spec: TrialSpec, resume: bool, node: str, waited: QuietWait | None):
        self._folder, self._spec, self._node, self._waited = folder, spec, node, waited
        self.watcher = Watcher(spec.process.threads, spec.recipe.epochs)
        self.began, self._ended = time.monotonic(), 0.0
        self.memory: PeakMemory | None = None
        self._receipts: tuple[str, ...] = ()
        self._receipt_fault: str | None = None
        before = read_parent(folder)
        same = resume and before is not None and before.spec == spec.identity()
        self.resumed_after = checkpoint.rewind(folder) if same else 0
        self._before = before if self.resumed_after else None
        if not self.resumed_after:
            clear(folder)

    def write(self, ending: Ending = HARNESS_KILLED) -> None:
        """Write parent.json. The default ending is what remains where the parent is killed."""
        before = self._before or ParentRecord(status="missing")
        record = ParentRecord(
            status=ending.status, reason=ending.reason, spec=self._spec.identity(), wall_s=self.wall_s + before.wall_s,
            peak_memory_bytes=max(self.peak_bytes, before.peak_memory_bytes), memory_method=method(),
            resumed_after=before.resumed_after + ((self.resumed_after,) if self.resumed_after else ()),
            receipts=self._receipts, receipt_fault=self._receipt_fault, node=self._node,
            machines=(*before.machines, what_counts()), contention=before.contention + self.watcher.episodes,
            quiet_wait=self._waited, log_tail="" if ending.status == "ok" else log_tail(self._folder / "log.txt", LOG_LINES),
        )  # fmt: skip
        write_json(self._folder / FILE, record.model_dump())

    def stop_clock(self) -> None:
        self._ended = self._ended or time.monotonic()

    def verify(self) -> None:
        """Compare what the training steps received with the plan."""
        self._receipts, self._receipt_fault = verified(self._folder, self._spec)

    @property
    def wall_s(self) -> float:
        return (self._ended or time.monotonic()) - self.began

    @property
    def peak_bytes(self) -> int:
        return self.memory.peak if self.memory else 0

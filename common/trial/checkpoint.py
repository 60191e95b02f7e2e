"""A trial's state after its last finished epoch, on disk so that a kill at any moment leaves the old one or the new."""

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from common.core.errors import InputError
from common.core.events import read_events, to_line
from common.core.files import read_json, replacing, sweep, write_arrays, write_json, write_text
from common.core.hashing import hash_file
from common.core.results import EpochRecord
from common.process.trial_files import CHECKPOINT, MEETING, RANKS, TUNING
from common.trial.contract import Adapter


@dataclass
class State:
    """What a trial has beside its model and optimiser: which epoch was the last, and the best weights so far."""

    epoch: int = 0
    best_loss: float = float("inf")
    best_epoch: int = 0
    best: dict[str, np.ndarray] = field(default_factory=dict)  # canonical weights of the lowest validation loss
    logits: dict[str, np.ndarray] = field(default_factory=dict)  # of the validation split, by epoch


def save(trial: Path, progress: State, adapter: Adapter, model: Any) -> None:
    """Write files named by the epoch, then the one that names them; then remove those of the epoch before."""
    folder = trial / CHECKPOINT
    names = {
        "state": f"epoch{progress.epoch}.state", "logits": f"epoch{progress.epoch}.npz",
        "best": f"best{progress.best_epoch}.safetensors",
    }  # fmt: skip
    with replacing(folder / names["state"]) as temporary:
        adapter.save(model, temporary)
    write_arrays(folder / names["logits"], **progress.logits)
    if progress.best_epoch == progress.epoch:
        with replacing(folder / names["best"]) as temporary:
            save_file({k: np.ascontiguousarray(v) for k, v in progress.best.items()}, temporary)
    numbers = {"epoch": progress.epoch, "best_epoch": progress.best_epoch, "best_loss": float(progress.best_loss)}
    hashes = {name: hash_file(folder / name) for name in names.values()}
    said = names | numbers | {"hashes": hashes}
    write_json(folder / "checkpoint.json", said | {"digest": _digest(said)})
    for file in folder.iterdir():
        if file.name not in (*names.values(), "checkpoint.json"):
            file.unlink()


def _digest(said: dict[str, Any]) -> str:
    """Over everything else in checkpoint.json: another best loss would keep other weights."""
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def load(trial: Path, adapter: Adapter, model: Any) -> State:
    """The progress of the last checkpoint, its state put into the model; nothing where there is none."""
    folder = trial / CHECKPOINT
    if not last_epoch(trial):
        return State()
    said = read_json(folder / "checkpoint.json")
    adapter.restore(model, folder / said["state"])
    with np.load(folder / said["logits"]) as arrays:
        logits = {name: arrays[name] for name in arrays.files}
    return State(said["epoch"], said["best_loss"], said["best_epoch"], load_file(folder / said["best"]), logits)


def last_epoch(trial: Path) -> int:
    """The epoch after which the trial goes on; 0: from the beginning, also where a file is not what was written."""
    file = trial / CHECKPOINT / "checkpoint.json"
    try:
        said = dict(read_json(file))
        whole = said.pop("digest") == _digest(said)
        whole = whole and all(hash_file(file.with_name(name)) == digest for name, digest in said["hashes"].items())
        return said["epoch"] if whole else 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def rewind(trial: Path) -> int:
    """Take back the events after the last checkpoint: that epoch is done again. Returns the checkpoint's epoch; 0 where
    the events of all epochs up to it are not there, since a table could not be made of the rest."""
    epoch = last_epoch(trial)
    sweep(trial)
    try:
        events = read_events(trial / "events.jsonl")
    except InputError:
        return 0
    ends = {event.epoch: i for i, event in enumerate(events) if isinstance(event, EpochRecord)}
    if not epoch or any(k not in ends for k in range(1, epoch + 1)):
        return 0
    write_text(trial / "events.jsonl", "".join(map(to_line, events[: ends[epoch] + 1])))
    return epoch


def remove(trial: Path) -> None:
    for name in (CHECKPOINT, TUNING):
        shutil.rmtree(trial / name, ignore_errors=True)
    for file in (trial / MEETING, *trial.glob(RANKS)):
        file.unlink(missing_ok=True)

"""Names of the files that a trial's processes write into its folder, and their removal before another try."""

import shutil
from pathlib import Path

from common.core.files import sweep

TRACES = ("events.jsonl", "logits.npz", "weights.safetensors", "predictions.csv", "parent.json")
RECEIPTS = "receipts"  # checksums of what the training steps received, a file for each epoch
# Only while the trial runs:
CHECKPOINT = "checkpoint"  # the state after its last epoch
TUNING = "tuning"  # the state to go back to while the tuned lane tries ways of training
MEETING = "meeting"  # on several devices: the file through which the ranks find each other
RANKS = "rank*.jsonl"  # on several devices: events of every rank but the first


def clear(folder: Path) -> None:
    """Remove what an earlier try of the trial left, so that it is not taken for this one's."""
    for name in TRACES:
        (folder / name).unlink(missing_ok=True)
    for name in (RECEIPTS, CHECKPOINT, TUNING):
        shutil.rmtree(folder / name, ignore_errors=True)
    for file in folder.glob(RANKS):
        file.unlink()
    sweep(folder)

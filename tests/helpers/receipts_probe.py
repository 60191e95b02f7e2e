"""Runs in a process of its own, as a trial does (test_receipts.py): trains one epoch for each number of loader workers,
then one for each fault planted in the loader, and writes what the training steps say that they received."""

import json
import os
import sys
from pathlib import Path

import numpy as np

from common.core.events import Events
from common.core.specs import BuildSpec, ModelSpec, ProcessSpec
from common.data.chunk_store import ChunkStore
from common.data.feed import Feed
from common.trial.contract import load_adapter
from common.trial.stopwatch import Watch
from frameworks.contract import HALF

request = json.loads(Path(sys.argv[1]).read_text())
labels, side, batch = np.load(request["labels"]), request["side"], request["batch_size"]
adapter = load_adapter(request["framework"])(ProcessSpec(device="cpu", deterministic=False, threads=2, timeout_s=0), 0)
model = adapter.build(
    BuildSpec(
        model=ModelSpec(name="efficientnet_lite0"), classes=labels.shape[1], side=side, preprocessing=HALF, train="head",
        learning_rate=1e-3, formulas="matched", optimiser="sgd",
    )
)  # fmt: skip
initial = adapter.dump(model)
loader_pids = Path(request["out"] + ".pids")


def feed(workers, with_labels=True):
    rows = np.array(request["rows"], np.int32)
    return Feed(ChunkStore(Path(request["store"])), rows, labels[rows] if with_labels else None, batch, workers)


def epoch(workers):
    """From the same weights: what was received, the loss, and the logits afterwards."""
    adapter.load(model, initial)
    watch = Watch(Events(Path(os.devnull)), "train", 1, 1)
    loss = adapter.train_epoch(model, feed(workers), watch)
    logits = adapter.predict(
        model, feed(workers, with_labels=False), Watch(Events(Path(os.devnull)), "validation", 1, 1)
    )
    return watch.receipts, loss, logits


real_slice, real_batch = Feed._slice, Feed.batch


def planted(fault):
    """Feed._slice, which every loader worker calls, with a fault at position 5."""

    def slice_of(self, here):
        arrays = real_slice(self, here)
        if self.labels is None:
            return arrays
        with loader_pids.open("a") as stream:
            stream.write(f"{os.getpid()}\n")
        pixels, truth, ids = arrays
        for place, position in enumerate(range(self.images)[here]):
            if position == 5 and fault == "alter":
                pixels[place, 7, 3, 1] ^= 1
            if position == 5 and fault == "relabel":
                truth[place, 2] = 1 - truth[place, 2]
            other = {("repeat", 5): 4, ("reorder", 5): 6, ("reorder", 6): 5}.get((fault, position))
            if other is not None:
                one = real_slice(self, slice(other, other + 1))
                pixels[place], truth[place], ids[place] = (array[0] for array in one)
        return arrays

    return slice_of


def drop():
    """The loader is one image short."""
    Feed.batch = lambda self, index: tuple(
        a[1:] if index == 1 and self.labels is not None else a for a in real_batch(self, index)
    )
    Feed.images = property(lambda self: len(self.rows) - (self.labels is not None))


found, answers = {}, {"parent": os.getpid()}
for workers in request["workers"]:
    found[f"workers {workers}"], loss, found[f"logits {workers}"] = epoch(workers)
    answers[f"loss {workers}"] = loss
for fault in ("alter", "repeat", "reorder", "relabel"):
    Feed._slice = planted(fault)
    found[fault], *_ = epoch(2)
Feed._slice = real_slice
drop()
found["drop"], *_ = epoch(2)
np.savez(request["out"] + ".npz", **found)
answers["loaders"] = sorted(set(map(int, loader_pids.read_text().split())))
Path(request["out"] + ".json").write_text(json.dumps(answers))

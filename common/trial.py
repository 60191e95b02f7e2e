"""The CHILD: drives one adapter through one trial; owns the clock, the fences and the events.

    python -m common.trial results/<run>/trials/<trial>

repeats that trial alone, in its folder.
"""

import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from common.child import clear, die_with_parent, environment
from common.errors import InputError
from common.feed import Feed
from common.files import hash_arrays, read_json, write_arrays
from common.initial import initialise, save_weights
from common.loading import load_adapter
from common.pixels import PixelStore
from common.scores import bce_with_logits
from common.types import BuildSpec, Plan, TrialSpec
from common.watch import Events, Lie, Watch, check_loss, load_average


def read_plan(path: Path, expected_hash: str) -> Plan:
    with np.load(path) as arrays:
        plan = Plan(arrays["train_rows"], arrays["validation_rows"], arrays["visits"], arrays["orders"])
    found = hash_arrays(plan.train_rows, plan.validation_rows, plan.visits, plan.orders)
    if found != expected_hash:
        raise InputError(f"{path} has hash {found}, the trial was planned with {expected_hash}; start the run anew")
    return plan


class Trial:
    """One adapter, one model, its feeds, and the weights of the lowest validation loss."""

    def __init__(self, folder: Path, spec: TrialSpec, events: Events):
        self.spec, self.events = spec, events
        run = folder.parent.parent
        feed = spec.feed
        self.plan = read_plan(run / feed.plan, feed.plan_hash)
        with np.load(run / feed.labels) as arrays:
            self.labels = arrays["labels"]
        self._check("labels", feed.labels_hash, hash_arrays(self.labels))
        self._check("pixels", feed.pixels_hash, PixelStore(run / feed.pixels).hash)
        self.store = run / feed.pixels
        self.adapter = load_adapter(spec.framework)(spec.process, spec.seed)
        train = "all" if spec.weights.random else spec.recipe.train
        assert spec.weights.preprocessing is not None
        build = BuildSpec(
            model=spec.model, classes=feed.classes, side=feed.image_side, train=train,
            preprocessing=spec.weights.preprocessing, learning_rate=spec.recipe.learning_rate,
        )  # fmt: skip
        self.model = self.adapter.build(build)
        positives = self.labels[self.plan.visits].sum(axis=0, dtype=np.int64)
        report = initialise(self.adapter, self.model, spec.weights, run, positives, len(self.plan.visits), spec.seed)
        self.facts = self.adapter.facts(self.model) | {"trained part": train}
        if not spec.weights.random:
            self.facts.pop("initialisation", None)  # nothing of it is left but the head, which is drawn for all
        counts = {what: len(names) for what, names in report.items()}
        names = {what: names for what, names in report.items() if what != "loaded"}
        events.write(
            "built",
            facts=self.facts,
            environment=self.adapter.environment(),
            weights_report=counts,
            weights_names=names,
        )
        self.best_loss = np.inf
        self.best: dict[str, np.ndarray] = {}
        self.logits: dict[str, np.ndarray] = {}  # of the validation split, by epoch and at last

    @staticmethod
    def _check(what: str, planned: str, found: str) -> None:
        if planned and found != planned:
            raise InputError(
                f"the {what} changed since the trial was planned ({found}, not {planned}); start the run anew"
            )

    def feed(self, rows: np.ndarray, labels: np.ndarray | None) -> Feed:
        return Feed(self.store, rows, labels, self.spec.recipe.batch_size, self.spec.feed.workers)

    def predict(self, epoch: int, phase: str) -> tuple[np.ndarray, float]:
        """Logits of the validation split, checked, and the fenced seconds they took."""
        feed = self.feed(self.plan.validation_rows, None)
        watch = Watch(self.events, phase, epoch, feed.batches)
        self.adapter.fence()  # what was handed to the device before is not this pass's work
        start = time.perf_counter()
        logits = np.asarray(self.adapter.predict(self.model, feed, watch))
        self.adapter.fence()
        seconds = time.perf_counter() - start
        if logits.shape != (feed.images, self.spec.feed.classes):
            raise Lie(f"predict returned {list(logits.shape)}, the plan has {[feed.images, self.spec.feed.classes]}")
        if not np.isfinite(logits).all():
            raise FloatingPointError(f"predict returned logits that are not finite in epoch {epoch}")
        return logits.astype(np.float32), seconds

    def epoch(self, epoch: int) -> None:
        rows = self.plan.orders[epoch - 1]
        feed = self.feed(rows, self.labels[rows])
        watch = Watch(self.events, "train", epoch, feed.batches)
        self.adapter.fence()
        start = time.perf_counter()
        train_loss = float(self.adapter.train_epoch(self.model, feed, watch))
        self.adapter.fence()
        train_s = time.perf_counter() - start
        watch.check_images(feed.images)
        check_loss(train_loss, epoch)
        logits, validation_s = self.predict(epoch, "validation")
        self.logits[f"epoch{epoch}"] = logits
        loss = bce_with_logits(logits, self.labels[self.plan.validation_rows])
        improved = loss < self.best_loss
        self.events.write(
            "epoch", epoch=epoch, train_s=train_s, first_step_s=watch.first_step_s, wait_s=watch.wait_s,
            images=watch.images, images_per_s=watch.images / train_s, train_loss=train_loss,
            validation_s=validation_s, validation_loss=loss, improved=improved, load_average=load_average(),
        )  # fmt: skip
        if improved:
            self.best_loss, self.best = loss, self.adapter.dump(self.model)

    def finish(self, folder: Path) -> None:
        """Predict with the weights of the lowest validation loss; keep both."""
        self.adapter.load(self.model, self.best)
        logits, prediction_s = self.predict(self.spec.recipe.epochs, "prediction")
        write_arrays(folder / "logits.npz", prediction=logits, **self.logits)
        assert self.spec.weights.preprocessing is not None
        save_weights(folder / "weights.safetensors", self.best, self.spec.model, self.spec.weights.preprocessing)
        self.events.write("done", prediction_s=prediction_s, peak_device_bytes=self.adapter.peak_device_bytes())


def run(folder: Path) -> int:
    """Carry out the trial in `folder` (spec.json). 0: done; 1: failed, with the reason as an event."""
    born = psutil.Process().create_time()
    clear(folder)
    events = Events(folder / "events.jsonl")
    try:
        spec = TrialSpec.model_validate(read_json(folder / "spec.json"))
        trial = Trial(folder, spec, events)
        events.write("ready", start_s=time.time() - born)
        for epoch in range(1, spec.recipe.epochs + 1):
            trial.epoch(epoch)
        trial.finish(folder)
    except Exception as error:
        traceback.print_exc()
        text = (
            str(error)
            if isinstance(error, InputError | Lie | FloatingPointError)
            else f"{type(error).__name__}: {error}"
        )
        events.write("failed", reason=text.strip()[:2000])
        return 1
    return 0


def main(arguments: list[Any]) -> int:
    if len(arguments) != 1 or not (Path(arguments[0]) / "spec.json").is_file():
        print("usage: python -m common.trial results/<run>/trials/<trial>", file=sys.stderr)
        return 2
    folder = Path(arguments[0]).resolve()
    if "FRAMEWORK_BENCH_CHILD" in os.environ:
        die_with_parent()
        return run(folder)
    # Repeated alone: what the parent said of the earlier try is no longer true; threads and device are set as it would.
    for name in ("log.txt", "parent.json"):
        (folder / name).unlink(missing_ok=True)
    process = TrialSpec.model_validate(read_json(folder / "spec.json")).process
    variables = environment(process.threads, process.device) | {"FRAMEWORK_BENCH_CHILD": str(os.getppid())}
    os.execve(sys.executable, [sys.executable, "-m", "common.trial", str(folder)], variables)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

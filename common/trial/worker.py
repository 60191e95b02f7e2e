"""The CHILD: drives one adapter through one trial; owns the clock, the fences and the events.

    python -m common.trial.worker results/<run>/trials/<trial>

repeats that trial alone, in its folder.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from common.core import openmp
from common.core.errors import InputError, readable
from common.core.events import Events, last
from common.core.files import read_json, write_arrays
from common.core.hashing import hash_arrays
from common.core.locks import hold, use_cache
from common.core.registry import framework_info
from common.core.specs import BuildSpec, TrialSpec
from common.data.balance import positive_weights
from common.data.decode import ImageError
from common.data.feed import Decoded, Feed, Stored, changed_images, image_contents, image_paths, read_plan
from common.data.pixel_store import PixelStore
from common.process import ranks
from common.process.cpu_contention import Neighbours
from common.process.spawn import RESUME, STARTED, die_with_parent, environment
from common.process.trial_files import RECEIPTS, clear
from common.trial import ceilings, checkpoint, tuning
from common.trial.contract import load_adapter
from common.trial.failures import reason
from common.trial.initial_weights import initialise, save_weights, smoothed_odds
from common.trial.loss import bce_with_logits
from common.trial.stopwatch import Lie, Watch, check_loss, load_average

AFTER_S = 1.0  # a rank whose failure is the cause of this one's has failed by then


class Trial:
    """One adapter, one model, its feeds, and the weights of the lowest validation loss."""

    def __init__(self, folder: Path, spec: TrialSpec, events: Events):
        self.folder, self.spec, self.events = folder, spec, events
        run = folder.parent.parent
        feed = spec.feed
        self.plan = read_plan(run / feed.plan, feed.plan_hash)
        with np.load(run / feed.labels) as arrays:
            self.labels = arrays["labels"]
        self._check("labels", feed.labels_hash, hash_arrays(self.labels))
        self.stored = self.decoded = None
        if feed.pixels:
            self._check("pixels", feed.pixels_hash, PixelStore(run / feed.pixels).hash)
            self.stored = Stored(run / feed.pixels)
        if feed.files:
            files = run / feed.files
            self.decoded = Decoded(image_paths(files), feed.image_side, image_contents(files))
        self.adapter = load_adapter(spec.framework)(spec.process, spec.seed)
        assert spec.weights.preprocessing is not None
        weights = positive_weights(self.labels, self.plan.visits) if feed.balance == "weighted" else None
        self.positive_weights = weights
        build = BuildSpec(
            model=spec.model, classes=feed.classes, side=feed.image_side, train=spec.trained_part,
            preprocessing=spec.weights.preprocessing, learning_rate=spec.recipe.learning_rate,
            schedule=spec.recipe.schedule, frozen_norm=spec.recipe.frozen_norm, formulas=spec.recipe.formulas,
            positive_weights=() if weights is None else tuple(weights.tolist()),
        )  # fmt: skip
        self.model = self.adapter.build(build)
        positives = self.labels[self.plan.visits].sum(axis=0, dtype=np.int64)
        odds = smoothed_odds(positives, len(self.plan.visits), weights)
        matched = spec.recipe.formulas == "matched"
        report = initialise(self.adapter, self.model, spec.weights, run, odds, spec.seed, matched)
        self.facts = self.adapter.facts(self.model) | {
            "trained part": spec.trained_part,
            "workers asked": str(feed.workers),
            "lane": spec.lane,
            openmp.FACT: openmp.in_force(os.environ),
        }
        if matched or not spec.weights.random:
            self.facts.pop("initialisation", None)  # nothing of it is left but the head, which is drawn for all
        events.write(
            "built", facts=self.facts, environment=self.adapter.environment(),
            weights_report={what: len(names) for what, names in report.items()},
            weights_names={what: names for what, names in report.items() if what != "loaded"},
        )  # fmt: skip
        self.done, self.epoch_s, self.writing_s = checkpoint.State(), 0.0, 0.0
        self.tuned: tuning.Tuned | None = None
        if spec.lane == "tuned":
            self.tuned = tuning.Tuned(self)
            self.tuned.prepare(self.stored or self.decoded, self.plan, last(folder / "events.jsonl", "tuned"))

    @staticmethod
    def _check(what: str, planned: str, found: str) -> None:
        if planned and found != planned:
            raise InputError(
                f"the {what} changed since the trial was planned ({found}, not {planned}); start the run anew"
            )

    def feed(self, rows: np.ndarray, labels: np.ndarray | None, crops: np.ndarray) -> Feed:
        recipe, workers = self.spec.recipe, self.spec.feed.workers
        cropped = crops if len(crops) else None
        source = self.decoded if cropped is not None or self.stored is None else self.stored
        if self.tuned and self.tuned.source:
            source = self.tuned.source
        assert source is not None
        return Feed(source, rows, labels, recipe.batch_size, workers, cropped)

    def predict(self, rows: np.ndarray, crops: np.ndarray, epoch: int, phase: str) -> tuple[np.ndarray, float]:
        """Logits of the rows, checked, and the fenced seconds they took."""
        feed = self.feed(rows, None, crops)
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

    def validate(self, epoch: int, phase: str) -> tuple[np.ndarray, float]:
        """`predict` for the validation split; epoch: from 0, of the crops where validation images are cropped too."""
        crops = self.plan.validation_crops
        crops = crops[epoch] if len(crops) else crops
        return self.predict(self.plan.validation_rows, crops, epoch + (phase == "validation"), phase)

    def epoch(self, epoch: int) -> None:
        rows, crops, done = self.plan.orders[epoch - 1], self.plan.crops, self.done
        feed = self.feed(rows, self.labels[rows], crops[epoch - 1] if len(crops) else crops)
        watch = Watch(self.events, "train", epoch, feed.batches)
        self.adapter.fence()
        neighbours, start = Neighbours(), time.perf_counter()
        train_loss = float(self.adapter.train_epoch(self.model, feed, watch))
        self.adapter.fence()
        self.epoch_s = train_s = time.perf_counter() - start
        others = neighbours.cores()
        watch.check_images(feed.images)
        self.keep(write_arrays, self.folder / RECEIPTS / f"epoch{epoch}.npz", received=watch.receipts)
        check_loss(train_loss, epoch)
        logits, validation_s = self.validate(epoch - 1, "validation")
        loss = bce_with_logits(logits, self.labels[self.plan.validation_rows], self.positive_weights)
        self.adapter.validated(self.model, loss)
        improved = loss < done.best_loss
        self.events.write(
            "epoch", epoch=epoch, train_s=train_s, first_step_s=watch.first_step_s, wait_s=watch.wait_s,
            images=watch.images, images_per_s=watch.images / train_s, train_loss=train_loss,
            validation_s=validation_s, validation_loss=loss, improved=improved, load_average=load_average(),
            others=others, parts=watch.parts, writing_s=self.writing_s,
        )  # fmt: skip
        self.writing_s = 0.0
        done.epoch, done.logits[f"epoch{epoch}"] = epoch, logits
        if improved:
            done.best_loss, done.best_epoch, done.best = loss, epoch, self.adapter.dump(self.model)
        self.keep(checkpoint.save, self.folder, done, self.adapter, self.model)

    def keep(self, write: Callable[..., None], *what: Any, **named: Any) -> None:
        """Write it, on the one of several ranks that writes. The time counts as such; the next event says how long it took."""
        began = time.perf_counter()
        if ranks.rank() == 0:
            write(*what, **named)
        self.writing_s += time.perf_counter() - began

    def finish(self) -> None:
        """Predict with the weights of the lowest validation loss, the test split too; keep both."""
        self.adapter.load(self.model, self.done.best)
        logits, prediction_s = self.validate(self.spec.recipe.epochs, "prediction")
        arrays, test_s = {"prediction": logits, **self.done.logits}, 0.0
        if len(self.plan.test_rows):
            epochs = self.spec.recipe.epochs
            arrays["test"], test_s = self.predict(self.plan.test_rows, self.plan.test_crops, epochs, "test")
        self.keep(write_arrays, self.folder / "logits.npz", **arrays)
        assert self.spec.weights.preprocessing is not None
        file = self.folder / "weights.safetensors"
        self.keep(save_weights, file, self.done.best, self.spec.model, self.spec.weights.preprocessing)
        peak = self.adapter.peak_device_bytes()  # of the trial, not of what its gate takes
        if self.tuned:
            self.tuned.check(self.plan, logits)
        ranks.done()
        lived_s = time.time() - float(os.environ[STARTED])
        self.events.write(
            "done",
            prediction_s=prediction_s,
            test_s=test_s,
            writing_s=self.writing_s,
            lived_s=lived_s,
            peak_device_bytes=peak,
        )
        if self.spec.ceilings:  # after the trial: neither its time nor its memory
            self.events.write("ceilings", **ceilings.measured(self).model_dump())
        self.keep(checkpoint.remove, self.folder)


def run(folder: Path, resume: bool) -> int:
    """Carry out the trial in `folder` (spec.json), from its last checkpoint where it may. 0: done; 1: failed, with
    the reason as an event."""
    born = float(os.environ[STARTED])
    events = Events(ranks.said(folder, ranks.rank()))
    events.write("born", at=born)
    try:
        spec = TrialSpec.model_validate(read_json(folder / "spec.json"))
        if framework_info(spec.framework).PARALLEL == "ranks" and ranks.rank() == 0:
            words = [str(folder), *([RESUME] if resume else [])]
            ranks.start_others(folder, words, spec.process.devices, lambda why: events.write("failed", reason=why))
        trial = Trial(folder, spec, events)
        if resume:
            trial.done = checkpoint.load(folder, trial.adapter, trial.model)
        best = trial.done.best_loss if trial.done.epoch else None
        events.write("ready", start_s=time.time() - born, done_epochs=trial.done.epoch, best_loss=best)
        for epoch in range(trial.done.epoch + 1, spec.recipe.epochs + 1):
            trial.epoch(epoch)
        trial.finish()
    except Exception as error:
        traceback.print_exc()
        changed = ""
        if isinstance(error, ImageError) and spec.feed.files:  # a loader's worker wraps it into a traceback
            changed = changed_images(folder.parent.parent / spec.feed.files)
        # What it died of, and not of what it heard.
        lost = ranks.lost(folder, AFTER_S if ranks.several() else 0.0)
        events.write("failed", reason=lost or changed or reason(error))
        return 1
    return 0


def main(arguments: list[str]) -> int:
    folders = [Path(a) for a in arguments if a != RESUME]
    if len(folders) != 1 or not (folders[0] / "spec.json").is_file():
        what = f"{folders[0] / 'spec.json'} is not there; " if len(folders) == 1 else ""
        print(f"{what}usage: python -m common.trial.worker results/<run>/trials/<trial>", file=sys.stderr)
        return 2
    folder = folders[0].resolve()
    if "FRAMEWORK_BENCH_CHILD" in os.environ:
        die_with_parent()
        return run(folder, RESUME in arguments)
    # Repeated alone: what is left of the earlier try goes; threads and device are set as the parent would.
    try:
        hold(folder.parent.parent, through_exec=True)  # not while its run is running
        use_cache(through_exec=True)
        with readable(f"{folder / 'spec.json'}"):
            process = TrialSpec.model_validate(read_json(folder / "spec.json")).process
    except InputError as error:
        print(f"common.trial.worker: error: {error}", file=sys.stderr)
        return 2
    clear(folder)
    (folder / "log.txt").unlink(missing_ok=True)
    variables = environment(process.threads, process.device) | {"FRAMEWORK_BENCH_CHILD": str(os.getppid())}
    os.execve(sys.executable, [sys.executable, "-m", "common.trial.worker", str(folder)], variables)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The CHILD's trial as an object: its adapter, model and feeds; it trains, validates and predicts, and owns clock and fences."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from common.core import openmp
from common.core.errors import InputError
from common.core.events import Built, Events
from common.core.files import write_arrays
from common.core.hashing import hash_arrays
from common.core.results import EpochRecord
from common.core.specs import BuildSpec, ExecutionConfig, TrialSpec
from common.data.balance import positive_weights
from common.data.chunk_store import ChunkStore
from common.data.feed import Decoded, Feed, Source, image_contents, image_paths, read_plan
from common.process import ranks
from common.process.cpu_contention import Neighbours
from common.process.trial_files import RECEIPTS
from common.trial import checkpoint
from common.trial.contract import Adapter, Optimizable, load_adapter
from common.trial.initial_weights import initialise, save_weights, smoothed_odds
from common.trial.loss import bce_with_logits
from common.trial.stopwatch import Lie, Watch, check_loss, load_average


class Trial:
    """One adapter, one model, its feeds, and the weights of the lowest validation loss."""

    def __init__(self, folder: Path, spec: TrialSpec, events: Events):
        self.folder, self.spec, self.events = folder, spec, events
        self._read_inputs(folder.parent.parent)
        self.features: ChunkStore | None = None  # read in place of pixels, in the tuned lane
        self.adapter: Adapter = load_adapter(spec.framework)(spec.process, spec.seed)
        self.positive_weights: np.ndarray | None = None
        if spec.feed.balance == "weighted":
            self.positive_weights = positive_weights(self.labels, self.plan.visits)
        self.model = self.adapter.build(self._build_spec())
        loaded = self._load_weights(folder.parent.parent)
        self.facts = self._facts()
        events.write(Built(
            facts=self.facts, environment=self.adapter.environment(),
            weights_report={what: len(names) for what, names in loaded.items()},
            weights_names={what: tuple(names) for what, names in loaded.items() if what != "loaded"},
        ))  # fmt: skip
        self.done, self.epoch_s, self.writing_s = checkpoint.State(), 0.0, 0.0

    def _read_inputs(self, run: Path) -> None:
        """Plan, labels and pixels, each checked against the hash that the trial was planned with."""
        feed = self.spec.feed
        self.plan = read_plan(run / feed.plan, feed.plan_hash)
        with np.load(run / feed.labels) as arrays:
            self.labels = arrays["labels"]
        self._check("labels", feed.labels_hash, hash_arrays(self.labels))
        self.stored: ChunkStore | None = None
        self.decoded: Decoded | None = None
        if feed.pixels:
            self.stored = ChunkStore(run / feed.pixels)
            self._check("pixels", feed.pixels_hash, self.stored.record.hash)
        if feed.files:
            files = run / feed.files
            self.decoded = Decoded(image_paths(files), feed.image_side, image_contents(files))

    @staticmethod
    def _check(what: str, planned: str, found: str) -> None:
        if planned and found != planned:
            raise InputError(
                f"the {what} changed since the trial was planned ({found}, not {planned}); start the run anew"
            )

    def _build_spec(self) -> BuildSpec:
        spec, weights = self.spec, self.positive_weights
        assert spec.weights.preprocessing is not None
        return BuildSpec(
            model=spec.model, classes=spec.feed.classes, side=spec.feed.image_side, train=spec.trained_part,
            preprocessing=spec.weights.preprocessing, learning_rate=spec.recipe.learning_rate,
            schedule=spec.recipe.schedule, frozen_norm=spec.recipe.frozen_norm, formulas=spec.recipe.formulas,
            positive_weights=() if weights is None else tuple(weights.tolist()),
        )  # fmt: skip

    def _load_weights(self, run: Path) -> dict[str, list[str]]:
        """The names of the tensors that were loaded, missing and unexpected."""
        positives = self.labels[self.plan.visits].sum(axis=0, dtype=np.int64)
        odds = smoothed_odds(positives, len(self.plan.visits), self.positive_weights)
        matched = self.spec.recipe.formulas == "matched"
        return initialise(self.adapter, self.model, self.spec.weights, run, odds, self.spec.seed, matched)

    def _facts(self) -> dict[str, Any]:
        spec = self.spec
        facts = self.adapter.facts(self.model) | {
            "trained part": spec.trained_part,
            "workers asked": str(spec.feed.workers),
            "lane": spec.lane,
            openmp.FACT: openmp.in_force(os.environ),
        }
        if spec.recipe.formulas == "matched" or not spec.weights.random:
            facts.pop("initialisation", None)  # nothing of it is left but the head, which is drawn for all
        return facts

    @property
    def pixels(self) -> Source:
        """Of whole images."""
        source = self.stored or self.decoded
        assert source is not None
        return source

    def feed(self, rows: np.ndarray, labels: np.ndarray | None, crops: np.ndarray) -> Feed:
        recipe, workers = self.spec.recipe, self.spec.feed.workers
        cropped = crops if len(crops) else None
        source = self.features or (self.decoded if cropped is not None else None) or self.pixels
        return Feed(source, rows, labels, recipe.batch_size, workers, cropped)

    def execute_as(self, config: ExecutionConfig) -> None:
        """From now on the adapter trains and predicts in this config ({}: as in the default lane), on features where they
        are kept."""
        assert isinstance(self.adapter, Optimizable)
        example = None if self.features is None else self.features.read(np.zeros(1, np.int32))
        self.adapter.run_as(self.model, config, example)

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
        self.events.write(EpochRecord(
            epoch=epoch, train_s=train_s, first_step_s=watch.first_step_s, wait_s=watch.wait_s,
            images=watch.images, images_per_s=watch.images / train_s, train_loss=train_loss,
            validation_s=validation_s, validation_loss=loss, improved=improved, load_average=load_average(),
            others=others, parts=watch.parts, writing_s=self.writing_s,
        ))  # fmt: skip
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

    def predict_best(self) -> tuple[np.ndarray, float, float]:
        """Predict with the weights of the lowest validation loss, the test split too, and write all of it. Returns the
        validation split's logits, and the seconds of either prediction."""
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
        return logits, prediction_s, test_s

"""The CHILD's tuned lane: the frozen part once per image, into a store; each part run in the way a measurement finds.

The mathematics stays the default lane's: at the end both lanes' logits are computed with the trained weights and compared.
"""

import os
import shutil
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from common.core.events import Events
from common.core.files import cache_folder
from common.core.formatting import size_text
from common.core.hashing import hash_arrays
from common.core.specs import Plan, TrialSpec, Way
from common.data import feature_store
from common.data.feed import Source
from common.process.trial_files import TUNING
from common.trial.contract import Adapter, Optimizable, Ways
from common.trial.stopwatch import STEP_EVENT_S, unwatched

MEASURED_S = 0.7  # of each way of the frozen part
STEPS, STEPS_S, LEAST_STEPS = 20, 2.0, 3  # a way of what trains is tried for so many steps, or so long, but for three
WORTH_COMPILING_S = 300.0  # a compiler takes up to half a minute, and has saved a tenth: tried where so much is to run
WORTH_TRYING_S = 5.0  # of other ways: a measurement takes one
GAIN = 1.03  # less is this machine's noise
FORM = 1  # raise it when what adapters make of the same frozen part changes, and older stores are not used
SAMPLE = 64  # images on which both lanes' logits are compared
CHANGES = ("optimiser", "dropout")  # facts that `run_as` may change; precision and compilation are what it was told
ALLOWED = 0.05  # of the logits' spread over the sample; bfloat16 rounds at 0.004, once a layer

Measure = Callable[[Way], tuple[float, float]]  # images/s, and the seconds until the first were done


class Tuned:
    """What the tuned lane does for one trial: `source` is what its feeds read from (None: pixels, as ever)."""

    def __init__(self, trial: Any):
        self.trial, self.spec, self.adapter, self.model = trial, trial.spec, trial.adapter, trial.model
        self.events: Events = trial.events
        self.source: feature_store.FeatureStore | None = None
        self._extractor = Extractors(self.adapter, self.model, self.spec.features)
        self._frozen_weights = ""
        self.said: dict[str, Any] = {"why not": why_not(self.spec, self.adapter, self.model)}

    def prepare(self, pixels: Source, plan: Plan, earlier: dict[str, Any]) -> None:
        """Choose the ways, fill the store, and have the model run so. earlier: what was said before a kill: the trial goes
        on in the ways it began with."""
        began = time.perf_counter()
        if not isinstance(self.adapter, Optimizable):
            self._finish(began)
            return
        rows = np.unique(np.concatenate([plan.train_rows, plan.validation_rows, plan.test_rows]))
        if not self.said["why not"]:
            self._features(pixels, rows, earlier.get("frozen"))
        if ways := self.adapter.training_ways(self.model, self.source is not None):
            self.said["trained"] = earlier.get("trained") or self._search(
                "trained", ways, self._steps_tried(plan), plan.orders.size
            )
        self._run_as(self.said.get("trained", {}))
        self._finish(began)

    def _finish(self, began: float) -> None:
        ways = [self.said.get(part, {}) for part in ("frozen", "trained")]
        frozen, trained = (way.get("precision", "float32") for way in ways)
        compilers = [str(way.get("compiler", "none")) for way in ways]
        kept = (
            f"frozen part once per image in {frozen}, kept as {self.spec.features}" if self.source else "nothing kept"
        )
        before, now = self.trial.facts, self.adapter.facts(self.model)
        facts = {name: words for name, words in now.items() if name in CHANGES and words != before.get(name)}
        facts["lane"] = f"tuned: {kept}; training in {trained}"
        if {frozen, trained} != {"float32"}:
            apart = f"frozen part in {frozen}, " if self.source else ""
            facts["precision"] = f"float32; {apart}training computed in {trained}"
        if compilers[1] != "none":
            facts["compiled"] = f"training by {compilers[1]}"
        self.said["facts"] = facts
        self.said["tuning_s"] = time.perf_counter() - began - self.said.get("fill_s", 0.0)
        self.events.write("tuned", **self.said)

    def _run_as(self, way: Way) -> None:
        self.adapter.run_as(self.model, way, None if self.source is None else self.source.read(np.zeros(1, np.int32)))

    # the frozen part

    def _features(self, pixels: Source, rows: np.ndarray, way: Way | None) -> None:
        ways = self.adapter.frozen_ways(self.model)
        if way is not None and ways.keys() - way.keys():  # it had found a store, which need not be there any more
            ways, way = ways | {setting: (value,) for setting, value in way.items()}, None
        # A store of any of the precisions, filled by an earlier trial, leaves nothing to choose.
        precisions = dict.fromkeys(ways.get("precision", ("",)) if way is None else (way.get("precision", ""),))
        began = time.perf_counter()
        folders = {p: self._folder(p, rows) for p in precisions}
        kept = next((p for p, folder in folders.items() if feature_store.complete(folder, rows)), None)
        if kept is not None:
            way, filled = way or {"precision": kept}, 0
        else:
            begun = [p for p, folder in folders.items() if feature_store.begun(folder)]
            ways |= {"precision": tuple(begun)} if begun else {}  # a kill left it: it goes on
            if not way:
                images = pixels.read(np.resize(rows, max(SAMPLE, *ways.get("micro batch", ()))), None)
                way = self._search("frozen", ways, rate_of_frozen(self._extractor, images), len(rows))
            began = time.perf_counter()
            filled = self._fill(folders[way.get("precision", "")], pixels, rows, way)
        self.source = feature_store.FeatureStore(folders[way.get("precision", "")])
        self.said |= {
            "frozen": way, "filled": filled, "shape": self.source.meta["shape"], "dtype": self.source.meta["dtype"],
            "store": os.path.relpath(self.source.folder, self.trial.folder.parent.parent.resolve()),
            "fill_s": time.perf_counter() - began, "images": len(rows),
        }  # fmt: skip

    def _fill(self, folder: Path, pixels: Source, rows: np.ndarray, way: Way) -> int:
        size, began = int(way.get("micro batch", 32)), time.perf_counter()
        extract, last = self._extractor(way), [began]
        first = pixels.read(np.resize(rows, size), None)  # of no other size: that would be built anew
        shape = extract(first).shape[1:]
        size_bytes = int(np.prod(shape)) * np.dtype(self.spec.features).itemsize * len(rows)
        self.events.write("storing", images=len(rows), size=size_text(size_bytes))

        def progress(done: int, images: int) -> None:
            now = time.perf_counter()
            if now - last[0] > STEP_EVENT_S or done == images:
                last[0] = now
                self.events.write("features", done=done, images=images, elapsed_s=now - began)

        def waiting(waited_s: float) -> None:  # a sign of life each time: a trial that says nothing is ended
            self.events.write("waiting", waited_s=waited_s)

        with ThreadPoolExecutor(1) as reader:  # the next images are read while these are computed
            compute = _ahead(pixels, extract, size, reader)
            total = int(rows.max()) + 1
            filled = feature_store.fill(folder, rows, total, compute, shape, self.spec.features, progress, waiting)
        self._extractor.clear()
        return filled

    def _folder(self, precision: str | int, rows: np.ndarray) -> Path:
        """Of the store of all that the features depend on: no seed, split or balance is among it."""
        if not self._frozen_weights:
            trained = self.adapter.trainable(self.model)
            frozen = {n: a for n, a in sorted(self.adapter.dump(self.model).items()) if n not in trained}
            self._frozen_weights = feature_store.key(names=list(frozen), values=hash_arrays(*frozen.values()))
        name = feature_store.key(
            pixels=self.spec.feed.pixels_hash, side=self.spec.feed.image_side, rows=hash_arrays(rows),
            form=FORM, weights=self._frozen_weights, model=str(self.spec.model),
            cut=self.spec.trained_part, preprocessing=self.spec.weights.preprocessing.model_dump(),
            formulas=self.spec.recipe.formulas, precision=precision, dtype=self.spec.features, device=self.spec.process.device,
            framework=self.spec.framework, versions=self.adapter.environment().get("framework", ""),
        )  # fmt: skip
        return cache_folder() / "features" / name

    # what trains

    def _steps_tried(self, plan: Plan) -> Measure:
        """Training steps, after which the model is as it was before."""
        batch = self.spec.recipe.batch_size

        def measure(way: Way) -> tuple[float, float]:
            state = self.trial.folder / TUNING / "state"
            state.parent.mkdir(exist_ok=True)
            self.adapter.save(self.model, state)
            try:
                began = time.perf_counter()
                self._run_as(way)
                self._train(plan, 1)
                build_s = time.perf_counter() - began
                step_s = self._train(plan, LEAST_STEPS)
                if (more := min(STEPS, int(STEPS_S / step_s))) > LEAST_STEPS:
                    step_s = self._train(plan, more)
                return batch / step_s, build_s
            finally:
                self.adapter.restore(self.model, state)
                self.adapter.run_as(self.model, {}, None)
                shutil.rmtree(state.parent)

        return measure

    def _train(self, plan: Plan, steps: int) -> float:
        """Seconds of a step, but for the first."""
        rows = np.resize(plan.orders[0], steps * self.spec.recipe.batch_size)
        feed = self.trial.feed(rows, self.trial.labels[rows], np.empty(0))
        watch, began = unwatched("train", feed.batches), time.perf_counter()
        self.adapter.train_epoch(self.model, feed, watch)
        self.adapter.fence()
        return max(time.perf_counter() - began - watch.first_step_s, 1e-9) / max(steps - 1, 1)

    def _search(self, part: str, ways: Ways, measure: Measure, images: int) -> Way:
        slow = self.adapter.SLOW

        def tell(**said: Any) -> None:
            self.events.write("tried", part=part, **said)

        way, rate = search(ways, slow, measure, images, tell, again=part == "trained")
        self.said[f"forecast_{part}_s"] = images / rate
        return way

    # the gate

    def check(self, plan: Plan, logits: np.ndarray) -> None:
        """Both lanes' logits with the trained weights, on the first validation images. logits: the tuned lane's. A gate that
        fails to compute the default lane's has not passed, and fails no finished trial."""
        if self.said["why not"] and not self.said.get("trained"):
            return
        began, error, failed = time.perf_counter(), None, ""
        try:
            plain = self._plain(plan)
            error = apart(logits[: len(plain)], plain)
        except Exception as caught:
            traceback.print_exc()  # into the trial's log
            failed = f"{type(caught).__name__}: {caught}"[:300]
        passed, took = error is not None and error <= ALLOWED, time.perf_counter() - began
        images = len(plan.validation_rows[:SAMPLE])
        self.events.write(
            "lane gate", images=images, error=error, allowed=ALLOWED, passed=passed, failed=failed, seconds=took
        )

    def _plain(self, plan: Plan) -> np.ndarray:
        """The default lane's logits of the first validation images."""
        rows, crops, epochs = plan.validation_rows[:SAMPLE], plan.validation_crops, self.spec.recipe.epochs
        source, self.source = self.source, None
        try:
            self.adapter.run_as(self.model, {}, None)
            return self.trial.predict(rows, crops[epochs][:SAMPLE] if len(crops) else crops, epochs, "gate")[0]
        finally:
            self.source = source
            self._run_as(self.said.get("trained", {}))


def apart(logits: np.ndarray, plain: np.ndarray) -> float:
    """Norm of the difference over the norm of the plain ones' spread over the images [n, classes]; of a single image, which
    has no spread, over their own."""
    spread = np.linalg.norm(plain - plain.mean(axis=0)) if len(plain) > 1 else np.linalg.norm(plain)
    difference = np.linalg.norm(logits - plain)
    return float(difference / spread) if spread else float(difference > 0)


class Extractors:
    """Each way's extractor, built once: what a compiler made for the measurement is what fills the store."""

    def __init__(self, adapter: Optimizable, model: Any, dtype: str):
        self._build = lambda way: adapter.extractor(model, way, dtype)
        self._built: dict[tuple, Callable[[np.ndarray], np.ndarray]] = {}

    def __call__(self, way: Way) -> Callable[[np.ndarray], np.ndarray]:
        key = tuple(way.items())
        if key not in self._built:
            self._built[key] = self._build(way)
        return self._built[key]

    def clear(self) -> None:
        self._built.clear()


def rate_of_frozen(extractor: Callable[[Way], Callable[[np.ndarray], np.ndarray]], images: np.ndarray) -> Measure:
    """images: uint8 [n, side, side, 3]; n a multiple of every micro batch."""

    def measure(way: Way) -> tuple[float, float]:
        began, size = time.perf_counter(), int(way.get("micro batch", 32))
        extract = extractor(way)
        extract(images[:size])
        built, done = time.perf_counter(), 0
        while time.perf_counter() - built < MEASURED_S:
            at = done % len(images)
            extract(images[at : at + size])
            done += size
        return done / (time.perf_counter() - built), built - began

    return measure


def search(
    ways: Ways, slow: tuple[str, ...], measure: Measure, images: int, tell: Callable[..., None], again: bool = False
) -> tuple[Way, float]:
    """The fastest way for so many images, and its images/s; found setting by setting, each in the best way so far.

    What cannot pay back is not tried: the rest of the work is shorter than trying, or than building where that is slow.
    again: what is taken is built once more; what was slow to build is then taken where it saves more than that.
    `tell` is told of every way: its rate and the seconds that it took to build, or why it failed, or was skipped.
    """

    def tried(way: Way) -> tuple[float, float]:
        try:
            rate, build_s = measure(way)
        except Exception as error:  # a way that this machine or library does not have
            failures.append(f"{type(error).__name__}: {error}"[:300])
            tell(way=way, failed=failures[-1])
            return 0.0, 0.0
        tell(way=way, images_per_s=rate, build_s=build_s)
        return rate, build_s

    failures: list[str] = []
    best = {setting: values[0] for setting, values in ways.items()}
    rate, _ = tried(best)
    for setting, values in ways.items():
        for value in values[1:]:
            way, left_s = best | {setting: value}, images / max(rate, 1e-9)
            if left_s < (WORTH_COMPILING_S if value in slow else WORTH_TRYING_S):
                tell(way=way, skipped=f"not worth trying, {left_s:.0f} s are to run")
                continue
            now, build_s = tried(way)
            pays = not again or value not in slow or (now and left_s - images / now > build_s)
            if now and now >= rate * GAIN and pays:
                best, rate = way, now
    if not rate:
        raise RuntimeError(f"no way of the tuned lane ran; the first failed with {failures[0]}")
    return best, rate


def why_not(spec: TrialSpec, adapter: Adapter, model: Any) -> str:
    """Why the frozen part is not run once per image; "" where it is."""
    if not isinstance(adapter, Optimizable):
        return f"{spec.framework} offers no tuned lane"
    if spec.nothing_kept:
        return spec.nothing_kept
    if not adapter.frozen_ways(model):
        return f"where the frozen part of {spec.model} ends is not known on {spec.framework}"
    return ""


def _ahead(
    pixels: Source, extract: Callable[[np.ndarray], np.ndarray], size: int, reader: ThreadPoolExecutor
) -> Callable[[np.ndarray], Iterator[np.ndarray]]:
    """Row numbers -> features, `size` images at a time; always as many, so that nothing is built anew for a short rest."""

    def compute(rows: np.ndarray) -> Iterator[np.ndarray]:
        parts = [rows[at : at + size] for at in range(0, len(rows), size)]
        coming = reader.submit(pixels.read, parts[0], None)
        for i, part in enumerate(parts):
            images = coming.result()
            if i + 1 < len(parts):
                coming = reader.submit(pixels.read, parts[i + 1], None)
            padded = np.resize(images, (size, *images.shape[1:])) if len(images) < size else images
            yield extract(padded)[: len(part)]

    return compute

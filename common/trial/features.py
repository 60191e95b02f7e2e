"""The CHILD's use of the feature store: what the frozen part makes of each image is found there, or computed once."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from common.core.events import StoringProgress, StoringStarted, WaitingForStore
from common.core.files import cache_folder
from common.core.formatting import size_text
from common.core.hashing import hash_arrays
from common.core.results import Tuning
from common.core.specs import ExecutionConfig, SearchSpace, TrialSpec
from common.data import chunk_store, feature_store
from common.data.chunk_store import ChunkStore
from common.data.feed import Source
from common.trial.contract import Adapter, Optimizable
from common.trial.driver import Trial
from common.trial.search import Extractor, rate_of_frozen, search
from common.trial.stopwatch import STEP_EVENT_S

FORM = 1  # raise it when what adapters make of the same frozen part changes, and older stores are not used
TIMED = 64  # images at the least, on which configs are timed


class Extractors:
    """Each config's extractor, built once: what a compiler made for the measurement is what fills the store."""

    def __init__(self, adapter: Optimizable, model: Any, dtype: str):
        self._build = lambda config: adapter.extractor(model, config, dtype)
        self._built: dict[tuple, Extractor] = {}

    def __call__(self, config: ExecutionConfig) -> Extractor:
        key = tuple(config.items())
        if key not in self._built:
            self._built[key] = self._build(config)
        return self._built[key]

    def clear(self) -> None:
        self._built.clear()


def keep_features(trial: Trial, adapter: Optimizable, earlier: ExecutionConfig) -> tuple[ChunkStore, Tuning]:
    """The store with the features of every image of the trial, and how they came there. earlier: the config that the trial
    chose before a kill; empty: none. A complete store leaves nothing to choose, whatever its precision."""
    plan, space, config = trial.plan, adapter.frozen_ways(trial.model), earlier
    rows = np.unique(np.concatenate([plan.train_rows, plan.validation_rows, plan.test_rows]))
    if config and space.keys() - config.keys():  # it had found a store, which need not be there any more
        space, config = space | {setting: (value,) for setting, value in config.items()}, {}
    began = time.perf_counter()
    precisions = (config.get("precision", ""),) if config else space.get("precision", ("",))
    folders = store_folders(trial.spec, adapter, trial.model, rows, precisions)
    found = next((p for p, folder in folders.items() if feature_store.complete(folder, rows)), None)
    if found is None:
        made = _compute(trial, adapter, rows, space, config, folders)
    else:
        made = Tuning(frozen=config or {"precision": found}, filled=0, fill_s=time.perf_counter() - began)
    store = ChunkStore(folders[made.frozen.get("precision", "")])
    where = os.path.relpath(store.folder, trial.folder.parent.parent.resolve())
    form = {"shape": store.record.shape, "dtype": store.record.dtype}
    return store, made.model_copy(update={"store": where, "images": len(rows), **form})


def _compute(
    trial: Trial, adapter: Optimizable, rows: np.ndarray, space: SearchSpace, config: ExecutionConfig,
    folders: dict[str | int, Path],
) -> Tuning:  # fmt: skip
    """Search for a config where none is given, and fill the store of its precision. A store that a kill left is filled on."""
    extractors, found = Extractors(adapter, trial.model, trial.spec.features), Tuning()
    if not config:
        if begun := tuple(p for p, folder in folders.items() if chunk_store.is_begun(folder)):
            space = space | {"precision": begun}
        sizes = map(int, space.get("micro batch", ()))
        measure = rate_of_frozen(extractors, trial.pixels.read(np.resize(rows, max([TIMED, *sizes])), None))
        config, rate = search("frozen", space, adapter.SLOW, measure, len(rows), trial.events.write)
        found = Tuning(forecast_frozen_s=len(rows) / rate)
    began = time.perf_counter()
    filled = _fill(folders[config.get("precision", "")], trial, rows, extractors(config), config)
    return found.model_copy(update={"frozen": config, "filled": filled, "fill_s": time.perf_counter() - began})


def _fill(folder: Path, trial: Trial, rows: np.ndarray, extract: Extractor, config: ExecutionConfig) -> int:
    """How many images were computed now."""
    size, began = int(config.get("micro batch", 32)), time.perf_counter()
    last = began
    # In no other size than a micro batch: the extractor would be built anew for it.
    shape = extract(trial.pixels.read(np.resize(rows, size), None)).shape[1:]
    size_bytes = int(np.prod(shape)) * np.dtype(trial.spec.features).itemsize * len(rows)
    trial.events.write(StoringStarted(images=len(rows), size=size_text(size_bytes)))

    def progress(done: int, images: int) -> None:
        nonlocal last
        now = time.perf_counter()
        if now - last > STEP_EVENT_S or done == images:
            last = now
            trial.events.write(StoringProgress(done=done, images=images, elapsed_s=now - began))

    def waiting(waited_s: float) -> None:  # a sign of life each time: a trial without events is ended
        trial.events.write(WaitingForStore(waited_s=waited_s))

    with ThreadPoolExecutor(1) as reader:  # the next images are read while these are computed
        compute = _ahead(trial.pixels, extract, size, reader)
        return feature_store.fill(folder, rows, compute, shape, trial.spec.features, progress, waiting)


def store_folders(
    spec: TrialSpec, adapter: Adapter, model: Any, rows: np.ndarray, precisions: tuple[str | int, ...]
) -> dict[str | int, Path]:
    """The store's folder for each precision, named after all that features depend on: no seed, split or balance is among it."""
    trained = adapter.trainable(model)
    frozen = {name: array for name, array in sorted(adapter.dump(model).items()) if name not in trained}
    assert spec.weights.preprocessing is not None
    content = {
        "pixels": spec.feed.pixels_hash, "side": spec.feed.image_side, "rows": hash_arrays(rows), "form": FORM,
        "weights": feature_store.key(names=list(frozen), values=hash_arrays(*frozen.values())), "model": str(spec.model),
        "cut": spec.trained_part, "preprocessing": spec.weights.preprocessing.model_dump(),
        "formulas": spec.recipe.formulas, "dtype": spec.features, "device": spec.process.device,
        "framework": spec.framework, "versions": adapter.environment().get("framework", ""),
    }  # fmt: skip
    folder = cache_folder() / "features"
    return {precision: folder / feature_store.key(precision=precision, **content) for precision in precisions}


def _ahead(
    pixels: Source, extract: Extractor, size: int, reader: ThreadPoolExecutor
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

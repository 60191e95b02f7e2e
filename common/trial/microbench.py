"""The CHILD's answers to the measurements of the harness itself (benchmarks/self): how long a framework takes for one thing."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from common.core.errors import InputError
from common.core.machine import cores_allowed
from common.core.results import Tried
from common.core.specs import BuildSpec
from common.data.feed import Feed, Held
from common.process.questions import FrozenPass
from common.trial import ceilings
from common.trial.contract import Adapter, Measurable, Optimizable
from common.trial.features import Extractors
from common.trial.search import rate_of_frozen, search
from common.trial.stopwatch import unwatched

COPIES = 20  # of a block, in a call that is timed


def receipt_seconds(adapter: Adapter, spec: BuildSpec, images: int) -> float:
    """Of one batch's receipt: the median of 50, after 5 that are not counted."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, spec.side, spec.side, 3), np.uint8)
    labels, ids = np.zeros((images, spec.classes), np.float32), np.arange(images)
    model, seconds = adapter.build(spec), []
    for _ in range(55):
        began = time.perf_counter()
        adapter.receipt(model, pixels, labels, ids)
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds[5:]))


def _in_memory(spec: BuildSpec, images: int, rows: int, batch: int, labelled: bool) -> Feed:
    """So many rows of random images that are kept in memory, again and again."""
    pixels = np.random.default_rng(0).integers(0, 256, (images, spec.side, spec.side, 3), np.uint8)
    labels = np.zeros((rows, spec.classes), np.uint8) if labelled else None
    return Feed(Held(pixels), np.resize(np.arange(images, dtype=np.int32), rows), labels, batch, 0)


def _pass_s(adapter: Adapter, model: Any, feed: Feed, takes_apart: bool = True) -> float:
    """Fenced seconds of training where the feed has labels, of predicting where not."""
    run, phase = (adapter.predict, "predict") if feed.labels is None else (adapter.train_epoch, "train")
    watch = unwatched(phase, feed.batches, takes_apart)
    adapter.fence()
    began = time.perf_counter()
    run(model, feed, watch)
    adapter.fence()
    return time.perf_counter() - began


def step_seconds(adapter: Adapter, spec: BuildSpec, images: int, steps: int) -> dict[str, float]:
    """Of one forward pass and one training step over the same batch, kept in memory: means over `steps`, of the second
    pass over them, in which nothing is built any more."""
    model, seconds = adapter.build(spec), {}
    for what in ("forward", "step"):
        feed = _in_memory(spec, images, images * steps, images, labelled=what == "step")
        seconds[what] = [_pass_s(adapter, model, feed) / steps for _ in range(2)][-1]
    return seconds


def tracing_seconds(adapter: Adapter, spec: BuildSpec, images: int, steps: int, times: int) -> dict[str, float]:
    """Of one training step, taken apart and not: the fastest of so many passes each, in turn, after one that is not counted."""
    feed = _in_memory(spec, images, images * steps, images, labelled=True)
    models = {"apart": adapter.build(spec), "whole": adapter.build(spec)}  # a compiled step is the one or the other
    took = [
        {how: _pass_s(adapter, m, feed, how == "apart") / steps for how, m in models.items()} for _ in range(times + 1)
    ]
    return {how: min(seconds[how] for seconds in took[1:]) for how in models}


def moved_bytes(adapter: Adapter, model: Any, side: int) -> tuple[float, float]:
    """Of one image in 16 bits: what the frozen convolutions read and write, each output written once and read once, all
    between them joined to them; and what one of them does on average."""
    made = adapter.activations(model, np.zeros((1, side, side, 3), np.uint8), training=False)
    trained = adapter.trainable(model)
    kernels = {
        name.rpartition(".")[0] for name, a in adapter.dump(model).items() if a.ndim == 4 and name not in trained
    }
    sizes = [2.0 * 2 * array.size for name, array in made.items() if name in kernels]
    return sum(sizes), sum(sizes) / len(sizes)


def copied_bytes_s(size: int) -> float:
    """Bytes/s read and written by copying blocks of that many bytes, one block a core, again and again: the fastest call."""
    blocks = [np.ones((2, max(size // 2, 1)), np.uint8) for _ in range(cores_allowed())]
    with ThreadPoolExecutor(len(blocks)) as pool:  # NumPy lets go of the GIL

        def copy(block: np.ndarray) -> None:
            for _ in range(COPIES):
                np.copyto(block[1], block[0])

        def run() -> None:
            list(pool.map(copy, blocks))

        return COPIES * sum(block.nbytes for block in blocks) / ceilings.fastest_call_s(run, 0.5)


def frozen_pass(adapter: Adapter, spec: BuildSpec, images: int) -> FrozenPass:
    """Search the config of the frozen part, and measure it. InputError where the framework has no tuned lane or upper bounds."""
    if not isinstance(adapter, Optimizable) or not isinstance(adapter, Measurable):
        raise InputError("the framework's folder offers no tuned lane or no ceilings")
    tried = list[Tried]()
    feed, model = _in_memory(spec, images, 128, 64, labelled=False), adapter.build(spec)
    extractors, space, batch = Extractors(adapter, model, "float16"), adapter.frozen_ways(model), feed.batch(0)[0]
    batch = np.resize(batch, (max(len(batch), *map(int, space["micro batch"])), *batch.shape[1:]))
    # Every config is tried: for a thousand million images it would be worth it.
    config, _ = search("frozen", space, adapter.SLOW, rate_of_frozen(extractors, batch), 10**9, tried.append)
    size, extract = int(config["micro batch"]), extractors(config)
    tuned = size / ceilings.fastest_call_s(lambda: extract(batch[:size]), 4.0)
    extractors.clear()
    facts, (image_bytes, layer_bytes) = adapter.facts(model), moved_bytes(adapter, model, spec.side)
    adapter.run_as(model, {"precision": "bfloat16"}, None)
    bare = feed.images / ceilings.fastest_call_s(lambda: _pass_s(adapter, model, feed), 4.0)
    return FrozenPass(
        config=config, tried=tuple(tried), tuned=tuned, bare=bare,
        gflop=2 * (facts["gmac"] - facts["gmac_trained"]),
        peak=max(ceilings.peaks(adapter, str(config["precision"])).values()), moved_mb=image_bytes / 1e6,
        copied_gb_s=copied_bytes_s(int(layer_bytes * size / cores_allowed())) / 1e9,
    )  # fmt: skip


def passes(adapter: Adapter, spec: BuildSpec, images: int, steps: int, channel: int) -> int:
    """Train over the same batches in memory whenever the parent sends a line to the socket `channel`, and send back the fenced
    seconds; one pass before that is not counted. Returns how many there were once the parent closes the socket."""
    feed, done = _in_memory(spec, images, images * steps, images, labelled=True), 0
    model = adapter.build(spec)
    with socket.socket(fileno=channel) as connection, connection.makefile("rw") as stream:
        print(_pass_s(adapter, model, feed), file=stream, flush=True)
        for _ in stream:
            print(_pass_s(adapter, model, feed), file=stream, flush=True)
            done += 1
    return done

"""The CHILD that answers one question of the harness about a framework, then ends."""

import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import common.trace
from common import lane
from common.child import die_with_parent
from common.errors import InputError
from common.feed import Feed
from common.files import read_json, write_json
from common.initial import save_weights
from common.loading import load_adapter
from common.types import BuildSpec, ModelSpec, ProcessSpec, WeightsSpec
from common.watch import Events, Watch


def models(adapter: Any) -> list[str]:
    """Every model name the framework builds."""
    return adapter.models()


def environment(adapter: Any) -> dict[str, str]:
    """Versions and devices; fails where the asked device is not there."""
    return adapter.environment()


def preprocessing(adapter: Any, model: str) -> dict[str, Any]:
    """What the library does to an image before this model, if its weights are the library's."""
    return adapter.preprocessing(ModelSpec(name=model)).model_dump()


def export(adapter: Any, model: str, variant: str, source: str, target: str, named: bool) -> str:
    """Write `source` as canonical tensors to the safetensors file `target`; named: with the library's preprocessing."""
    tensors, usual = adapter.export(ModelSpec(name=model, variant=variant), source)
    save_weights(Path(target), tensors, ModelSpec(name=model, variant=variant), usual if named else None)
    return target


def trace(adapter: Any, spec: dict, weights: dict, batch: str, recorded: str, target: str) -> dict[str, Any]:
    """The framework's arithmetic for the parity gate, written to `target`: common/trace.py."""
    return common.trace.trace(
        adapter,
        BuildSpec(**spec),
        WeightsSpec(**weights),
        Path(batch),
        Path(recorded) if recorded else None,
        Path(target),
    )


def receipt_seconds(adapter: Any, spec: dict, images: int) -> float:
    """Of one batch's receipt: the median of 50, after 5 that are not counted."""
    spec, rng = BuildSpec(**spec), np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, spec.side, spec.side, 3), np.uint8)
    labels, ids = np.zeros((images, spec.classes), np.float32), np.arange(images)
    model, seconds = adapter.build(spec), []
    for _ in range(55):
        began = time.perf_counter()
        adapter.receipt(model, pixels, labels, ids)
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds[5:]))


def step_seconds(adapter: Any, spec: dict, images: int, steps: int) -> dict[str, float]:
    """Of one forward pass and one training step over the same batch, kept in memory: means over `steps`, of the second
    pass over them, in which nothing is built any more."""
    spec, rng = BuildSpec(**spec), np.random.default_rng(0)
    source = common.trace.Held(rng.integers(0, 256, (images, spec.side, spec.side, 3), np.uint8))
    rows = np.tile(np.arange(images, dtype=np.int32), steps)
    feeds = {
        "forward": Feed(source, rows, None, images, 0),
        "step": Feed(source, rows, np.zeros((len(rows), spec.classes), np.uint8), images, 0),
    }
    model, passes = adapter.build(spec), {"forward": adapter.predict, "step": adapter.train_epoch}
    seconds = {}
    for what, feed in feeds.items():
        for _ in range(2):
            watch = Watch(Events(Path(os.devnull)), what, 1, steps)
            adapter.fence()
            began = time.perf_counter()
            passes[what](model, feed, watch)
            adapter.fence()
            seconds[what] = (time.perf_counter() - began) / steps
    return seconds


def tracing_seconds(adapter: Any, spec: dict, images: int, steps: int, times: int) -> dict[str, float]:
    """Of one training step, taken apart and not: the fastest of so many passes each, in turn, after one that is not counted."""
    spec, rng = BuildSpec(**spec), np.random.default_rng(0)
    source = common.trace.Held(rng.integers(0, 256, (images, spec.side, spec.side, 3), np.uint8))
    rows = np.tile(np.arange(images, dtype=np.int32), steps)
    feed = Feed(source, rows, np.zeros((len(rows), spec.classes), np.uint8), images, 0)
    models = {True: adapter.build(spec), False: adapter.build(spec)}  # a compiled step is the one or the other
    took: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(times + 1):
        for apart, model in models.items():
            began = time.perf_counter()
            adapter.train_epoch(model, feed, Watch(Events(Path(os.devnull)), "train", 1, steps, apart))
            adapter.fence()
            took[apart].append((time.perf_counter() - began) / steps)
    return {"apart": min(took[True][1:]), "whole": min(took[False][1:])}


def frozen_pass(adapter: Any, spec: dict, images: int) -> dict[str, Any]:
    """The frozen part over images in memory: as it is, in bfloat16, 64 at once, with the head behind it; and in the way that
    the tuned lane finds. Images/s of the fastest of several calls each, GFLOP of an image, and the machine's best
    GFLOP/s in the precision that was found."""
    spec, rng = BuildSpec(**spec), np.random.default_rng(0)
    source = common.trace.Held(rng.integers(0, 256, (images, spec.side, spec.side, 3), np.uint8))
    model, tried = adapter.build(spec), []
    extractors: dict[tuple, Any] = {}

    def extractor(way: dict) -> Any:
        if tuple(way.values()) not in extractors:
            extractors[tuple(way.values())] = adapter.extractor(model, way, "float16")
        return extractors[tuple(way.values())]

    batch = source.read(np.resize(np.arange(images, dtype=np.int32), 64), None)
    measure = lane.rate_of_frozen(extractor, batch)
    # Every way is tried: 100,000 images would be worth it.
    way, _ = lane.search(adapter.frozen_ways(model), adapter.SLOW, measure, 100_000, lambda **said: tried.append(said))
    size, extract = int(way["micro batch"]), extractor(way)
    tuned = size / _fastest(lambda: extract(batch[:size]), 4.0)
    extractors.clear()
    facts = adapter.facts(model)
    adapter.run_as(model, {"precision": "bfloat16"}, None)
    feed = Feed(source, np.resize(np.arange(images, dtype=np.int32), 128), None, 64, 0)
    watch = Watch(Events(Path(os.devnull)), "predict", 1, 2)
    bare = 128 / _fastest(lambda: (adapter.predict(model, feed, watch), adapter.fence()), 4.0)
    products = adapter.products(str(way["precision"]))
    return {
        "way": way, "tried": tried, "tuned": tuned, "bare": bare, "gflop": 2 * (facts["gmac"] - facts["gmac_trained"]),
        "peak": max(flops / _fastest(run, 0.3) / 1e9 for flops, run in products.values()),
    }  # fmt: skip


def _fastest(run: Callable[[], Any], seconds: float) -> float:
    """Seconds of the fastest of the calls of so many seconds, at least three, after one that is not counted."""
    run()
    took, began = [], time.perf_counter()
    while len(took) < 3 or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        run()
        took.append(time.perf_counter() - start)
    return min(took)


QUESTIONS = {
    "models": models, "environment": environment, "preprocessing": preprocessing, "export": export, "trace": trace,
    "receipt_seconds": receipt_seconds, "step_seconds": step_seconds, "tracing_seconds": tracing_seconds, "frozen_pass": frozen_pass,
}  # fmt: skip


def main(request_file: str, answer_file: str) -> None:
    die_with_parent()
    request = read_json(Path(request_file))
    try:
        adapter = load_adapter(request["framework"])(ProcessSpec(**request["process"]), 0)
        answer = {"answer": QUESTIONS[request["question"]](adapter, **request["values"])}
    except InputError as error:
        answer = {"error": str(error)}
    except Exception as error:
        traceback.print_exc()
        answer = {"error": f"{request['framework']}: {type(error).__name__}: {error}"}
    write_json(Path(answer_file), answer)


if __name__ == "__main__":
    main(*sys.argv[1:])

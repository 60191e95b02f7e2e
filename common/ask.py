"""The CHILD that answers one question of the harness about a framework, then ends."""

import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

import common.trace
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


QUESTIONS = {
    "models": models, "environment": environment, "preprocessing": preprocessing, "export": export, "trace": trace,
    "receipt_seconds": receipt_seconds, "step_seconds": step_seconds,
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

"""Drive one framework's adapter and write what it did (tests/frameworks/test_frameworks.py).

Each line of standard input names a request and a place for the answer. Each request has a process of its own, as a trial
has. It is forked from one that has imported the framework and computed nothing, because the import takes seconds.
"""

import json
import os
import sys
import traceback
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from common.core.events import Events
from common.core.hashing import hash_weights
from common.core.registry import framework_info
from common.core.specs import BuildSpec, ModelSpec, Preprocessing, ProcessSpec, WeightsSpec
from common.data.chunk_store import ChunkStore
from common.data.feed import Feed
from common.trial.contract import load_adapter
from common.trial.initial_weights import initialise, smoothed_odds
from common.trial.stopwatch import Watch
from frameworks.contract import HALF


def answer(request, out):
    spec = ModelSpec(**request["model"])
    info = framework_info(request["framework"])
    adapter = load_adapter(request["framework"])(
        ProcessSpec(device="cpu", deterministic=False, threads=2, timeout_s=0), 0
    )
    preprocessing = info.MODELS[spec.name].preprocessing if spec.name in info.MODELS else HALF
    if request.get("preprocessing"):
        preprocessing = Preprocessing(**request["preprocessing"])
    labels = np.load(request["labels"])
    n, side = len(labels), request["side"]
    build = BuildSpec(
        model=spec, classes=labels.shape[1], side=side, preprocessing=preprocessing, train=request["train"],
        learning_rate=1e-3, **request["build"],
    )  # fmt: skip
    model = adapter.build(build)
    path = request.get("weights", "")
    weights = (
        WeightsSpec(source="file", path=path, sha256=hash_weights(Path(path))) if path else WeightsSpec(source="random")
    )
    said = initialise(adapter, model, weights, Path("/"), smoothed_odds(labels.sum(axis=0), n, None), 0)

    fits, queued = [], []
    if "keras" in sys.modules:
        import keras
        from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter

        real_fit = keras.Model.fit

        def counted(self, *arguments, **options):
            fits.append(type(arguments[0]).__mro__[1].__name__)
            queued.append(PyDatasetAdapter(arguments[0]).enqueuer is not None)
            return real_fit(self, *arguments, **options)

        keras.Model.fit = counted

    def feed(with_labels):
        return Feed(
            ChunkStore(Path(request["store"])),
            np.arange(n, dtype=np.int32),
            labels if with_labels else None,
            4,
            request["workers"],
        )

    events = Events(out.with_suffix(".jsonl"))
    before, first = adapter.dump(model), adapter.predict(model, feed(False), Watch(events, "validation", 0, 1))
    losses, functions, watches = [], [], []
    for epoch in (1, 2):
        watch = Watch(events, "train", epoch, 1)
        losses.append(adapter.train_epoch(model, feed(True), watch))
        watches.append(watch)
        functions.append(id(getattr(getattr(model, "network", model), "train_function", None)))
    after, last = adapter.dump(model), adapter.predict(model, feed(False), Watch(events, "validation", 2, 1))
    lowered, again_lowered = [], []
    state = out.with_suffix(".state")
    for number in range(5 if request["build"].get("schedule") else 0):  # a loss that falls once and then no more
        if number == 2:
            adapter.save(model, state)
        adapter.validated(model, 0.5)
        lowered.append(adapter.facts(model)["optimiser"])
    if lowered:
        adapter.restore(model, state)
    for _ in lowered[2:]:
        adapter.validated(model, 0.5)
        again_lowered.append(adapter.facts(model)["optimiser"])
    adapter.load(model, before)
    again = adapter.dump(model)
    restored = adapter.predict(model, feed(False), Watch(events, "validation", 2, 1))
    np.savez(out.with_suffix(".npz"), first=first, last=last, restored=restored)
    save_file({k: np.ascontiguousarray(v) for k, v in before.items()}, out.with_suffix(".safetensors"))
    out.with_suffix(".json").write_text(
        json.dumps(
            {
                "said": {what: len(names) for what, names in said.items()},
                "losses": losses,
                "images": [w.images for w in watches],
                "facts": adapter.facts(model),
                "environment": adapter.environment(),
                "trainable": sorted(adapter.trainable(model)),
                "changed": sorted(k for k in before if not np.array_equal(before[k], after[k])),
                "same_after_load": all(before[k].tobytes() == again[k].tobytes() for k in before),
                "fits": fits,
                "queued": queued,
                "lowered": lowered,
                "again_lowered": again_lowered,
                "one_train_function": len(set(functions)) == 1,
            }
        )
    )


def forked(request, out) -> int:
    """The exit code of a child that answers the request; its output goes to a log beside the answer."""
    if pid := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        log = os.open(out.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        answer(request, out)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    load_adapter(sys.argv[1])
    for line in sys.stdin:
        request, out = map(Path, json.loads(line))
        print(forked(json.loads(request.read_text()), out), flush=True)

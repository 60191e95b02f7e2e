"""Records, gates and results of made-up trials."""

import numpy as np

from common.core.results import EpochRecord, Gate, Results, Row, RunRecord, TrialRecord
from common.core.specs import FeedSpec, ModelSpec, ProcessSpec, Recipe, TrialSpec, WeightsSpec

IMAGES, BATCH = 80, 8


NET = "net"


def epoch_record(epoch, seconds=0.1):
    return EpochRecord(
        epoch=epoch, train_s=seconds * IMAGES, first_step_s=1, wait_s=0, images=IMAGES, images_per_s=1 / seconds,
        train_loss=1, validation_s=1, validation_loss=0.5, improved=True, load_average=1,
    )  # fmt: skip


def row(framework, seconds, repeat=0, model=NET, formulas="matched", **changes):
    """A finished trial that trained `seconds` an image. changes: by the name of the field, wherever it stands."""

    def of(kind, **values):
        return kind(**(values | {k: v for k, v in changes.items() if k in kind.model_fields}))

    feed = of(FeedSpec, plan="p", plan_hash=f"plan{repeat}", balance="none", labels="l", labels_hash="labels", pixels="x",
              pixels_hash="pixels", image_side=32, workers=0, classes=20, train_images=IMAGES, validation_images=20)  # fmt: skip
    recipe = of(Recipe, train="head", learning_rate=0.1, batch_size=BATCH, epochs=2, formulas=formulas)
    spec = TrialSpec(
        name=f"{framework}-{model}-{repeat}", framework=framework, model=ModelSpec(name=model), seed=repeat,
        repeat=repeat, feed=feed, weights=of(WeightsSpec, source="file", path="w", sha256="weights"), recipe=recipe,
        process=of(ProcessSpec, device="cpu", deterministic=False, threads=2, timeout_s=0),
    )  # fmt: skip
    epochs = tuple(epoch_record(n, seconds) for n in (1, 2))
    record = TrialRecord(
        spec=spec, status="ok", epochs=epochs, receipts=changes.get("receipts", (f"r{repeat}",)),
        receipt_fault=changes.get("receipt_fault", ""), environment={"threads": changes.get("said_threads", "2 intra-op")},
        facts={"gmac": 2.0, "precision": changes.get("precision", "float32"), "layout": f"{framework}'s"},
    )  # fmt: skip
    return Row(record=record, scores=None)


def gate(model=NET, passed=True, **changes):
    return Gate(model=ModelSpec(name=model), train="head", reference="a", other="b", passed=passed, **changes)


def results(*rows, gates=None, paired=()):
    run = RunRecord(name="r", suite="", command="c", started="s", dataset="d", class_names=("x",), rows=100,
                    image_side=32, percentiles=(95.0,), labels="l", splits={}, audits={}, machine={}, trials=())  # fmt: skip
    return Results(run=run, rows=rows, references={}, gates=(gate(),) if gates is None else gates, paired=paired)


def repeated(ratio, n=8, noise=0.01, **changes):
    """n repeats of both frameworks in turn; a takes `ratio` of b's time."""
    rng = np.random.default_rng(0)
    factors = np.exp(rng.normal(0, noise, (n, 2)))
    rows = []
    for i, (mine, theirs) in enumerate(factors):
        rows += [row("a", 0.1 * ratio * mine, i, **changes), row("b", 0.1 * theirs, i)]
    return results(*rows)


SPEC = """{"name": "t", "framework": "f", "model": {"name": "m"}, "weights": {"source": "w", "path": "x"}, "seed": 0, "repeat": 0,
 "recipe": {"train": "head", "learning_rate": 0.1, "batch_size": 32, "epochs": 1},
 "feed": {"plan": "p", "plan_hash": "h", "balance": "none", "labels": "l", "pixels": "x", "image_side": 32, "workers": 0,
          "classes": 20, "train_images": 256, "validation_images": 64},
 "process": {"device": "cpu", "deterministic": false, "threads": 2, "timeout_s": 0}}"""

"""Checks of what an adapter returns about itself and its models, and of how tensors are read and written."""

import importlib.util
import math

import numpy as np

from common.core.errors import InputError
from common.core.specs import Preprocessing
from frameworks.checks.context import CLASSES, RATE, Checks, Context, new_watch, require

CHECKS = Checks()


@CHECKS.add()
def the_adapter_has_the_models_of_its_folder(c: Context) -> None:
    info = c.info
    missing = sorted(set(info.MODELS) - set(c.adapter.models()))
    require(not missing, f"MODELS lists {missing}, which Adapter.models() does not")
    require(set(info.DEFAULT_MODELS) <= set(info.MODELS), "DEFAULT_MODELS lists a model that is not in MODELS")
    absent = [package for package in info.NEEDS if importlib.util.find_spec(package) is None]
    require(not absent, f"NEEDS lists packages that are not installed: {absent}")
    require(isinstance(info.EXTRA, str), f"EXTRA is {info.EXTRA!r}, not text")


@CHECKS.add()
def environment_is_text(c: Context) -> None:
    environment = c.adapter.environment()
    require(environment.get("framework"), "environment() has no framework")
    require(environment["device"].startswith("cpu"), f"the device is {environment['device']!r}, not cpu")
    wrong = [name for name, value in environment.items() if not isinstance(value, str)]
    require(not wrong, f"environment() has values that are not text: {wrong}")


@CHECKS.add()
def the_head_has_a_row_for_each_class(c: Context) -> None:
    model = c.build()
    weight, bias = (c.adapter.dump(model)[name] for name in c.adapter.head(model))
    require(
        weight.shape[0] == CLASSES and weight.ndim == 2,
        f"the head's weight is {list(weight.shape)}, not [{CLASSES}, features]",
    )
    require(bias.shape == (CLASSES,), f"the head's bias is {list(bias.shape)}, not [{CLASSES}]")


def _require_same_bytes(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], what: str) -> None:
    require(found.keys() == expected.keys(), f"{what}: the names differ: {sorted(found.keys() ^ expected.keys())}")
    changed = [name for name in found if found[name].tobytes() != expected[name].tobytes()]
    require(not changed, f"{what}: other bytes in {changed}")


@CHECKS.add()
def dump_after_load_gives_the_same_bytes(c: Context) -> None:
    model = c.build()
    before = c.adapter.dump(model)
    other = {n: c.rng.uniform(0.5, 1.5, a.shape).astype(a.dtype) for n, a in before.items()}
    c.adapter.load(model, other)
    _require_same_bytes(c.adapter.dump(model), other, "dump after load")
    c.adapter.load(model, before)
    _require_same_bytes(c.adapter.dump(model), before, "dump after a second load")


@CHECKS.add()
def a_dump_is_a_copy(c: Context) -> None:
    model = c.build()
    before = c.adapter.dump(model)
    kept = {name: array.copy() for name, array in before.items()}
    c.adapter.train_epoch(model, c.feed(train=True), new_watch())
    _require_same_bytes(before, kept, "a dump after further training")


@CHECKS.add()
def facts_have_numbers_and_text(c: Context) -> None:
    model = c.build()
    facts, dump = c.adapter.facts(model), c.adapter.dump(model)
    trained = sum(dump[name].size for name in c.adapter.trainable(model))
    require(
        facts["trainable_parameters"] == trained,
        f"trainable_parameters is {facts['trainable_parameters']}, the trainable tensors have {trained} values",
    )
    require(facts["parameters"] >= facts["trainable_parameters"], "parameters is below trainable_parameters")
    require(facts["gmac"] > 0, f"gmac is {facts['gmac']}")
    require(facts["precision"] == "float32", f"precision is {facts['precision']!r}, not 'float32'")
    require(f"learning rate {RATE:g}" in facts["optimiser"], f"no 'learning rate {RATE:g}' in {facts['optimiser']!r}")
    require("mean over images" in facts["loss"], f"no 'mean over images' in {facts['loss']!r}")


@CHECKS.add()
def the_librarys_preprocessing_is_known(c: Context) -> None:
    found = c.adapter.preprocessing(c.model_spec)
    require(isinstance(found, Preprocessing), f"preprocessing() returns a {type(found).__name__}, not a Preprocessing")
    require(all(math.isfinite(v) for v in (*found.mean, *found.std)), f"{found} has numbers that are not finite")


@CHECKS.add()
def missing_weights_are_bad_input(c: Context) -> None:
    try:
        c.adapter.export(c.model_spec, "/there/is/no/such/file")
    except InputError:
        return
    require(False, "export() of a file that does not exist raises no InputError")


@CHECKS.add()
def the_device_can_be_waited_for(c: Context) -> None:
    c.adapter.fence()
    require(c.adapter.peak_device_bytes() >= 0, "peak_device_bytes() is negative")

"""The parity gate on the real architectures: it passes what is equal, and catches and names each planted mistake."""

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest

from common.analysis import parity
from common.core.files import read_json, write_arrays
from common.core.parity_stages import ROUNDING, STAGES
from common.core.results import GATES, Stage
from common.core.specs import BuildSpec, Job, ModelSpec, WeightsSpec
from common.data.decode import decode
from common.data.formats import demo
from common.process.question import ask
from common.process.questions import TRACE
from common.run import gate, weight_files
from common.trial.trace import RATE
from frameworks.contract import TORCHVISION
from tests.helpers.programs import output
from tests.helpers.project import PROJECT
from tests.helpers.records import gate as finding
from tests.helpers.records import row

LITE0, RESNET = ModelSpec(name="efficientnet_lite0"), ModelSpec(name="resnet50", variant="v1.5")

# mistake -> the stage in which it must be caught, the first tensor that differs, and words of what torch says of it
EXPECTED = {
    "nothing": ("", "", ""),
    "padding": ("float64 forward", "conv_stem", "torch: convolution 3x3, stride 2x2, padding 1x1"),
    "stride": ("float64 forward", "blocks.1.0.conv_dw", "torch: convolution 3x3, stride 1x1"),
    "eps": ("float64 forward", "bn1", "torch: batch norm, eps 0.01,"),
    "mode": ("float64 training forward", "bn1", "inference mode"),
    "momentum": ("batch norm's statistics", "bn1.running_mean", "momentum 0.01 of the new value"),
    "variance": ("batch norm's statistics", "bn1.running_var", "running variance as Biased computes it"),
    "bias": ("float64 forward", "classifier", "torch: linear, bias"),
    "bgr": ("float64 forward", "input", "torch: BGR"),
    "adam": ("optimiser, step 1", "classifier.weight", "torch: OtherAdam"),
    "sum": ("float64 loss", "loss", "torch: binary cross-entropy from logits, sum over images"),
    "unfrozen": ("whole step 1", "bn2.running_mean", "training mode"),
    "skipped": ("optimiser, step 3", "classifier.weight", "torch: Adam"),
    "swapped": ("float64 forward", "blocks.1.1.conv_pw", "convolution 1x1"),
    "swapped on load": ("initial weights", "blocks.2.0.conv_pw.weight", "convolution 1x1"),
}
ON_RESNET = {  # the same mistakes where the names of the layers differ
    "bias": ("float64 forward", "fc", "torch: linear, bias"),
    "stride": ("float64 forward", "layer2.0.conv1", "torch: convolution 1x1, stride 2x2"),
    "adam": ("optimiser, step 1", "", "torch: OtherAdam"),
    "skipped": ("optimiser, step 3", "", "torch: Adam"),
    "unfrozen": ("whole step 1", "", "training mode"),
    "swapped": ("float64 forward", "", "convolution"),
    "swapped on load": ("initial weights", "", "convolution"),
}
NAMES = [stage.name for stage in STAGES]
COMPARED = Stage(name="float64 loss", tensors=1, worst="loss", error=0.0, allowed=1e-9)


@pytest.fixture
def planted(tmp_path):
    """One mistake after another in torch, against one trace of TensorFlow: what the gate said of each."""

    def call(model, train, spec, mistakes):
        data, rows = demo.read(Path("demo")), np.arange(gate.STEPS * gate.IMAGES)
        pixels = np.frombuffer(b"".join(decode(data.paths[row], gate.SIDE) for row in rows), np.uint8)
        labels = data.labels[rows]
        write_arrays(tmp_path / "batch.npz", pixels=pixels.reshape(-1, gate.SIDE, gate.SIDE, 3), labels=labels)
        build = BuildSpec(
            model=model, classes=labels.shape[1], side=gate.SIDE, preprocessing=spec.preprocessing, train=train,
            learning_rate=RATE, formulas="matched",
        )  # fmt: skip
        batch = str(tmp_path / "batch.npz")
        reference = str(tmp_path / "tf.npz")
        found = ask("tf", TRACE, 2, spec=build, weights=spec, batch=batch, recorded="", target=reference)
        request = {
            "spec": build.model_dump(), "weights": spec.model_dump(), "batch": batch, "reference": reference,
            "facts": found.facts, "mistakes": mistakes,
        }  # fmt: skip
        (tmp_path / "request.json").write_text(json.dumps(request))
        printed = output(PROJECT / "tests" / "helpers" / "planted.py", tmp_path / "request.json")
        os.remove(reference)  # hundreds of megabytes, which pytest would keep
        return json.loads(printed.splitlines()[-1])

    return call


def traces(**changes):
    """Two equal traces of a network of one layer, the second changed."""
    a = {stage.key("conv.weight"): np.ones(3) for stage in STAGES if stage != ROUNDING}
    a |= {stage.key("conv"): np.ones(3) for stage in STAGES if stage.part == "forward"}
    b = {name: array.copy() for name, array in a.items()} | changes
    return a, {name: array for name, array in b.items() if array is not None}


@pytest.mark.parametrize(
    ("changes", "stage", "tensor"),
    [
        ({}, "", ""),
        ({"initial weights/conv.weight": np.array([1, 1, 1 + 1e-15])}, "initial weights", "conv.weight"),
        ({"float64 forward/conv": None}, "float64 forward", "conv"),
        ({"float64 forward/between": np.zeros(3)}, "", ""),  # a step between layers, which only one library shows
        ({"float64 forward/conv": np.array([1, 1, 1 + 1e-8])}, "float64 forward", "conv"),
        ({"float64 forward/conv": np.array([1, 1, 1 + 1e-10])}, "", ""),
        ({"float64 gradients/conv.weight": None}, "float64 gradients", "conv.weight"),
        ({"float64 gradients/new.weight": np.zeros(3)}, "float64 gradients", "new.weight"),
        ({"float64 gradients/conv.weight": np.array([1, 1, np.nan])}, "float64 gradients", "conv.weight"),
        ({"float64 gradients/conv.weight": np.ones((3, 1))}, "float64 gradients", "conv.weight"),
        ({"optimiser, step 4/conv.weight": np.array([1, 1, 1 + 1e-5])}, "optimiser, step 4", "conv.weight"),
        ({"float32 gradients/conv.weight": np.array([1, np.inf, 1])}, "float32 gradients", "conv.weight"),
        ({"whole step 5/conv.weight": np.array([1, 1, 1 + 1e-5])}, "whole step 5", "conv.weight"),
    ],
)
def test_the_first_tensor_that_differs_is_named(changes, stage, tensor):
    stages, found, worst = parity.compare(*traces(**changes))
    assert (found.name if found else "", worst) == (stage, tensor)
    assert [s.name for s in stages] == NAMES[: NAMES.index(stage) + 1 if stage else None]


def test_rounding_noise_alone_is_no_difference():
    """A gradient that is zero but for rounding moves no weight: the floor, and not a share of its norm."""
    assert parity.error(np.full(3, 1e-17), np.zeros(3), 1e-9) < 1e-9
    assert parity.error(np.full(3, 1e-11), np.zeros(3), 1e-9) > 1e-9


@pytest.mark.parametrize(
    ("mine", "others", "stage"),
    [(2e-6, 9e-6, None), (2e-6, 5e-5, ROUNDING), (2e-6, 0, ROUNDING), (0, 0, None)],
)
def test_float32_must_be_float32_on_both(mine, others, stage):
    """One side's float32 is a float64 under another name, or far from it."""
    a, b = traces()
    for side, size in ((a, mine), (b, others)):
        side["float32 forward/conv"] = np.array([1, 1 + size, 1])
    assert parity.compare(a, b)[1] == stage


def check(found, expected):
    assert "built in float32, and has tensors in float64" in found.pop("quietly float64")[2]
    for mistake, (stage, tensor, words) in expected.items():
        caught, named, said = found[mistake]
        assert (caught, named if tensor else "") == (stage, tensor), (mistake, said)
        assert words in said and ("torch: " in said) == bool(stage), (mistake, said)


@pytest.mark.usefixtures("not_quick")
@pytest.mark.parametrize(
    "mistakes",
    [
        pytest.param(("nothing", "eps", "mode", "adam", "swapped on load"), id="some"),
        pytest.param(tuple(EXPECTED), id="each", marks=pytest.mark.slow),
    ],
)
def test_planted_mistakes_are_caught_and_named(planted, mistakes):
    weighted = weight_files.resolve(Job(framework="torch", model=LITE0, train="head"), ("auto",), print)
    expected = {mistake: EXPECTED[mistake] for mistake in mistakes}
    check(planted(LITE0, "head", weighted, ["quietly float64", *expected]), expected)


@pytest.mark.slow
def test_each_planted_mistake_is_caught_on_resnet50(planted):
    """From random weights, with its last block training."""
    expected = EXPECTED | ON_RESNET
    del expected["padding"]  # both pad equally here: Lite0 alone has TensorFlow's padding
    check(
        planted(
            RESNET,
            "last-block",
            WeightsSpec(source="random", preprocessing=TORCHVISION),
            ["quietly float64", *expected],
        ),
        expected,
    )


@pytest.mark.slow
@pytest.mark.parametrize("model", ["resnet50:v1.5", "efficientnet_lite0"])
@pytest.mark.parametrize("framework", ["keras-torch", "keras-jax"])
def test_keras_on_other_engines_passes_the_gate(bench, framework, model):
    if framework == "keras-jax" and importlib.util.find_spec("jax") is None:
        pytest.skip("needs the optional package jax")
    done = bench("parity", model, "--frameworks", "torch", framework)
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout + done.stderr


def test_a_gate_that_was_stopped_goes_on_with_the_next_model(tmp_path, monkeypatch):
    specs, asked = [row(f, 1, model=m).record.spec for m in ("one", "two") for f in ("a", "b")], []

    def stopped_once(candidate, *others):
        asked.append(candidate.model.name)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return [finding(candidate.model.name, stages=(COMPARED,))]

    monkeypatch.setattr(gate, "gate", stopped_once)
    monkeypatch.setattr(gate, "_first_images", lambda *of: (None, None))
    with pytest.raises(KeyboardInterrupt):
        gate.before(tmp_path, specs, print)
    for _ in range(2):
        gate.before(tmp_path, specs, print)
    assert asked == ["one", "two", "two"]
    assert [found["model"]["name"] for found in read_json(tmp_path / GATES)] == ["one", "two"]


def test_a_gate_that_could_not_be_computed_is_tried_again(tmp_path, monkeypatch):
    """A child that memory was short for; a gate that failed by its tensors stays failed."""
    specs, asked = [row(f, 1, model=m).record.spec for m in ("one", "two") for f in ("a", "b")], []

    def short_of_memory(candidate, *others):
        asked.append(candidate.model.name)
        once = asked.count("one") == 1 and candidate.model.name == "one"
        return [finding(candidate.model.name, passed=False, stages=() if once else (COMPARED,))]

    monkeypatch.setattr(gate, "gate", short_of_memory)
    monkeypatch.setattr(gate, "_first_images", lambda *of: (None, None))
    for _ in range(3):
        gate.before(tmp_path, specs, print)
    assert asked == ["one", "two", "one"]
    assert sorted(found["model"]["name"] for found in read_json(tmp_path / GATES)) == ["one", "two"]

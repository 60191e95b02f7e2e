"""Weights files as people have them: half formats, wrappers, averaged copies, whole models. Read right, or one whole sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from common.core.errors import ImageSizeError, InputError
from common.core.hashing import hash_weights
from common.core.specs import BuildSpec, ModelSpec, WeightsSpec
from common.core.tensor_files import check_forms, is_averaged, read_tensors, under_model_names
from common.run import weight_files
from common.trial.initial_weights import initialise
from common.trial.tryout import built, smallest_side
from frameworks.contract import HALF
from tests.helpers.project import PROJECT

LITE = ModelSpec(name="efficientnet_lite0")
WANTED = ("conv.weight", "bn.weight", "bn.running_mean")


def write_raw(path, form, shape, data):
    """A safetensors file of one tensor in a form that NumPy lacks."""
    header = json.dumps({"conv.weight": {"dtype": form, "shape": shape, "data_offsets": [0, len(data)]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    return path


def tensors(*names, value=1.0):
    return {name: np.full((2, 2), value, np.float32) for name in names}


def test_bfloat16_is_read_without_a_framework(tmp_path):
    values = np.array([1.5, -2.0, 0.0, 3.140625], np.float32)
    upper = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    path = write_raw(tmp_path / "w.safetensors", "BF16", [2, 2], upper)
    assert np.array_equal(read_tensors(path)["conv.weight"], values.reshape(2, 2))
    assert weight_files.from_file(path, LITE, HALF).sha256 == hash_weights(path)


@pytest.mark.parametrize("form", [np.float16, np.float32, np.float64])
def test_other_floats_are_read(tmp_path, form):
    save_file({"conv.weight": np.full((2, 2), 0.5, form), "steps": np.array(7)}, tmp_path / "w.safetensors")
    found = read_tensors(tmp_path / "w.safetensors")
    assert found["conv.weight"].dtype == np.float32 and (found["conv.weight"] == 0.5).all()
    check_forms(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("form", "data"),
    [("F8_E4M3", bytes(4)), ("F8_E5M2", bytes(4)), ("I8", bytes(4)), ("U8", bytes(4)), ("C64", bytes(32))],
)
def test_quantised_weights_are_refused_before_anything_is_decoded(tmp_path, form, data):
    path = write_raw(tmp_path / "w.safetensors", form, [2, 2], data)
    with pytest.raises(
        InputError, match=rf"holds 1 tensors as {form} \(e\.g\. conv\.weight\): quantised .*convert them"
    ):
        weight_files.from_file(path, LITE, HALF)


@pytest.mark.parametrize(
    ("prefix", "note"),
    [
        ("", ""),
        ("model.", "w: the prefix 'model.' of its tensors' names was left out"),
        ("backbone.", "w: the prefix 'backbone.' of its tensors' names was left out"),
        ("_orig_mod.module.", "w: the prefix '_orig_mod.module.' of its tensors' names was left out"),
    ],
)
def test_a_common_prefix_is_left_out_and_named(prefix, note):
    file = tensors(*(prefix + name for name in WANTED), "other.weight")
    found = under_model_names(file, WANTED, "w")
    assert found.note == note and set(WANTED) <= found.tensors.keys()


def test_one_name_that_fits_by_chance_does_not_hide_the_network():
    file = tensors("conv.weight") | tensors(*(f"backbone.{name}" for name in WANTED), value=2.0)
    found = under_model_names(file, WANTED, "w")
    assert (found.tensors["conv.weight"] == 2.0).all() and "the prefix 'backbone.'" in found.note


@pytest.mark.parametrize(
    ("plain", "averaged"), [("", "ema."), ("model.", "model_ema."), ("online_model.", "ema_model."), ("net.", "swa.")]
)
def test_an_averaged_copy_is_named_and_not_taken(plain, averaged):
    file = tensors(*(plain + name for name in WANTED)) | tensors(*(averaged + name for name in WANTED), value=2.0)
    found = under_model_names(file, WANTED, "w")
    assert (found.tensors["conv.weight"] == 1.0).all()
    assert f"the averaged copy under '{averaged}' (EMA) was not taken" in found.note


def test_an_averaged_copy_alone_is_taken_and_named():
    found = under_model_names(tensors(*(f"ema.{name}" for name in WANTED)), WANTED, "w")
    assert "these are averaged weights (EMA)" in found.note and "conv.weight" in found.tensors


def test_two_networks_in_one_file_are_refused():
    file = tensors(*(f"{which}.{name}" for which in ("student", "teacher") for name in WANTED))
    with pytest.raises(
        InputError, match=r"holds several networks .* under student\. and teacher\.; save the tensors of one"
    ):
        under_model_names(file, WANTED, "w")


def under(prefix, names=WANTED):
    return tensors(*(prefix + name for name in names))


def test_a_smaller_network_beside_the_complete_one_is_named():
    found = under_model_names(under("teacher.") | under("student.", WANTED[:2]), WANTED, "w")
    assert found.note.endswith("the copy under 'student.', which has 2 of its 3 names, was not taken")
    assert "the prefix 'teacher.'" in found.note
    found = under_model_names(under("") | under("teacher.", WANTED[:2]), WANTED, "w")
    assert found.note == "w: the copy under 'teacher.', which has 2 of its 3 names, was not taken"
    found = under_model_names(under("teacher.") | under("", WANTED[:2]), WANTED, "w")
    assert "the copy without a prefix, which has 2 of its 3 names, was not taken" in found.note


@pytest.mark.parametrize(
    ("file", "shown"),
    [
        (under("") | under("teacher."), r"no prefix and teacher\."),
        (under("a.") | under("b.", (WANTED[0], "x.y")), r"a\. and b\."),  # neither has all that the other has
    ],
)
def test_two_networks_of_which_none_has_all_are_refused(file, shown):
    with pytest.raises(InputError, match=f"holds several networks .* under {shown}; save the tensors of one"):
        under_model_names(file, (*WANTED, "x.y"), "w")


def test_names_of_averages():
    yes = (
        "ema",
        "model_ema",
        "state_dict_ema",
        "ema_state_dict",
        "ema/shadow",
        "modelEMA",
        "swa_model",
        "averaged_model",
    )
    assert all(map(is_averaged, yes))
    assert not any(map(is_averaged, ("semantic", "schema.weight", "model", "stem", "leman_1", "remade")))


class Tiny:
    """An adapter whose model takes images of 75 pixels or more."""

    def build(self, spec):
        if spec.side < 75:
            raise ValueError("negative dimension")
        return spec

    def facts(self, model):
        return {}

    def dump(self, model):
        return tensors(*WANTED) | {"head.weight": np.zeros((2, 2), np.float32), "head.bias": np.zeros(2, np.float32)}

    def head(self, model):
        return "head.weight", "head.bias"

    def trainable(self, model):
        return {"head.weight", "head.bias"}

    def load(self, model, tensors):
        pass


def build_spec(side):
    return BuildSpec(model=LITE, classes=2, side=side, preprocessing=HALF, train="head", learning_rate=1.0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    save_file(tensors(*WANTED) | tensors("conv.weight", value=value), tmp_path / "w.safetensors")
    start = WeightsSpec(source="w", path="w.safetensors", sha256=hash_weights(tmp_path / "w.safetensors"))
    with pytest.raises(
        InputError, match=r"values that are not finite \(NaN or infinite\) in conv\.weight; .*earlier checkpoint"
    ):
        initialise(Tiny(), None, start, tmp_path, np.ones(2), 0)
    save_file(tensors(*WANTED) | tensors("not.used", value=value), tmp_path / "w.safetensors")
    start = start.model_copy(update={"sha256": hash_weights(tmp_path / "w.safetensors")})
    initialise(Tiny(), None, start, tmp_path, np.ones(2), 0)


def test_the_smallest_side_of_a_model_is_found():
    with pytest.raises(
        ImageSizeError, match=r"efficientnet_lite0 takes images of 75 pixels at least, not 32; take --image-size 75"
    ):
        built(Tiny(), build_spec(32))
    assert built(Tiny(), build_spec(75)).side == 75
    assert smallest_side(32, lambda side: side >= 33) == 33
    assert smallest_side(32, lambda side: False) == 0


def test_another_failure_is_not_taken_for_the_side():
    class Broken(Tiny):
        def facts(self, model):
            raise RuntimeError("of another cause")

    with pytest.raises(RuntimeError, match="of another cause"):
        built(Broken(), build_spec(75))


# Draws a file of torch.save by its name and reads it; what comes out, or the message, by name as JSON.
SCRIPT = """
import argparse, json, sys, tempfile, torch
from common.core.errors import InputError
from common.core.specs import ModelSpec
from frameworks.pytorch.checkpoints import from_file

state = {"conv.weight": torch.ones(2, 2), "bn.weight": torch.ones(2), "bn.num_batches_tracked": torch.tensor(3)}
other = {name: tensor + 1 for name, tensor in state.items()}
prefixed = lambda prefix: {prefix + name: tensor for name, tensor in state.items()}
files = {
    "plain": state, "state_dict": {"state_dict": state, "epoch": 3}, "net": {"net": state, "acc": 0.9},
    "module": prefixed("module."), "compiled": prefixed("_orig_mod.module."), "lightning": {"state_dict": prefixed("model.")},
    "bf16": {name: tensor.bfloat16() for name, tensor in state.items()},
    "ema": {"state_dict": state, "state_dict_ema": other}, "ema first": {"model_ema": other, "model": state},
    "ema inside": {"model": state, "ema": {"decay": 0.9, "shadow": other}}, "ema alone": {"ema": other},
    "optimiser": {"model": state, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": []}},
    "two": {"generator": state, "discriminator": other}, "none": {"epoch": 3},
    "whole": torch.nn.Linear(2, 2), "namespace": {"model": state, "args": argparse.Namespace(lr=0.1)},
    "int8": {"conv.weight": torch.ones(2, 2, dtype=torch.int8)}, "fp8": {"conv.weight": torch.ones(2, 2).to(torch.float8_e4m3fn)},
}
found = {}
for name, content in files.items():
    with tempfile.NamedTemporaryFile(suffix=".pth") as file:
        torch.save(content, file.name)
        try:
            tensors, note = from_file(ModelSpec(name="resnet50"), file.name)
            found[name] = [sorted(tensors), float(tensors["conv.weight"].float().mean()), note.partition(": ")[2]]
        except InputError as error:
            found[name] = str(error)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def read(not_quick):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=os.environ | {"PYTHONPATH": "."},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


NAMES = ["bn.num_batches_tracked", "bn.weight", "conv.weight"]
EMA = "the tensors of '{}' were taken, not those of '{}' (averaged weights, EMA); to start from others, save them alone"


@pytest.mark.parametrize(
    ("name", "value", "note"),
    [
        *(
            (name, 1.0, "")
            for name in ("plain", "state_dict", "net", "module", "compiled", "lightning", "bf16", "optimiser")
        ),
        ("ema", 1.0, EMA.format("state_dict", "state_dict_ema")),
        ("ema first", 1.0, EMA.format("model", "model_ema")),
        ("ema inside", 1.0, EMA.format("model", "ema/shadow")),
        ("ema alone", 2.0, "the tensors of 'ema' (averaged weights, EMA) were taken"),
    ],
)
def test_a_checkpoint_gives_its_network_and_says_what_was_left(read, name, value, note):
    assert read[name] == [NAMES, value, note]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("two", "holds several networks, generator and discriminator; save the tensors of one of them alone"),
        ("none", "holds no state_dict (names and tensors); save the model's alone: torch.save(model.state_dict()"),
        (
            "whole",
            "holds a whole model (torch.nn.modules.linear.Linear), and loading those would run code from the file; ",
        ),
        ("whole", "torch.load(file, weights_only=False).state_dict(), then torch.save(tensors, 'weights.pth')"),
        ("namespace", "holds Python objects beside its tensors (argparse.Namespace), and loading those would run code"),
        ("namespace", "torch.load(file, weights_only=False)['model'], then torch.save(tensors, 'weights.pth')"),
        ("int8", "holds 1 tensors as int8 (e.g. conv.weight): quantised weights"),
        ("fp8", "holds 1 tensors as float8_e4m3fn (e.g. conv.weight): quantised weights"),
    ],
)
def test_what_is_no_network_alone_is_a_whole_sentence(read, name, words):
    said = read[name]
    assert words in said and said.isprintable()  # neither escape codes nor line breaks


def test_a_file_that_does_not_fit_is_refused_before_anything_is_decoded(bench, tmp_path):
    """By every framework of the run; the child that is asked loads it as the trial would."""
    save_file(tensors("nothing.of.it"), tmp_path / "w.safetensors")
    variables = os.environ | {"FRAMEWORK_BENCH_CACHE": str(tmp_path / "cache")}
    done = bench(
        "--frameworks", "fake", "--limit", "40", "--image-size", "16", "--weights", tmp_path / "w.safetensors",
        "--results-dir", tmp_path / "r", env=variables,
    )  # fmt: skip
    assert done.returncode == 2 and "no tensor of w.safetensors is the model's" in done.stderr
    assert not (tmp_path / "r").exists() and not (Path(tmp_path) / "cache" / "pixels").exists()


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["torch", "tf"])
@pytest.mark.parametrize("form", ["bfloat16", "prefix"])
def test_half_formats_and_prefixes_train_on_every_framework(bench, tmp_path, framework, form):
    """EfficientNet-Lite0's packaged tensors, written as people have them: the losses are those of the packaged file."""
    words = ("--frameworks", framework, "--models", "efficientnet_lite0", "--limit", "40", "--image-size", "32", "--epochs", "1",
             "--results-dir", tmp_path)  # fmt: skip
    done = bench(*words, "--name", "packaged")
    assert done.returncode == 0, done.stdout
    (source,) = (Path(os.environ["FRAMEWORK_BENCH_CACHE"]) / "weights").glob("efficientnet_lite0-packaged-*")
    file, found = tmp_path / "w.safetensors", read_tensors(source)
    if form == "prefix":
        save_file({f"model.{name}": array for name, array in found.items()}, file)
    else:
        header, data = {}, b""
        for name, array in found.items():
            upper = (array.view(np.uint32) >> 16).astype("<u2").tobytes()
            header[name] = {
                "dtype": "BF16",
                "shape": list(array.shape),
                "data_offsets": [len(data), len(data) + len(upper)],
            }
            data += upper
        text = json.dumps(header).encode()
        file.write_bytes(len(text).to_bytes(8, "little") + text + data)
    done = bench(*words, "--name", "mine", "--weights", file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("the prefix 'model.'" in done.stdout) == (form == "prefix")
    assert "tensors loaded, 0 tensors missing" in done.stdout

"""Which weights a trial gets, and every refusal: nothing loads quietly into the wrong place."""

import socket
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from common.core.errors import InputError
from common.core.hashing import hash_weights
from common.core.specs import Job, ModelSpec, WeightsSpec
from common.process import question
from common.run import weight_files
from common.trial.initial_weights import head_tensors, initialise, smoothed_odds
from frameworks.contract import CAFFE, TORCHVISION
from tests.helpers.project import shared

V1, V15 = ModelSpec(name="resnet50", variant="v1"), ModelSpec(name="resnet50", variant="v1.5")


def test_the_entry_that_names_the_model_wins():
    asked = ("random", "resnet50:v1=a.safetensors", "vgg19=imagenet")
    assert weight_files.choice_for(V1, asked) == "a.safetensors"
    assert weight_files.choice_for(V15, asked) == "random"
    assert weight_files.choice_for(ModelSpec(name="vgg19"), asked) == "imagenet"
    assert weight_files.choice_for(V1, ("resnet50=b.safetensors",)) == "b.safetensors"
    assert weight_files.choice_for(V1, ("vgg19=random",)) == "auto"
    assert weight_files.choice_for(V1, ("/data/run=3/w.safetensors",)) == "/data/run=3/w.safetensors"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("vgg91=random",), "no model of this run in --weights 'vgg91'; there are: resnet50, resnet50:v1"),
        (("random", "imagenet"), "--weights has random and imagenet for all models; name the model"),
    ],
)
def test_entries_that_fit_no_model_are_refused(asked, message):
    with pytest.raises(InputError, match=message):
        weight_files.check_choices([V1], asked)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "w.safetensors"
    metadata = {"architecture": "resnet50", "variant": "v1", "preprocessing": "torchvision"}
    save_file({"conv1.weight": np.zeros((2, 2), np.float32)}, path, metadata)
    return path


def test_a_file_brings_its_preprocessing_and_hash(file):
    spec = weight_files.from_file(file, V1, CAFFE)
    assert spec.preprocessing == TORCHVISION
    assert spec.sha256 == hash_weights(file)
    assert spec.source == "w.safetensors"


def test_the_order_of_a_files_metadata_is_no_part_of_its_hash(tmp_path):
    """safetensors writes the metadata in another order each time; a changed tensor or value is another file."""
    import json

    def written(name, metadata, data=b"\0\0\0\0"):
        header = {"__metadata__": metadata, "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
        text = json.dumps(header).encode()
        (tmp_path / name).write_bytes(len(text).to_bytes(8, "little") + text + data)
        return hash_weights(tmp_path / name)

    first = written("a", {"x": "1", "y": "2"})
    assert first == written("b", {"y": "2", "x": "1"})
    assert first != written("c", {"y": "2", "x": "3"}) and first != written("d", {"x": "1", "y": "2"}, b"\0\0\0\1")


def test_another_variant_is_refused(file):
    with pytest.raises(InputError, match=r"holds the variant v1, the trial has v1\.5: .*--models resnet50:v1"):
        weight_files.from_file(file, V15, CAFFE)


def test_another_architecture_is_refused(file):
    with pytest.raises(InputError, match="holds the architecture resnet50, the trial has vgg19"):
        weight_files.from_file(file, ModelSpec(name="vgg19"), CAFFE)


def test_no_safetensors_file_is_refused(tmp_path):
    (tmp_path / "x.safetensors").write_text("no")
    with pytest.raises(InputError, match="is not a safetensors file"):
        weight_files.from_file(tmp_path / "x.safetensors", V1, CAFFE)


def test_an_unknown_preprocessing_is_refused(tmp_path):
    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "w.safetensors", {"preprocessing": "mine"})
    with pytest.raises(InputError, match="names the preprocessing 'mine'; there are: torchvision, caffe"):
        weight_files.from_file(tmp_path / "w.safetensors", V1, CAFFE)


def test_a_bare_file_is_taken_as_usual_and_says_so(tmp_path):
    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "w.safetensors")
    spec = weight_files.from_file(tmp_path / "w.safetensors", V1, CAFFE)
    assert spec.preprocessing == CAFFE
    assert spec.note == "w.safetensors does not name its variant and preprocessing: the model's usual was taken"


def test_a_bare_file_is_not_two_different_things(tmp_path):
    """Torch would take it for v1.5 with ImageNet's mean, tf for v1 with BGR: not the same weights."""
    save_file({"a": np.zeros(1, np.float32)}, tmp_path / "w.safetensors")
    jobs = [Job(framework="torch", model=V15, train="all"), Job(framework="tf", model=V1, train="all")]
    found = {job: weight_files.resolve(job, (str(tmp_path / "w.safetensors"),), print) for job in jobs}
    with pytest.raises(InputError, match=r"torch resnet50:v1\.5 and tf resnet50:v1 would each assume their own"):
        weight_files.check_assumed(found)
    weight_files.check_assumed({jobs[0]: found[jobs[0]]})


@pytest.fixture
def silent_proxy(monkeypatch):
    """Every download goes to a server on loopback that accepts and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, address)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield server


@pytest.mark.usefixtures("not_quick")
@pytest.mark.parametrize(
    ("framework", "model"),
    [("torch", "resnet18"), ("tf", "vgg19"), pytest.param("torch", "resnet50", marks=pytest.mark.slow)],
)
def test_a_silent_server_is_given_up(silent_proxy, tmp_path, monkeypatch, framework, model):
    """torchvision's, timm's (huggingface_hub's, which would try six times) and Keras's downloads."""
    monkeypatch.setattr(question, "STALL_S", 5.0)
    for name in ("TORCH_HOME", "HF_HOME", "KERAS_HOME", "FRAMEWORK_BENCH_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    variant = "v1.5" if model == "resnet50" else ""
    job = Job(framework=framework, model=ModelSpec(name=model, variant=variant), train="head")
    spec = weight_files.resolve(job, ("auto",), lambda text: None)
    assert spec.random and "no byte came for 5 s" in spec.note


def test_no_network_means_random_weights_with_a_warning(monkeypatch):
    def fails(*arguments, **values):
        raise InputError("tf: URL fetch failure on https://some.where/x.h5: timed out")

    monkeypatch.setattr(weight_files, "ask", fails)
    job = Job(framework="tf", model=ModelSpec(name="vgg19"), train="head")
    spec = weight_files.resolve(job, ("auto",), lambda text: None)
    assert spec.random and spec.preprocessing == CAFFE
    assert spec.note.startswith("random weights: the ImageNet ones cannot be had (tf: URL fetch failure on its address")
    with pytest.raises(InputError, match=r"ImageNet weights of vgg19 \(tf\) cannot be had"):
        weight_files.resolve(job, ("imagenet",), lambda text: None)


class Toy:
    """An adapter with a frozen body and a head."""

    def __init__(self, trained=("head.weight", "head.bias")):
        self.tensors = {
            "body.weight": np.ones((3, 3), np.float32),
            "bn.weight": np.ones(3, np.float32),
            "bn.running_mean": np.zeros(3, np.float32),
            "head.weight": np.zeros((2, 3), np.float32),
            "head.bias": np.zeros(2, np.float32),
        }
        self.trained = set(trained)

    def dump(self, model):
        return dict(self.tensors)

    def load(self, model, tensors):
        self.tensors |= tensors

    def head(self, model):
        return "head.weight", "head.bias"

    def trainable(self, model):
        return self.trained


def start(toy, path):
    spec = WeightsSpec(source="file", path=str(path), sha256=hash_weights(path))
    return initialise(toy, None, spec, Path("/"), smoothed_odds(np.array([3, 0]), 9, None), 0)


def counts(said):
    return [len(said[what]) for what in ("loaded", "missing", "unexpected")]


def write(path, **tensors):
    save_file({k.replace("__", "."): v for k, v in tensors.items()}, path)
    return path


def test_a_complete_file_loads_and_the_head_is_drawn_anew(tmp_path):
    toy = Toy()
    body = np.full((3, 3), 5, np.float16)
    path = write(tmp_path / "w", body__weight=body, bn__weight=np.ones(3, np.float32), bn__running_mean=np.ones(3, np.float32), head__weight=np.ones((1000, 3), np.float32), extra__weight=np.ones(1, np.float32))  # fmt: skip
    assert counts(start(toy, path)) == [3, 0, 1]
    assert (toy.tensors["body.weight"] == 5).all()
    weight, bias = head_tensors(3, smoothed_odds(np.array([3, 0]), 9, None), 0)
    assert np.array_equal(toy.tensors["head.weight"], weight)
    assert toy.tensors["head.bias"] == pytest.approx([np.log(0.35 / 0.65), np.log(0.05 / 0.95)], abs=1e-6)
    assert np.array_equal(toy.tensors["head.bias"], bias)


def test_a_missing_frozen_tensor_is_refused(tmp_path):
    path = write(tmp_path / "w", bn__weight=np.ones(3, np.float32), bn__running_mean=np.ones(3, np.float32))
    with pytest.raises(
        InputError, match=r"lacks 1 of the model's 3 tensors, 1 of them in frozen layers \(body\.weight\)"
    ):
        start(Toy(), path)


def test_a_missing_tensor_that_trains_is_reported(tmp_path):
    path = write(tmp_path / "w", body__weight=np.ones((3, 3), np.float32))
    toy = Toy(trained=("bn.weight", "head.weight", "head.bias"))
    said = start(toy, path)
    assert counts(said) == [1, 2, 0]
    assert said["missing"] == ["bn.running_mean", "bn.weight"]  # the running statistics of what trains are learned too


def test_a_missing_tensor_without_a_layer_is_reported(tmp_path):
    """A transformer's cls_token."""
    path = write(tmp_path / "w", body__weight=np.ones((3, 3), np.float32))
    toy = Toy(trained=("bn.weight", "head.weight", "head.bias", "cls_token"))
    toy.tensors["cls_token"] = np.ones(3, np.float32)
    assert start(toy, path)["missing"] == ["bn.running_mean", "bn.weight", "cls_token"]


def test_a_file_of_another_network_is_refused(tmp_path):
    path = write(tmp_path / "w", other__weight=np.ones((3, 3), np.float32))
    with pytest.raises(InputError, match=r"no tensor of w is the model's: it has ..other.weight.. "):
        start(Toy(trained=Toy().tensors), path)


def test_another_shape_is_refused(tmp_path):
    path = write(tmp_path / "w", body__weight=np.ones((3, 4), np.float32))
    with pytest.raises(InputError, match=r"body\.weight has shape \[3, 4\], the model needs \[3, 3\]"):
        start(Toy(), path)


def test_a_file_that_changed_since_it_was_planned_is_refused(tmp_path):
    path = write(tmp_path / "w", body__weight=np.ones((3, 3), np.float32))
    with pytest.raises(InputError, match="changed since the run was planned"):
        initialise(Toy(), None, WeightsSpec(source="file", path=str(path), sha256="0"), Path("/"), np.ones(2), 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("framework", "model", "file", "train", "refused"),
    [
        ("torch", "resnet50:v1.5", "resnet50_v15_partial.safetensors", "head", True),
        ("torch", "resnet50:v1.5", "resnet50_v15_partial.safetensors", "all", False),
        ("tf", "vgg19", "vgg19_partial.safetensors", "head", True),
        ("tf", "vgg19", "vgg19_partial.safetensors", "all", False),
    ],
)
def test_the_real_partial_files(bench, tmp_path, framework, model, file, train, refused):
    path = shared(f"weights/{file}")
    done = bench("--frameworks", framework, "--models", model, "--weights", path, "--train", train, "--limit", "40",
                 "--epochs", "1", "--batch-size", "8", "--results-dir", tmp_path, "--name", "run")  # fmt: skip
    assert done.returncode == int(refused), done.stdout
    assert ("in frozen layers" in done.stdout) == refused
    assert ("tensors missing" in done.stdout) != refused

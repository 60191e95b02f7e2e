"""What is refused before anything is decoded, for all frameworks alike: packages, sides, batches of one image, launchers."""

import importlib.util
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from common.core import registry
from common.core.errors import InputError
from common.core.settings import Settings
from common.core.specs import Job, ModelSpec, WeightsSpec
from common.data.formats import demo
from common.process.questions import TryOut
from common.run import plans as run_plans
from common.run import preflight
from frameworks.contract import UNCHANGED, ModelInfo
from tests.helpers.cases import file, images_at

NORM = Job(framework="fake", model=ModelSpec(name="norm"), train="all")
START = WeightsSpec(source="random", preprocessing=UNCHANGED)
WORDS = ("--frameworks", "fake", "--image-size", "16", "--epochs", "1")


@pytest.fixture
def cold(tmp_path):
    """Variables of a cache of its own, in which decoded images would be seen."""
    return os.environ | {"FRAMEWORK_BENCH_CACHE": str(tmp_path / "cache")}


def refused(done, tmp_path, *words):
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stdout + done.stderr
    for each in words:
        assert each in done.stderr
    assert not (tmp_path / "r").exists() and not (tmp_path / "cache" / "pixels").exists()


def test_a_batch_of_one_image_is_refused_before_decoding(bench, tmp_path, cold):
    """33 training images in batches of 32; both numbers that are named train."""
    words = (*WORDS, "--models", "norm", "--limit", "41", "--results-dir", tmp_path / "r")
    refused(
        bench(*words, env=cold), tmp_path,
        "the last batch of an epoch (33 images in batches of 32) has one image, and batch norm of fake norm that trains",
        "take --batch-size 31 or 33, or a larger --image-size",
    )  # fmt: skip
    refused(
        bench(*words, "--batch-size", "1", env=cold), tmp_path, "each batch has one image", "take --batch-size 3, or"
    )
    assert bench(*words, "--batch-size", "31", env=cold).returncode == 0


def asking(monkeypatch, fewest):
    asked = []
    answer = TryOut(note="how it was read", fewest_normalised=fewest)
    monkeypatch.setattr(preflight, "ask", lambda *words, **more: asked.append(words) or answer)
    return asked


def try_outs(**settings):
    return preflight.TryOuts(Settings(**settings), 3, 32, lambda text: None)


def plans(*images):
    return {(seed, "none"): SimpleNamespace(visits=np.zeros(n)) for seed, n in enumerate(images)}


@pytest.mark.parametrize(
    ("images", "settings", "job", "start", "fewest", "expected"),
    [
        (33, {}, NORM, START, 1, "refused"),
        (33, {}, NORM, START, 4, "asked"),  # maps of 2 x 2 pixels: a statistic of 4 values
        (33, {}, NORM, START, 0, "asked"),  # no batch norm
        (34, {}, NORM, START, 1, ""),
        (32, {}, NORM, START, 1, ""),
        (33, {}, NORM.model_copy(update={"train": "head"}), START.model_copy(update={"path": "w"}), 1, ""),  # frozen
        (33, {}, NORM.model_copy(update={"train": "head"}), START, 1, "refused"),  # random weights: everything trains
        (33, {"frozen_norm": "drift"}, NORM.model_copy(update={"train": "head"}), START.model_copy(update={"path": "w"}), 1, "refused"),
        (33, {}, NORM.model_copy(update={"train": "head", "keep_frozen": True}), START, 1, ""),
        (33, {"batch_size": 33}, NORM, START, 1, ""),
        (33, {"batch_size": 16}, NORM, START, 1, "refused"),
    ],
)  # fmt: skip
def test_only_batch_norm_that_trains_on_one_value_is_refused(
    monkeypatch, images, settings, job, start, fewest, expected
):
    asked = asking(monkeypatch, fewest)
    tried = try_outs(**settings)
    if expected == "refused":
        with pytest.raises(InputError, match="has one image, and batch norm"):
            tried.check_batches({(0, job): start}, plans(images))
    else:
        tried.check_batches({(0, job): start}, plans(images))
    assert len(asked) == bool(expected)


def test_a_framework_is_asked_once_for_each_model(monkeypatch):
    asked = asking(monkeypatch, 4)
    tried, initial = try_outs(), {(seed, NORM): START for seed in (0, 1, 2)}
    tried.check_batches(initial, plans(33, 65, 34))
    tried.check_batches(initial, plans(33, 65, 34))
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("images", "batch", "sizes"),
    [([33], 32, [31, 33]), ([33, 32], 32, [30, 33]), ([3], 2, [3]), ([2], 1, [2]), ([5], 4, [3, 5])],
)
def test_the_named_sizes_leave_no_batch_of_one(images, batch, sizes):
    assert preflight.other_sizes(images, batch) == sizes
    assert not any(n % size == 1 for n in images for size in sizes)


def test_no_size_is_named_where_none_helps(monkeypatch):
    """An epoch of one image is a batch of one image, whatever the size."""
    asking(monkeypatch, 1)
    with pytest.raises(InputError, match="at 32 pixels; take a larger --image-size"):
        try_outs().check_batches({(0, NORM): START}, plans(1))


def test_rows_that_are_known_to_be_missing_are_left_out_of_the_first_plans():
    dataset = demo.read(Path("demo")).first(3)
    first, second, _ = dataset.paths.tolist()
    tests = {"test_ids": np.array(["x", "y"]), "test_paths": np.array([first, "gone"])}
    dataset = replace(dataset, **tests, missing={second: "no such file", "gone": "no such file"})
    rows, test_rows = run_plans.rows_known(Settings(on_bad_image="skip"), dataset)
    assert rows.tolist() == [0, 2] and test_rows.tolist() == [3]
    rows, test_rows = run_plans.rows_known(Settings(), dataset)
    assert rows.tolist() == [0, 1, 2] and test_rows.tolist() == [3, 4]


def test_a_missing_image_that_is_skipped_leaves_no_batch_of_one(bench, tmp_path, cold):
    """41 rows would train on 33 images in batches of 32; without the missing one, on 32."""
    images_at("images/{}.jpg", 41)(tmp_path)
    text = "".join(f"{i}.jpg,{('cat', 'dog')[i % 2]}\n" for i in range(41))
    file("train.csv", "image,label\n" + text)(tmp_path)
    (tmp_path / "images/40.jpg").unlink()
    words = (*WORDS, "--models", "norm", "--data", tmp_path, "--on-bad-image", "skip", "--results-dir", tmp_path / "r")
    done = bench(*words, env=cold)
    assert done.returncode == 0, done.stderr


def test_a_side_that_a_model_does_not_take_is_refused_before_decoding(bench, tmp_path, cold):
    words = ("--frameworks", "fake", "--limit", "40", "--image-size", "3", "--results-dir", tmp_path / "r")
    refused(
        bench(*words, env=cold), tmp_path,
        "logistic takes images of 4 pixels at least on fake, not 3; take --image-size 4",
    )  # fmt: skip


def test_the_note_of_the_users_file_stands_with_the_weights(monkeypatch):
    start = START.model_copy(update={"path": "w", "note": "of the file"})
    asked = asking(monkeypatch, 0)
    found = try_outs(weights=("w.safetensors",)).check_models({(0, NORM): start})
    assert found[0, NORM].note == "of the file; how it was read" and len(asked) == 1
    assert (
        try_outs().check_models({(0, NORM): start})[0, NORM] == start and len(asked) == 1
    )  # the usual file: not asked


def test_a_model_that_is_not_listed_is_tried_out(monkeypatch):
    asked = asking(monkeypatch, 0)
    job = NORM.model_copy(update={"model": ModelSpec(name="anything")})
    try_outs().check_models({(0, job): START})
    assert len(asked) == 1


def test_a_framework_that_is_not_installed_is_named(monkeypatch):
    info = SimpleNamespace(NEEDS=("there_is_no_such_package", "numpy"), EXTRA="jax")
    monkeypatch.setattr(registry, "framework_info", lambda name: info)
    words = r"fake needs the package there_is_no_such_package, which is not installed; run: uv sync --extra jax, or leave it"
    with pytest.raises(InputError, match=words):
        preflight.check_packages([NORM.framework])


def test_every_framework_names_the_packages_of_its_adapter():
    for info in registry.framework_infos().values():
        assert isinstance(info.NEEDS, tuple) and isinstance(info.EXTRA, str)
        assert all(isinstance(model, ModelInfo) and model.smallest_side >= 1 for model in info.MODELS.values())


def test_a_launcher_without_its_cluster_is_refused_before_decoding(bench_process, tmp_path, cold):
    words = (*WORDS, "--limit", "40", "--results-dir", tmp_path / "r", "--launcher", "ray", "--address", "127.0.0.1:9")
    expected = "no Ray cluster at --address 127.0.0.1:9" if importlib.util.find_spec("ray") else "needs the package ray"
    refused(bench_process(*words, env=cold), tmp_path, expected)


@pytest.mark.slow
@pytest.mark.parametrize("frameworks", [("torch", "tf"), ("tf",)])
def test_real_batch_norm_of_one_value_is_refused_alike(bench, tmp_path, cold, frameworks):
    """torch would end at the end of its epoch, and TensorFlow train on; at 64 pixels both have 4 values and train."""
    words = (
        "--frameworks",
        *frameworks,
        "--models",
        "efficientnet_lite0",
        "--train",
        "all",
        "--limit",
        "41",
        "--epochs",
        "1",
    )
    done = bench(*words, "--image-size", "32", "--results-dir", tmp_path / "r", env=cold)
    refused(
        done, tmp_path, f"batch norm of {frameworks[0]} efficientnet_lite0 that trains", "take --batch-size 31 or 33"
    )
    if len(frameworks) > 1:
        assert bench(*words, "--image-size", "64", "--results-dir", tmp_path / "r", env=cold).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(("framework", "model"), [("torch", "inception_v3"), ("tf", "inceptionv3")])
def test_a_library_model_names_its_smallest_side_before_decoding(bench, tmp_path, cold, framework, model):
    """75 pixels, on both; the model is not listed."""
    words = ("--frameworks", framework, "--models", model, "--weights", "random", "--limit", "20", "--epochs", "1")
    done = bench(*words, "--image-size", "64", "--results-dir", tmp_path / "r", env=cold)
    refused(done, tmp_path, f"{model} takes images of 75 pixels at least, not 64; take --image-size 75")

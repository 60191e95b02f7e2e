"""Settings to specs: learning rates, one device for all, the paper's suite."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from common.core import registry
from common.core.errors import InputError
from common.core.settings import Settings
from common.core.specs import Job, ModelSpec, WeightsSpec
from common.data.decode import content_of
from common.data.formats import demo
from common.data.pixel_store import CONTENTS, read_contents
from common.run import device, prepare
from common.run.samples import write_samples
from tests.helpers.cases import images_at, picture

JOB = Job(framework="f", model=ModelSpec(name="m"), train="head")
FILE, RANDOM = WeightsSpec(source="file", path="w"), WeightsSpec(source="random")


@pytest.mark.parametrize(
    ("train", "weights", "rate"),
    [("head", FILE, 3e-3), ("head", RANDOM, 1e-3), ("last-block", FILE, 1e-3), ("all", FILE, 1e-3)],
)
def test_the_learning_rate_follows_what_trains(train, weights, rate):
    job = JOB.model_copy(update={"train": train})
    assert prepare.recipe(Settings(), job, weights).learning_rate == rate
    assert prepare.recipe(Settings(learning_rate=0.5), job, weights).learning_rate == 0.5


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_the_one_file_of_a_matched_run_is_any_frameworks(monkeypatch, order):
    """a has no such weights, and was asked for them by name."""

    seen = []

    def resolve(job, asked, say):
        seen.append(job.framework)
        if job.framework == "a":
            raise InputError("a has none")
        return FILE

    monkeypatch.setattr(prepare.weight_files, "resolve", resolve)
    jobs = [JOB.model_copy(update={"framework": f}) for f in order]
    found = prepare.find_weights(Settings(formulas="matched"), jobs, {}, None, print)
    assert [spec.path for spec in found.values()] == ["w", "w"]
    for settings, some in ((Settings(), jobs), (Settings(formulas="matched"), jobs[order.index("a") :][:1])):
        with pytest.raises(InputError, match="a has none"):
            prepare.find_weights(settings, some, {}, None, print)
    # Where each framework has a file of its own, the first refusal ends it: others may take minutes to be converted.
    seen.clear()
    with pytest.raises(InputError, match="a has none"):
        prepare.find_weights(Settings(), jobs, {}, None, print)
    assert seen == list(order[: order.index("a") + 1])


def test_samples_are_of_the_files_that_were_planned_with(tmp_path):
    images_at("{}.jpg", 2)(tmp_path)
    paths = np.array([str(tmp_path / f"{i}.jpg") for i in range(2)])
    np.concatenate([np.frombuffer(content_of(path), np.uint8) for path in paths]).tofile(tmp_path / CONTENTS)
    file, planned = tmp_path / "samples.npz", (SimpleNamespace(paths=paths), np.arange(2), read_contents(tmp_path))
    write_samples(file, *planned)
    assert file.exists()
    picture(tmp_path / "1.jpg", (1, 2, 3))
    with pytest.raises(
        InputError, match=r"1\.jpg' changed while the run was prepared: its content is not .*; run again"
    ):
        write_samples(file, *planned)
    (tmp_path / "1.jpg").unlink()
    with pytest.raises(InputError, match=r"1\.jpg' changed while the run was prepared: no such file; run again"):
        write_samples(file, *planned)


@pytest.fixture
def one_sees_no_gpu(monkeypatch):
    def ask(framework, question, **values):
        if framework == "blind":
            raise InputError("blind sees no CUDA device")

    monkeypatch.setattr(device, "_nvidia", lambda: True)
    monkeypatch.setattr(device, "ask", ask)


def test_one_device_for_all(one_sees_no_gpu):
    assert device.choose("auto", ["seeing"]) == ("cuda", [])
    on, notes = device.choose("auto", ["seeing", "blind"])
    assert on == "cpu" and "one device for all: blind sees no CUDA device" in notes[0]
    with pytest.raises(InputError, match="--device cuda: blind sees no CUDA device"):
        device.choose("cuda", ["seeing", "blind"])


def test_the_papers_suite_is_the_papers():
    jobs = [(j.framework, str(j.model), j.train, j.balance) for j in registry.suite("paper").JOBS]
    assert jobs == [
        ("torch", "resnet50:v1.5", "last-block", "none"),
        ("torch", "resnext50_32x4d", "last-block", "none"),
        ("tf", "vgg19", "head", "oversample"),
        ("tf", "vgg19", "head", "none"),
        ("torch", "vgg19", "head", "none"),  # crossed: what `compare` parts framework and architecture by
        ("tf", "resnet50:v1", "last-block", "none"),
    ]


def test_the_demo_is_known_by_its_labels_alone(tmp_path, monkeypatch):
    """Its files change with the version of the library that draws them: no reason to refuse a comparison."""
    (tmp_path / "contents.u8").write_bytes(bytes(32))
    pixels = prepare.Pixels(tmp_path, "", 16, True, {}, 0, 0.0)
    data = replace(demo.read(Path("demo")).first(2), folder=str(tmp_path / "cache" / "demo"))
    monkeypatch.setenv("FRAMEWORK_BENCH_CACHE", str(tmp_path / "cache"))
    assert prepare.images_hash(data, pixels) == ""
    assert len(prepare.images_hash(replace(data, folder=str(tmp_path / "photos")), pixels)) == 16

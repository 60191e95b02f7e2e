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
from common.data.feed import read_plan
from common.data.formats import demo
from common.data.pixel_store import CONTENTS, read_contents
from common.run import device, plans, prepare, run_folder, weights
from common.run.samples import write_samples
from tests.helpers.cases import images_at, picture

JOB = Job(framework="f", model=ModelSpec(name="m"), train="head")
FILE, RANDOM = WeightsSpec(source="file", path="w"), WeightsSpec(source="random")


@pytest.mark.parametrize(
    ("train", "start", "rate"),
    [("head", FILE, 3e-3), ("head", RANDOM, 1e-3), ("last-block", FILE, 1e-3), ("all", FILE, 1e-3)],
)
def test_the_learning_rate_follows_what_trains(train, start, rate):
    job = JOB.model_copy(update={"train": train})
    assert run_folder.recipe(Settings(), job, start).learning_rate == rate
    assert run_folder.recipe(Settings(learning_rate=0.5), job, start).learning_rate == 0.5


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_the_one_file_of_a_matched_run_is_any_frameworks(monkeypatch, order):
    """a has no such weights, and was asked for them by name."""

    seen = []

    def resolve(job, asked, say):
        seen.append(job.framework)
        if job.framework == "a":
            raise InputError("a has none")
        return FILE

    monkeypatch.setattr(weights.weight_files, "resolve", resolve)
    jobs = [JOB.model_copy(update={"framework": f}) for f in order]
    found = weights.find_weights(Settings(formulas="matched"), jobs, print)
    assert [spec.path for spec in found.values()] == ["w", "w"]
    for settings, some in ((Settings(), jobs), (Settings(formulas="matched"), jobs[order.index("a") :][:1])):
        with pytest.raises(InputError, match="a has none"):
            weights.find_weights(settings, some, print)
    # Where each framework has a file of its own, the first refusal ends it: others may take minutes to be converted.
    seen.clear()
    with pytest.raises(InputError, match="a has none"):
        weights.find_weights(Settings(), jobs, print)
    assert seen == list(order[: order.index("a") + 1])


@pytest.mark.parametrize(("broken", "draws"), [(False, 1), (True, 2)])
def test_plans_are_drawn_again_only_where_an_image_cannot_be_decoded(not_quick, tmp_path, monkeypatch, broken, draws):
    images_at("{}.jpg", 6)(tmp_path / "data")
    lines = "".join(f"{i}.jpg,{('cat', 'dog')[i % 2]}\n" for i in range(6))
    (tmp_path / "data" / "train.csv").write_text("image,label\n" + lines)
    if broken:
        (tmp_path / "data" / "3.jpg").write_bytes(b"no image")
    drawn = []

    def draw(*of):
        drawn.append(of)
        return plans.draw_plans(*of)

    monkeypatch.setattr(prepare, "draw_plans", draw)
    monkeypatch.setenv("FRAMEWORK_BENCH_CACHE", str(tmp_path / "cache"))
    settings = Settings(
        frameworks=("fake",), data=str(tmp_path / "data"), image_size=16, on_bad_image="skip",
        results_dir=str(tmp_path / "results"), device="cpu",
    )  # fmt: skip
    folder, _, specs = prepare.make_run(settings, lambda text: None, lambda done, total: None)
    assert len(drawn) == draws
    rows = read_plan(folder / specs[0].feed.plan, specs[0].feed.plan_hash)
    used = sorted([*rows.train_rows.tolist(), *rows.validation_rows.tolist()])
    assert used == ([0, 1, 2, 4, 5] if broken else [0, 1, 2, 3, 4, 5])


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
    pixels = run_folder.Pixels(tmp_path, "", 16, True, {}, 0, 0.0)
    data = replace(demo.read(Path("demo")).first(2), folder=str(tmp_path / "cache" / "demo"))
    monkeypatch.setenv("FRAMEWORK_BENCH_CACHE", str(tmp_path / "cache"))
    assert run_folder.images_hash(data, pixels) == ""
    assert len(run_folder.images_hash(replace(data, folder=str(tmp_path / "photos")), pixels)) == 16

"""A check of data that changed under an unchanged name: not comparable, and only there."""

import numpy as np
import pytest
from PIL import Image

from common.analysis.check import FINE, NOT_COMPARABLE, compare
from common.analysis.records import read_results
from common.analysis.summary import summarise

TABLE = "image,labels\n" + "".join(f"{i}.png,{('cat', 'dog', 'cat dog')[i % 3]}\n" for i in range(12))


def draw(file, seed):
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (12, 12, 3), np.uint8)).save(file)


@pytest.fixture(scope="module")
def run(bench, tmp_path_factory):
    """A small data set, a run of it by name, and the baseline of the first run."""
    parent = tmp_path_factory.mktemp("check-data")
    photos = parent / "photos"
    (photos / "images").mkdir(parents=True)
    for i in range(12):
        draw(photos / "images" / f"{i}.png", i)
    (photos / "train.csv").write_text(TABLE)

    def call(name):
        words = ("--frameworks", "fake", "--epochs", "1", "--image-size", "16", "--results-dir", parent, "--name", name)
        done = bench(*words, "--data", photos)
        assert done.returncode == 0, done.stderr
        return parent / name

    made = bench("check", call("before"), "--baseline", parent / "b.json", "--update-baseline")
    assert made.returncode == 0, made.stderr
    return parent, call


def test_a_baseline_with_a_byte_order_mark_is_read(bench, run):
    """As Windows' editors and shells write it."""
    parent, _ = run
    text = (parent / "b.json").read_text(encoding="utf-8")
    (parent / "mark.json").write_text(text, encoding="utf-8-sig")
    assert bench("check", parent / "before", "--baseline", parent / "mark.json").returncode == FINE


@pytest.mark.parametrize("what", ["labels", "images"])
def test_a_data_set_that_changed_under_its_name(bench, run, what):
    parent, call = run
    if what == "labels":
        (parent / "photos" / "train.csv").write_text(
            TABLE.replace("0.png,cat", "0.png,dog").replace("4.png,dog", "4.png,cat")
        )
    else:
        draw(parent / "photos" / "images" / "3.png", 99)
    try:
        done = bench("check", call(f"other-{what}"), "--baseline", parent / "b.json")
    finally:
        (parent / "photos" / "train.csv").write_text(TABLE)
        draw(parent / "photos" / "images" / "3.png", 3)
    assert done.returncode == NOT_COMPARABLE, done.stdout + done.stderr
    assert f"{what} (under the same name)" in " ".join(done.stdout.split())


def changed(base, **context):
    rows = tuple(row.model_copy(update={"context": row.context | context}) for row in base.rows)
    return base.model_copy(update={"rows": rows})


@pytest.mark.parametrize(
    ("before", "now", "refused"),
    [
        ({"labels": "a"}, {"labels": "b"}, "labels (under the same name)"),
        ({"images": "a", "pixels": "a"}, {"images": "b", "pixels": "b"}, "images (under the same name)"),
        ({"images": "a", "pixels": "a"}, {"images": "a", "pixels": "b"}, ""),  # another version of the decoder
        ({"images": "a", "pixels": "a"}, {"images": "b", "pixels": "a"}, ""),  # saved anew without loss
        ({"images": "", "pixels": "a"}, {"images": "b", "pixels": "b"}, ""),  # a baseline that is older than the hash
        ({"labels": ""}, {"labels": "b"}, ""),
    ],
)
def test_what_makes_data_another_one(run, before, now, refused):
    base = summarise(read_results(run[0] / "before"))
    report = compare(changed(base, **now), changed(base, **before))
    assert report.exit_code == (NOT_COMPARABLE if refused else FINE)
    assert all(refused in text for text in report.refused) and bool(report.refused) == bool(refused)

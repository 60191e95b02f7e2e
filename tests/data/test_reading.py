"""What a run prints of its data before it decodes anything, what its report keeps of it, and what `data` refuses."""

import numpy as np
import pytest

from common.analysis.records import read_results
from common.core.dataset import Reading
from common.core.errors import InputError
from common.run.jobs import valid_settings
from tests.helpers.cases import both, file, images_at, labels, table


@pytest.fixture
def run(bench, tmp_path):
    def call(data, *arguments):
        return bench("--frameworks", "fake", "--data", data, "--image-size", "16", "--results-dir", tmp_path / "results",
                     "--name", "run", *arguments)  # fmt: skip

    return call


def drawn(tmp_path, draw):
    (folder := tmp_path / "set").mkdir()
    draw(folder)
    return folder


def test_a_run_prints_its_reading_before_it_decodes_and_reports_it(run, tmp_path):
    """With the author's split and a test table: both are used, and predictions have the table's own numbers."""
    numbers = table("file,age,labels", lambda i: f"{i}.jpg,{i},{('7 30', '30')[i % 2]}", n=20)
    draw = both(numbers, file("val.csv", "file,age,labels\nv0.jpg,1,7\nv1.jpg,2,30\n"), file("test.csv", "file\nv2.jpg\n"),
                images_at("photos/v{}.jpg", 3))  # fmt: skip
    done = run(drawn(tmp_path, draw), "--split", "given", "--ignore-columns", "age", "--predict-at", "10")
    assert done.returncode == 0, done.stderr
    before, _, after = done.stdout.partition("decoding 23 images")
    for words in ("table: train.csv (csv format, utf-8", "image column: file", "images in: images, photos", "classes: 2: 7, 30",
                  "lists in the column labels, separated by space", "age (--ignore-columns)", "20 images to train, 2 to validate"):  # fmt: skip
        assert words in " ".join(before.split()), before
    assert "labels: lists" not in after
    assert "train (author's split, seed 0)" in done.stdout
    assert "Scores come from 2 validation images, too few to rank anything by" in " ".join(done.stdout.split())
    results = read_results(tmp_path / "results" / "run")
    assert isinstance(results.run.reading, Reading) and results.run.reading.image_folders == ("images", "photos")
    assert results.run.splits["0"].train == 20 and results.run.splits["0"].validation == 2
    page = (tmp_path / "results" / "run" / "results.md").read_text()
    assert "## How the data was read" in page and "| images in | images, photos |" in page
    (predictions,) = (tmp_path / "results" / "run" / "trials").glob("*/predictions.csv")
    (_, line) = predictions.read_text().splitlines()
    assert line.startswith("v2.jpg,") and {*line.split(",")[1].split()} <= {"7", "30"}


def test_images_that_are_not_there_are_refused_before_any_is_decoded(run, tmp_path):
    done = run(drawn(tmp_path, table("image,labels", lambda i: f"{i}.jpg,{labels(i)}", images="images/{:04}.jpg")))
    assert done.returncode == 2 and "10 of the 10 images of 'set' were not found" in done.stderr
    assert "leading zeros" in done.stderr and "--images FOLDER" in done.stderr
    assert "decoding" not in done.stdout


@pytest.mark.parametrize(("spoil", "words"), [("missing", "3.jpg (no such file)"), ("cut", "3.jpg ("), ("", "")])
def test_data_ends_as_a_run_on_the_same_input_would(bench, tmp_path, spoil, words):
    folder = drawn(tmp_path, table("image,labels", lambda i: f"{i}.jpg,{labels(i)}"))
    image = folder / "images" / "3.jpg"
    if spoil == "missing":
        image.unlink()
    if spoil == "cut":
        image.write_bytes(image.read_bytes()[:100])
    done = bench("data", "--data", folder, "--results-dir", tmp_path / "pages")
    assert done.returncode == (2 if spoil else 0) and words in done.stderr and "Traceback" not in done.stderr
    assert "How the data was read" in done.stdout
    assert ("all 10 images can be decoded" in done.stdout) == (not spoil)
    assert (tmp_path / "pages" / "data-set" / "data.md").exists()


def test_dropped_rows_are_dropped_everywhere(run, tmp_path):
    cells = ("1,0", "0,1", "-1,1", ",0")
    folder = drawn(tmp_path, table("image,cat,dog", lambda i: f"{i}.jpg,{cells[i % 4]}", n=20))
    done = run(folder)
    assert done.returncode == 2 and "--unknown absent" in done.stderr and "--unknown drop" in done.stderr
    assert run(folder, "--unknown", "drop").returncode == 0
    with np.load(tmp_path / "results" / "run" / "labels.npz") as arrays:
        assert arrays["ids"].tolist() == [f"{i}.jpg" for i in range(20) if i % 4 < 2] and arrays["labels"].shape == (
            10,
            2,
        )


@pytest.mark.parametrize(
    ("cells", "flags", "classes"),
    [(("polar bear", "brown bear"), ("none",), "2: brown bear, polar bear"), (("cat, dog", "dog, bird", "bird; cat"), (";", ","), "3: bird, cat, dog")],
)  # fmt: skip
def test_the_separator_that_a_refusal_recommends_works_as_a_flag(bench, tmp_path, cells, flags, classes):
    folder = drawn(tmp_path, table("image,labels", lambda i: f'{i}.jpg,"{cells[i % len(cells)]}"'))
    words = ("data", "--data", folder, "--results-dir", tmp_path / "pages")
    refused = bench(*words)
    shown = " ".join("none" if flag == "none" else f"'{flag}'" for flag in flags)
    assert refused.returncode == 2 and f"--label-separator {shown} gives" in refused.stderr
    done = bench(*words, "--label-separator", *flags)
    assert done.returncode == 0 and classes in done.stdout, done.stdout + done.stderr


def test_every_flag_of_the_reading_takes_as_many_words_as_its_setting():
    """A setting of several words whose flag takes one ended in a traceback."""
    from common.cli.options import trials_parser
    from common.core.settings import ReadOptions

    several = {name for name, value in ReadOptions().model_dump().items() if isinstance(value, tuple)}
    taking = {action.dest for action in trials_parser({})._actions if action.nargs == "+"}
    assert several and several <= taking


def test_a_setting_of_a_wrong_kind_is_refused_in_a_line():
    with pytest.raises(InputError, match=r"epochs = 'many'.*see --help"):
        valid_settings({"epochs": "many"})

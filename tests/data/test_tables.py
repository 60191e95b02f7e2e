"""Tables of other forms: CSV in both shapes and COCO, against the competition's form of the same rows."""

import json

import numpy as np
import pandas as pd
import pytest

from common.core import registry
from common.core.errors import InputError
from common.data.formats import coco, csv, demo
from common.data.images import Images
from common.data.reading import check, check_names


@pytest.fixture(scope="module")
def scenes():
    return demo.read(demo.Path("demo")).first(60)


def by_column(scenes, folder):
    """A column per class, written by pandas."""
    frame = pd.DataFrame(scenes.labels, columns=scenes.class_names)
    frame.insert(0, "filename", scenes.ids)
    frame.to_csv(folder / "train.csv", index=False)
    (folder / "data").symlink_to(scenes.folder + "/data")


def by_list(scenes, folder, separator=" "):
    cells = [separator.join(map(str, np.flatnonzero(row))) for row in scenes.labels]
    pd.DataFrame({"image": scenes.ids, "labels": cells}).to_csv(folder / "my.csv", index=False)
    (folder / "data").symlink_to(scenes.folder + "/data")


def as_coco(scenes, folder):
    """An annotation per label, ids that are not positions, categories in another order than their ids."""
    categories = [{"id": 10 + c, "name": name} for c, name in enumerate(scenes.class_names)]
    images = [{"id": 1000 + i, "file_name": name} for i, name in enumerate(scenes.ids.tolist())]
    pairs = np.argwhere(scenes.labels)
    annotations = [
        {"id": n, "image_id": 1000 + int(i), "category_id": 10 + int(c), "bbox": [0, 0, 1, 1]}
        for n, (i, c) in enumerate(pairs)
    ]
    (folder / "annotations").mkdir()
    content = {"images": images, "annotations": annotations, "categories": categories[::-1]}
    (folder / "annotations" / "instances_train2017.json").write_text(json.dumps(content))
    (folder / "images").symlink_to(scenes.folder + "/data")


@pytest.mark.parametrize(("write", "format"), [(by_column, csv), (by_list, csv), (as_coco, coco)])
def test_every_form_gives_the_same_rows(scenes, tmp_path, write, format):
    write(scenes, tmp_path)
    assert registry.format_of(tmp_path) is format
    data = format.read(tmp_path)
    check_names(data)
    assert (data.ids == scenes.ids).all()
    occurring = np.flatnonzero(scenes.labels.any(axis=0))  # a list of numbers has those that occur for classes
    columns = occurring if write is by_list else np.arange(scenes.labels.shape[1])
    assert (data.labels == scenes.labels[:, columns]).all()
    assert write is not by_list or data.class_numbers == tuple(occurring)
    assert all(open(a, "rb").read() == open(b, "rb").read() for a, b in zip(data.paths, scenes.paths))
    if write is not by_list:
        assert data.class_names == scenes.class_names


@pytest.mark.parametrize("write", [by_column, as_coco])
def test_every_form_gives_the_same_scores(bench, scenes, tmp_path, write):
    """The fake framework on the competition's form and on another: the same plan, logits and table."""
    (tmp_path / "other").mkdir()
    write(scenes, tmp_path / "other")
    runs = {}
    for name, data in (("a", "demo"), ("b", tmp_path / "other")):
        done = bench("--frameworks", "fake", "--data", data, "--limit", "60", "--image-size", "16",
                     "--results-dir", tmp_path / "results", "--name", name)  # fmt: skip
        assert done.returncode == 0, done.stderr
        with np.load(tmp_path / "results" / name / "trials" / "01-fake-logistic-head-seed0" / "logits.npz") as arrays:
            runs[name] = arrays["prediction"]
    assert np.array_equal(runs["a"], runs["b"])


@pytest.mark.parametrize(("cell", "separator"), [("cat dog", " "), ("cat;dog", ";"), ("cat|dog", "|")])
def test_names_are_separated_by_what_the_column_uses(tmp_path, cell, separator):
    (tmp_path / "t.csv").write_text(f'file,tags\n1.jpg,"{cell}"\n2.jpg,bird\n3.jpg,\n')
    data = csv.read(tmp_path / "t.csv")
    assert data.class_names == ("bird", "cat", "dog")
    assert data.labels.tolist() == [[0, 1, 1], [1, 0, 0], [0, 0, 0]]


def test_a_comma_separates_names_that_also_stand_alone(tmp_path):
    (tmp_path / "t.csv").write_text('file,tags\n1.jpg,"cat, dog"\n2.jpg,dog\n3.jpg,\n')
    assert csv.read(tmp_path / "t.csv").labels.tolist() == [[1, 1], [0, 1], [0, 0]]


def test_names_with_spaces_need_another_separator(tmp_path):
    (tmp_path / "t.csv").write_text("file,tags\n1.jpg,traffic light|cat\n2.jpg,cat\n")
    assert csv.read(tmp_path / "t.csv").class_names == ("cat", "traffic light")


def test_a_column_of_one_name_keeps_its_spaces(tmp_path):
    (tmp_path / "t.csv").write_text("id,filename,label\n1,a.jpg,traffic light\n2,b.jpg,cat\n")
    data = csv.read(tmp_path / "t.csv")
    assert data.class_names == ("cat", "traffic light")
    assert data.ids.tolist() == ["a.jpg", "b.jpg"]  # a column id is for images only where there is no other


def test_a_missing_ending_is_found_on_the_disk(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"x")
    (tmp_path / "t.csv").write_text("image_name,tags\na,cat\nb,dog\n")
    data = csv.read(tmp_path / "t.csv")
    assert data.ids.tolist() == ["a.png", "b.png"]
    assert data.paths[0] == str((tmp_path / "images" / "a.png").resolve())


def test_a_test_table_is_read_where_there_is_one(tmp_path):
    (tmp_path / "train.csv").write_text("file,tags\n1.jpg,cat\n")
    assert len(csv.read(tmp_path).test_ids) == 0
    (tmp_path / "test.csv").write_text("file\n8.jpg\n9.jpg\n")
    assert csv.read(tmp_path).test_ids.tolist() == ["8.jpg", "9.jpg"]


BAD = "x," * 5
REFUSED = {
    "more cells than the header": (
        "file,tags\n1.jpg,cat\n2.jpg,a,b,c\n3.jpg,a,b\n",
        "cannot be read: '2.jpg,a,b,c', '3.jpg,a,b'",
    ),
    "neither 0 nor 1": ("file,cat,dog\n1.jpg,0,1\n2.jpg,2,0\n3.jpg,,1\n", "row 2, cat: '2', row 3, cat: ''"),
    "a number out of range": ("file,labels\n1.jpg,-3\n2.jpg,9\n3.jpg,-4\n", "row 1: -3, row 3: -4"),
    "too few cells": ("file,cat,dog\n1.jpg,0,1\n2.jpg\n3.jpg,1\n", "too few cells: row 2: '2.jpg', row 3: '3.jpg,1'"),
    "a quote that is not closed": (
        'file,tags\n1.jpg,"a; b"\n2.jpg,"a; b\n3.jpg,"a"\n',
        "run over several rows: row 2, tags: 'a; b\\n3.jpg,a",
    ),
    "a quote not closed in another text": (
        'file,tags,caption\n1.jpg,a,"two\nlines"\n2.jpg,a,"one\n3.jpg,b,"one"\n',
        "run over several rows: row 2, caption: ",
    ),
    "a list that is none": (
        "file,labels\n1.jpg,\"['cat', 'dog']\"\n2.jpg,[x y]\n3.jpg,cat\n",
        "row 2: [x y], row 3: cat",
    ),
    "no rows": ("file,labels\n", "has no rows"),
    "no labels": ("file,caption\n1.jpg,hello\n", "has no labels"),
    "empty labels": ("file,labels\n1.jpg,\n", "no image has a label"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_every_offending_row_of_a_csv_is_listed(tmp_path, what):
    content, message = REFUSED[what]
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(InputError) as caught:
        check(csv.read(tmp_path / "t.csv"))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "lacks a list of images, annotations, categories"),
        ('{"images": [], "annotations": [], "categories": []}', "has 0 images and 0 categories"),
        (
            '{"images": [{"id": 1}], "annotations": [], "categories": [{"id": 1, "name": "a"}]}',
            "file_name is missing, empty or no text: image 1",
        ),
        (
            '{"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}], '
            '"categories": [{"id": 1, "name": "a"}], "annotations": []}',
            "ids that stand there twice: image 1 (2 times)",
        ),
        (
            '{"images": [{"id": 1, "file_name": "a"}], "categories": [{"id": 1, "name": "a"}], '
            '"annotations": [{"id": 5, "image_id": 9, "category_id": 1}, {"id": 6, "image_id": 1, "category_id": 7}]}',
            "annotation 5: image 9, category 1, annotation 6: image 1, category 7",
        ),
    ],
)
def test_a_broken_instances_file_says_what_is_wrong(tmp_path, content, message):
    (tmp_path / "instances.json").write_text(content)
    with pytest.raises(InputError) as caught:
        coco.read(tmp_path)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/passwd", "a/../../b.jpg"])
def test_an_image_outside_the_data_folder_is_refused(tmp_path, name):
    (tmp_path / "t.csv").write_text(f"file,tags\n1.jpg,cat\n{name},dog\n")
    with pytest.raises(InputError, match=r"1 of the images of t\.csv lie outside"):
        check_names(csv.read(tmp_path / "t.csv"))


def test_an_image_in_two_rows_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("file,tags\n1.jpg,cat\n2.jpg,dog\n1.jpg,dog\n")
    with pytest.raises(InputError, match=r"'1\.jpg' \(2 rows\)"):
        check_names(csv.read(tmp_path / "t.csv"))


def test_only_the_first_twenty_offenders_are_listed(tmp_path):
    rows = "".join(f"../{i}.jpg,cat\n" for i in range(50))
    (tmp_path / "t.csv").write_text("file,tags\n" + rows)
    with pytest.raises(InputError) as caught:
        check_names(csv.read(tmp_path / "t.csv"))
    assert "50 of the images" in str(caught.value) and "(50 in all)" in str(caught.value)
    assert "'../19.jpg'" in str(caught.value) and "'../20.jpg'" not in str(caught.value)


def test_the_folder_of_the_images_is_found(tmp_path):
    for name in ("train2017", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "train2017" / "a.jpg").write_bytes(b"")
    found = Images(tmp_path).locate(["missing.jpg", "a.jpg"])
    assert found.folders == ("train2017",)
    assert found.paths.tolist() == [str((tmp_path / "train2017" / name).resolve()) for name in ("missing.jpg", "a.jpg")]
    assert Images(tmp_path).locate(["b.jpg"]).paths.tolist() == [str((tmp_path / "b.jpg").resolve())]


def test_one_image_under_two_names_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("file,tags\n1.jpg,cat\n./1.jpg,dog\na/../1.jpg,dog\n")
    with pytest.raises(InputError, match=r"'1\.jpg' \(3 rows\)"):
        check_names(csv.read(tmp_path / "t.csv"))


def test_a_coco_test_file_is_read_and_never_its_own(scenes, tmp_path):
    as_coco(scenes, tmp_path)
    folder = tmp_path / "annotations"
    assert len(coco.read(tmp_path).test_ids) == 0
    (folder / "image_info_test2017.json").write_text('{"images": [{"id": 1, "file_name": "8.jpg"}]}')
    assert coco.read(tmp_path).test_ids.tolist() == ["8.jpg"]
    (folder / "image_info_test2017.json").rename(folder / "instances_test2017.json")
    (folder / "instances_train2017.json").rename(folder / "instances_test2017.json")
    assert len(coco.read(folder / "instances_test2017.json").test_ids) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"images": [{"id": 3}]}', "file_name is missing, empty or no text: image 3"),
        ('{"images": [3]}', "not in COCO's form"),
    ],
)
def test_a_broken_coco_test_file_says_what_is_wrong(scenes, tmp_path, content, message):
    as_coco(scenes, tmp_path)
    (tmp_path / "annotations" / "instances_test.json").write_text(content)
    with pytest.raises(InputError, match=message):
        coco.read(tmp_path)


def test_a_format_may_be_asked_for_by_name(bench, tmp_path):
    """A table that would pass for the competition's form, read as any table; and demo, which reads no folder."""
    (tmp_path / "train.csv").write_text("ImageID,Labels,Caption\n" + "".join(f"{i}.jpg,{i % 2},x\n" for i in range(9)))
    said = {
        f: bench("data", "--data", tmp_path, "--format", f, "--results-dir", tmp_path / f)
        for f in ("comp5329", "csv", "demo")
    }
    pages = {f: (tmp_path / f / f"data-{tmp_path.name}" / "data.md").read_text() for f in ("comp5329", "csv")}
    assert "| labels | 20 |" in pages["comp5329"] and "| labels | 2 |" in pages["csv"]
    assert said["demo"].returncode == 2 and "--format demo draws its own images" in said["demo"].stderr

"""Where images lie: the right folder is found and named, or the choices are told; other formats than plain tables."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from common.core.errors import InputError
from common.core.specs import PlanSpec
from common.data.images import Images
from common.data.plan import make_plan
from tests.helpers.cases import (
    BLUE,
    BOM,
    CAT_DOG,
    GREEN,
    RED,
    Case,
    Read,
    Refused,
    bits,
    both,
    coco,
    file,
    images_at,
    labels,
    table,
)
from tests.helpers.reading import check_case, read


def rows(name, n=30):
    return file(name, "image,cat,dog\n" + "".join(f"{i}.png,{bits(i)}\n" for i in range(n)))


def photos(folder, n=30, colour=RED):
    return images_at(folder + "/{}.png", n, colour)


TWO = Read(CAT_DOG, (15, 15), images=30)


def at(first, *says):
    return Read(CAT_DOG, (15, 15), first, says, images=30)


FOLDERS = [
    Case("same_names", both(photos("train"), photos("test", colour=GREEN), rows("train.csv")),
         at("train/0.png", "images in: train", "The folder test also has files of 30 of these names")),
    Case("same_names_test_first", both(photos("a_test", 40, GREEN), photos("z_train"), rows("train.csv")), at("z_train/0.png")),
    Case("same_names_val", both(photos("train"), photos("val", colour=BLUE), rows("val.csv")), at("val/0.png")),
    Case("masks", both(photos("masks", colour=GREEN), photos("photos"), rows("labels.csv")),
         Refused(("several folders", "30 in masks and in photos", "--images masks"))),
    Case("masks_named", both(photos("masks", colour=GREEN), photos("photos"), rows("labels.csv")),
         Read(CAT_DOG, (15, 15), "photos/0.png", images=30, flags=(("images", "photos"),))),
    Case("no_such_images", both(photos("photos"), rows("labels.csv")),
         Refused(("--images pictures: no such folder", "photos"), flags=(("images", "pictures"),))),
    Case("all_rows_decide", both(photos("a", 20, GREEN), photos("b", 30), rows("labels.csv")),
         Refused(("20 in a and in b", "--images a or --images b"))),
    Case("few_are_no_rival", both(photos("a", 14, GREEN), photos("b", 30), rows("labels.csv")), at("b/0.png", "The folder a also has")),
    Case("thumbs", both(photos("images"), photos(".", colour=GREEN), rows("train.csv")), at("0.png", "images in: .")),
    Case("only_the_tests", both(photos("test", colour=GREEN), rows("train.csv")),
         Refused(("another part of the data", "30 in test", "--images test"))),
    Case("only_the_tests_named", both(photos("test", colour=GREEN), rows("train.csv")),
         Read(CAT_DOG, (15, 15), "test/0.png", images=30, flags=(("images", "test"),))),
    Case("nested", both(images_at("images/00/{}.png", 15), lambda d: [images_at("images/01/{}.png", 30)(d), [(d / f"images/01/{i}.png").unlink() for i in range(15)]],
                        rows("train.csv")), at("images/00/0.png", "images in: images/00, images/01")),
    Case("other_case", table("image,labels", lambda i: f"img_{i}.jpg,{labels(i)}", images="images/img_{}.JPG"),
         Read(CAT_DOG, (5, 10), "images/img_0.JPG", ("differ from the file's name in upper and lower case",))),
    Case("upper_ending", table("image,labels", lambda i: f"IMG_{i},{labels(i)}", images="images/IMG_{}.JPG"),
         Read(CAT_DOG, (5, 10), "images/IMG_0.JPG", ("have no ending",))),
    Case("tif_ending", table("image_name,tags", lambda i: f"{i},{'haze' if i % 2 else 'clear'} primary", images="tifs/{}.tif"),
         Read(("clear", "haze", "primary"), (5, 5, 10), "tifs/0.tif")),
    Case("two_endings", both(images_at("a/{}.png", 10), images_at("a/{}.jpg", 10), file("train.csv", "image,labels\n" + "".join(f"{i},{labels(i)}\n" for i in range(10)))),
         Refused(("files with several", "a/0.jpg, a/0.png"))),
    Case("backslash", table("image,labels", lambda i: f"images\\{i}.jpg,{labels(i)}"),
         Read(CAT_DOG, (5, 10), "images/0.jpg", ("Windows' backslashes",))),
    Case("dot_slash", table("image,labels", lambda i: f"./images/{i}.jpg,{labels(i)}"), Read(CAT_DOG, (5, 10), "images/0.jpg")),
    Case("spaces_unicode", table("image,labels", lambda i: f'"le été {i}, 写真 🐱.jpg",{"chât;犬" if i % 2 else "犬"}', images="images/le été {}, 写真 🐱.jpg"),
         Read(("chât", "犬"), (5, 10), "images/le été 0, 写真 🐱.jpg")),
    Case("absolute_inside", lambda d: table("image,labels", lambda i: f"{d}/images/{i}.jpg,{labels(i)}")(d), Read(CAT_DOG, (5, 10), "images/0.jpg")),
    Case("absolute_elsewhere", table("image,labels", lambda i: f"/kaggle/input/x/{i}.jpg,{labels(i)}"),
         Read(CAT_DOG, (5, 10), "images/0.jpg", ("are paths of another place",))),
    Case("absolute_not_all", table("image,labels", lambda i: f"/kaggle/input/x/{i + 1}.jpg,{labels(i)}"),
         Read(CAT_DOG, (5, 10), "images/1.jpg", ("9 image names are paths of another place", "images that are not there: 1 of 10"))),
    Case("absolute_few", table("image,labels", lambda i: f"/kaggle/input/x/{i + 6}.jpg,{labels(i)}"),
         Refused(("10 of the images of train.csv lie outside", "a file 6.jpg lies in images"))),
    Case("own_name", table("image,labels", lambda i: f"set/images/{i}.jpg,{labels(i)}"),
         Read(CAT_DOG, (5, 10), "images/0.jpg", ("begin with the name of the data folder",))),
    Case("deep_tree", table("image,labels", lambda i: f"../images/{i}.jpg,{labels(i)}", name="labels/train.csv"),
         Refused(("lie outside", "name their folder: --images '")), at="labels"),
    Case("zero_padded", table("image,labels", lambda i: f"{i}.jpg,{labels(i)}", images="images/{:06}.jpg"),
         Refused(("were not found", "there is images/000000.jpg: the table's name lacks the leading zeros", "looked for in"))),
    Case("other_ending", table("image,labels", lambda i: f"{i}.png,{labels(i)}"), Refused(("images/0.jpg, which has another ending than '.png'",))),
    Case("hpa", table("Id,Target", lambda i: f"id{i},{['16 0', '7 1'][i % 2]}", images="train/id{}_red.png"),
         Refused(("files begin with its name, such as train/id0_red.png",))),
    Case("tables_below", table("image,labels", lambda i: f"{i}.jpg,{labels(i)}", name="CheXpert/data.csv", images="CheXpert/{}.jpg"),
         Refused(("no format recognises", "CheXpert/data.csv", "Try: --data "))),
    Case("folders", images_at("black_dress/{}.jpg"), Refused(("folders (black_dress)", "write a table", "csv: "))),
]  # fmt: skip

FORMATS = [
    Case("coco_holes", coco(), Read(CAT_DOG, (5, 5), "train/000000.jpg", ("annotations: categories",))),
    Case("coco_bom", coco(mark=BOM), Read(CAT_DOG, (5, 5))),
    Case("coco_folder_name", coco(images=lambda i: {"id": i, "file_name": f"train/{i:06}.jpg"}), Read(CAT_DOG, (5, 5), "train/000000.jpg")),
    Case("coco_crowd", coco(annotations=[{"id": 0, "image_id": 0, "category_id": 3, "iscrowd": 1}, {"id": 1, "image_id": 1, "category_id": 7}]),
         Read(CAT_DOG, (1, 1), says=("annotations of crowds, which count too: 1",))),
    Case("coco_lvis", coco(images=lambda i: {"id": i, "coco_url": f"http://x/{i:06}.jpg"}), Refused(("without file_name", "coco_url"))),
    Case("coco_twin_names", coco(categories=[{"id": 3, "name": "cat"}, {"id": 7, "name": "cat"}]), Refused(("several classes of one name: 'cat'",))),
    Case("coco_string_ids", coco(images=lambda i: {"id": str(i), "file_name": f"{i:06}.jpg"}), Refused(("texts in one list and numbers in the other",))),
    Case("coco_valonly", coco("annotations/instances_val2017.json", "val2017"), Read(CAT_DOG, (5, 5), "val2017/000000.jpg")),
    Case("coco_captions", both(coco(), file("annotations/captions_train.json", '{"images": [], "annotations": []}')), Read(CAT_DOG, (5, 5))),
    Case("coco_result_json", coco("result.json", "images", images=lambda i: {"id": i, "file_name": f"images\\{i:06}.jpg"}), Read(CAT_DOG, (5, 5), "images/000000.jpg")),
    Case("coco_same_names", both(coco(), images_at("test/{:06}.jpg", 10, GREEN), images_at("val/{:06}.jpg", 10, BLUE), coco("annotations/instances_val.json", "val")),
         Read(CAT_DOG, (5, 5), "train/000000.jpg", ("instances_val.json is not used", "images in: train"))),
    Case("inat", coco("train2018.json", "train_val2018", images=lambda i: {"id": i, "file_name": f"train_val2018/{i:06}.jpg"}), Read(CAT_DOG, (5, 5))),
    Case("coco_no_annotations", coco(annotations=[]), Refused(("no image has a label",))),
    Case("roboflow_coco", coco("train/_annotations.coco.json", categories=[{"id": 0, "name": "pets", "supercategory": "none"},
                               {"id": 3, "name": "cat", "supercategory": "pets"}, {"id": 7, "name": "dog", "supercategory": "pets"}]),
         Read(CAT_DOG, (5, 5), "train/000000.jpg", ("'pets' is the group of all others",))),
    Case("hf_metadata", table("file_name,labels", lambda i: f"{i}.jpg,{labels(i)}", name="train/metadata.csv", images="train/{}.jpg"), Read(CAT_DOG, (5, 10), "train/0.jpg")),
    Case("hf_jsonl", both(images_at("train/{}.jpg"), file("train/metadata.jsonl", "".join(json.dumps({"file_name": f"{i}.jpg", "labels": labels(i).split(";")}) + "\n" for i in range(10)))),
         Read(CAT_DOG, (5, 10), "train/0.jpg", ("jsonl format",))),
    Case("hf_jsonl_broken", both(images_at("train/{}.jpg"), file("train/metadata.jsonl", '{"file_name": "0.jpg", "labels": ["cat"]}\nnot json\n')),
         Refused(("no JSON object: line 2: 'not json'",))),
    Case("celeba", both(images_at("img/{:06}.jpg"), file("list_attr_celeba.txt", "10\nBald Smiling\n" + "".join(f"{i:06}.jpg {'-1' if i % 2 else ' 1'}  {'-1' if i % 3 else ' 1'}\n" for i in range(10)))),
         Read(("Bald", "Smiling"), (5, 4), "img/000000.jpg", ("-1 is read as absent",))),
    Case("celeba_cut", both(images_at("img/{:06}.jpg"), file("list_attr_celeba.txt", "10\nBald Smiling\n000000.jpg 1 -1\n")), Refused(("10 images", "lines for 1"))),
    Case("voc", both(images_at("JPEGImages/{}.jpg"), *(file(f"Annotations/{i}.xml", f"<annotation><filename>{i}.jpg</filename><object><name>{'cat' if i % 2 else 'dog'}</name></object></annotation>") for i in range(10))),
         Read(CAT_DOG, (5, 5), "JPEGImages/0.jpg", ("voc format",))),
    Case("voc_broken", both(images_at("JPEGImages/{}.jpg", 1), file("Annotations/0.xml", "<annotation><filename>0.jpg")), Refused(("cannot be read: 0.xml",))),
    Case("comp5329_26", table("ImageID,Labels,Caption", lambda i: f'{i}.jpg,{i + 16},"x"', images="data/{}.jpg"), Refused(("outputs are 0 to 19", "--format csv"))),
]  # fmt: skip


@pytest.mark.parametrize("case", FOLDERS + FORMATS, ids=lambda case: case.name)
def test_images_are_found_where_they_are_meant_to_be(tmp_path, case):
    (folder := tmp_path / "set").mkdir()
    check_case(case, folder)


def test_the_pixels_are_those_of_the_folder_that_is_named(tmp_path):
    """Not only the path: the training table's images are red, the other folder's green."""
    FOLDERS[0].draw(tmp_path)
    data, _ = read(FOLDERS[0], tmp_path)
    assert {Image.open(path).getpixel((0, 0)) for path in data.paths} == {RED}


def test_images_may_be_links_to_a_store_elsewhere(tmp_path):
    images_at("store/{}.jpg")(tmp_path)
    (tmp_path / "set" / "images").mkdir(parents=True)
    for i in range(10):
        os.symlink(tmp_path / f"store/{i}.jpg", tmp_path / f"set/images/{i}.jpg")
    os.symlink(tmp_path / "set", tmp_path / "set" / "round")  # a folder that holds itself ends no walk
    assert Images(tmp_path / "set").locate([f"{i}.jpg" for i in range(10)]).missing == {}


@pytest.mark.parametrize("named", [".", "images"])
def test_a_folder_that_the_user_names_may_lie_above_the_table(tmp_path, named):
    table("image,labels", lambda i: f"../images/{i}.jpg,{labels(i)}", name="labels/train.csv")(tmp_path)
    case = Case("deep", lambda d: None, Read(CAT_DOG, flags=(("images", str(tmp_path / named)),)), at="labels")
    data, text = read(case, tmp_path)
    assert (data.paths[0] == str(tmp_path / "images" / "0.jpg") and "images in: ../images" in text) or str(
        tmp_path
    ) in text


def given(tmp_path, draw, **flags):
    (folder := tmp_path / "set").mkdir()
    draw(folder)
    case = Case("given", draw, Read(CAT_DOG, flags=(("split", "given"), *flags.items())))
    return read(case, folder)[0]


def test_the_authors_validation_table_is_the_validation_split(tmp_path):
    draw = both(table("image,labels", lambda i: f"{i}.jpg,{labels(i)}"), images_at("images/v{}.jpg", 2),
                file("val.csv", "image,labels\nv0.jpg,cat\nv1.jpg,dog\n"))  # fmt: skip
    data = given(tmp_path, draw)
    assert data.in_validation.tolist() == [False] * 10 + [True] * 2 and data.ids[10] == "v0.jpg"
    plan = make_plan(data.labels, PlanSpec(seed=3, split="given"), 1, in_validation=data.in_validation)
    assert plan.validation_rows.tolist() == [10, 11] and plan.train_rows.tolist() == list(range(10))


@pytest.mark.parametrize(
    ("header", "cell"), [("split", ["train", "val", "test"]), ("is_valid", ["0", "1"]), ("set", ["Training", "Validation"]), ("is_train", ["True", "False"])]
)  # fmt: skip
def test_the_authors_split_may_be_a_column(tmp_path, header, cell):
    draw = table(
        f"image,labels,{header}",
        lambda i: f"{i}.jpg,{labels(i)},{cell[0] if i < 6 else cell[1] if i < 8 else cell[-1]}",
    )
    data = given(tmp_path, draw)
    tests = 2 if len(cell) == 3 else 0
    assert len(data) == 10 - tests and len(data.test_ids) == tests
    assert np.flatnonzero(data.in_validation).tolist() == list(range(6, 10 - tests))


def test_hugging_faces_validation_folder_is_the_validation_split(tmp_path):
    parts = [table("file_name,labels", lambda i: f"{i}.jpg,{labels(i)}", name=f"{part}/metadata.csv", images=part + "/{}.jpg")
             for part in ("train", "validation")]  # fmt: skip
    data = given(tmp_path, both(*parts))
    assert data.in_validation.sum() == 10 and data.paths[10].endswith("validation/0.jpg")


def test_cocos_validation_file_is_the_validation_split(tmp_path):
    data = given(tmp_path, both(coco(), coco("annotations/instances_val.json", "val", n=4)))
    assert data.in_validation.tolist() == [False] * 10 + [True] * 4 and data.paths[10].endswith("val/000000.jpg")


def test_a_split_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"--split given: .* looked for val\.csv.* take --split random"):
        given(tmp_path, table("image,labels", lambda i: f"{i}.jpg,{labels(i)}"))


def test_a_split_column_with_other_words_is_refused(tmp_path):
    draw = table("image,labels,split", lambda i: f"{i}.jpg,{labels(i)},{'train' if i else 'dev'}")
    assert given(tmp_path, draw).in_validation.tolist() == [True] + [False] * 9
    (tmp_path / "two").mkdir()
    odd = table("image,labels,split", lambda i: f"{i}.jpg,{labels(i)},{'train' if i else ''}")
    with pytest.raises(InputError, match="name no part of the split: row 1: ''"):
        given(tmp_path / "two", odd)


def test_no_group_is_on_both_sides(tmp_path):
    (folder := tmp_path / "set").mkdir()
    table("image,labels,patient", lambda i: f"{i}.jpg,{labels(i)},p{i // 4}", n=40)(folder)
    case = Case("groups", lambda d: None, Read(CAT_DOG, flags=(("group_column", "patient"),)))
    data, _ = read(case, folder)
    for seed in range(5):
        plan = make_plan(data.labels, PlanSpec(seed=seed), 1, groups=data.groups)
        assert not {*data.groups[plan.train_rows]} & {*data.groups[plan.validation_rows]}
        assert len(plan.validation_rows) == 8  # 2 of the 10 groups


def test_a_group_on_both_sides_of_the_authors_split_is_refused(tmp_path):
    draw = table("image,labels,patient,is_valid", lambda i: f"{i}.jpg,{labels(i)},p{i // 4},{int(i > 5)}")
    with pytest.raises(InputError, match="1 groups of 'patient' are in both parts"):
        given(tmp_path, draw, group_column="patient")

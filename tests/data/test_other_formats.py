"""COCO, VOC, CelebA and JSON lines as people have them: what they hold twice, empty or in two lists is told."""

import json

import pytest

from common.core.errors import InputError
from common.core.settings import Settings
from common.data.bad_images import without_bad
from tests.helpers.cases import CAT_DOG, Case, Read, Refused, both, coco, file, images_at, labels
from tests.helpers.reading import check_case, read

GIVEN = (("split", "given"),)


def voc(n=10, **lists):
    """n annotations, and ImageSets/Main with these lists."""
    objects = [f"<object><name>{'cat' if i % 2 else 'dog'}</name></object>" for i in range(n)]
    annotations = [file(f"Annotations/{i}.xml", f"<annotation><filename>{i}.jpg</filename>{objects[i]}</annotation>") for i in range(n)]  # fmt: skip
    sets = [file(f"ImageSets/Main/{part}.txt", "\n".join(map(str, names)) + "\n") for part, names in lists.items()]
    return both(images_at("JPEGImages/{}.jpg", n), *annotations, *sets)


def lines(*texts):
    return both(images_at("train/{}.jpg", 10), file("train/metadata.jsonl", "\n".join(texts) + "\n"))


def line(i):
    return json.dumps({"file_name": f"{i}.jpg", "labels": labels(i).split(";")})


def celeba(count):
    rows = "".join(f"{i}.jpg {1 if i % 2 else -1} {-1 if i % 2 else 1}\n" for i in range(10))
    return both(images_at("img/{}.jpg"), file("list_attr_celeba.txt", f"{count}\nBald Smiling\n{rows}"))


VOC = [
    Case("voc_in_both", voc(train=range(8), val=[6, 7, 8, 9]), Refused(("both name 2 images: 6, 7",), flags=GIVEN)),
    Case("voc_given", voc(train=range(6), val=range(6, 9)),
         Read(CAT_DOG, (4, 5), says=("6 images to train, 3 to validate", "in neither train.txt nor val.txt, which are left out: 1"), images=9, flags=GIVEN)),
    Case("voc_no_annotation", voc(train=[*range(6), "a", "b"], val=range(6, 10)),
         Read(CAT_DOG, (5, 5), says=("have no annotation and are left out: 2, such as a",), flags=GIVEN)),
    Case("voc_endings", voc(train=[f"{i}.jpg" for i in range(6)], val=[f"{i}.jpg" for i in range(6, 10)]),
         Read(CAT_DOG, (5, 5), says=("6 images to train, 4 to validate",), flags=GIVEN)),
    Case("voc_endings_in_both", voc(train=[f"{i}.jpg" for i in range(6)], val=range(5, 10)), Refused(("both name 1 images: 5",), flags=GIVEN)),
    Case("voc_other_names", voc(train=["x", "y"], val=range(6, 10)), Refused(("train.txt names no image that has an annotation ('x'",), flags=GIVEN)),
    Case("voc_empty_list", voc(train=range(6), val=[]), Refused(("val.txt names no image that has an annotation;",), flags=GIVEN)),
    Case("voc_encoding", voc(), Refused(("the format voc does not follow --encoding", "leave it out"), flags=(("encoding", "latin-1"),))),
]  # fmt: skip
COCO = [
    Case("coco_surrogate", coco(categories=[{"id": 7, "name": "dog"}, {"id": 3, "name": "\ud83d"}]), Refused(("instances_train.json", "is no character"))),
    Case("coco_empty_name", coco(categories=[{"id": 7, "name": "dog"}, {"id": 3, "name": " "}]), Refused(("no text, or an empty one: category 3: ' '",))),
    Case("coco_null_name", coco(categories=[{"id": 7, "name": "dog"}, {"id": 3, "name": None}]), Refused(("category 3: None",))),
    Case("coco_number_name", coco(categories=[{"id": 7, "name": "dog"}, {"id": 3, "name": 3}]), Refused(("category 3: 3",))),
    Case("coco_empty_file_name", coco(images=lambda i: {"id": i, "file_name": "" if i == 4 else f"{i:06}.jpg"}), Refused(("file_name is missing, empty or no text: image 4",))),
    Case("coco_number_file_name", coco(images=lambda i: {"id": i, "file_name": i}), Refused(("file_name is missing, empty or no text: image 0",))),
    Case("coco_key_twice", file("instances_train.json", '{"images": [], "images": [{"id": 0, "file_name": "0.jpg"}], "annotations": [], "categories": []}'),
         Refused(("the key 'images' stands twice",))),
]  # fmt: skip
LINES = [
    Case("jsonl_key_twice", lines(line(0), '{"file_name": "1.jpg", "labels": ["cat"], "labels": ["dog"]}'),
         Refused(("line 2", "the key 'labels' stands twice in one object"))),
    Case("jsonl_delimiter", lines(*map(line, range(10))), Refused(("the format jsonl does not follow --delimiter",), flags=(("delimiter", ";"),))),
    Case("jsonl_encoding", lines(*map(line, range(10))), Read(CAT_DOG, (5, 10), flags=(("encoding", "utf-8"),))),
    Case("celeba_minus_one_is_absent", celeba(10), Read(("Bald", "Smiling"), images=10, flags=(("unknown", "drop"),))),
    Case("celeba_delimiter", celeba(10), Refused(("the format celeba does not follow --delimiter",), flags=(("delimiter", ";"),))),
    Case("celeba_long_count", celeba("9" * 5000), Refused(("no list of attributes",), flags=(("format", "celeba"),))),
    Case("celeba_wrong_count", celeba("9" * 18), Refused(("says that it has 999999999999999999 images",))),
]  # fmt: skip


@pytest.mark.parametrize("case", VOC + COCO + LINES, ids=lambda case: case.name)
def test_other_formats_lose_nothing_silently(tmp_path, case):
    (folder := tmp_path / "set").mkdir()
    check_case(case, folder)


def test_a_missing_image_of_the_given_split_says_where_it_was_looked_for(tmp_path):
    draw = both(coco(), coco("annotations/instances_val.json", "val", n=4), lambda d: (d / "val/000001.jpg").unlink())
    draw(tmp_path)
    (tmp_path / "train/000001.jpg").unlink()
    data, _ = read(Case("", draw, Read(CAT_DOG, flags=GIVEN)), tmp_path)
    with pytest.raises(InputError, match=r"Images were looked for in .*train"):
        without_bad(Settings(), data, {11: "no such file"})

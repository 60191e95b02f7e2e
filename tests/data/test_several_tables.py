"""Several tables that fit one part of the data: none is taken silently."""

import pytest

from common.core import registry
from common.core.errors import InputError
from tests.helpers.cases import CAT_DOG, Case, Read, Refused, both, coco, file, images_at, labels, table
from tests.helpers.reading import check_case


def part(folder, name="metadata.csv", n=10, header="file_name,labels"):
    """A folder of images with its table."""
    return table(header, lambda i: f"{i}.jpg,{labels(i)}", name=f"{folder}/{name}", images=folder + "/{}.jpg", n=n)


def instances(which, n=10):
    names = lambda i: {"id": i, "file_name": f"{which}/{i:06}.jpg"}  # noqa: E731
    return coco(f"annotations/instances_{which}.json", which, n=n, images=names, annotations=OBJECTS[:n])


def csv(name, n=10):
    return file(name, "image,labels\n" + "".join(f"{i}.jpg,{labels(i)}\n" for i in range(n)))


OBJECTS = [{"id": i, "image_id": i, "category_id": 3 + 4 * (i % 2)} for i in range(10)]
GIVEN = (("split", "given"),)
IMAGES = images_at("images/{}.jpg")

TABLES = [
    Case("folders_of_two_years", both(part("train2014"), part("train2017")),
         Refused(("several tables of training data", "'train2014/metadata.csv', 'train2017/metadata.csv'", "--data '"))),
    Case("folders_of_validation", both(part("train"), part("val"), part("valid")),
         Refused(("several tables of validation data", "'val/metadata.csv', 'valid/metadata.csv'", "move all but one"))),
    Case("folders_of_tests", both(part("train"), part("test_a"), part("test_b")),
         Refused(("several tables of test data", "'test_a/metadata.csv', 'test_b/metadata.csv'", "--data '"))),
    Case("folder_named", both(part("train2014"), part("train2017")), Read(CAT_DOG, (5, 10), "train2014/0.jpg"), at="train2014/metadata.csv"),
    Case("files_of_validation", both(IMAGES, csv("train.csv"), csv("val.csv"), csv("valid.csv")),
         Refused(("several tables of validation data", "'val.csv', 'valid.csv'"))),
    Case("file_named", both(IMAGES, csv("train.csv"), csv("val.csv"), csv("valid.csv")),
         Read(CAT_DOG, (5, 10), says=("Tables that are not used: val.csv, valid.csv",)), at="train.csv"),
    Case("file_of_the_year", both(IMAGES, csv("train2017.csv"), csv("val.csv"), csv("val2017.csv")),
         Read(CAT_DOG, (5, 10), says=("val2017.csv is not used: --split given takes it", "Tables that are not used: val.csv"))),
    Case("tables_above_folders", both(IMAGES, csv("train.csv"), part("train2014"), part("train2017")),
         Read(CAT_DOG, (5, 10), "images/0.jpg", flags=(("images", "images"),))),
    Case("jsonl_folders", both(*(both(images_at(f"{p}/{{}}.jpg"), file(f"{p}/metadata.jsonl", '{"file_name": "0.jpg", "labels": ["cat"]}\n')) for p in ("train_a", "train_b"))),
         Refused(("several tables of training data", "'train_a/metadata.jsonl', 'train_b/metadata.jsonl'"))),
]  # fmt: skip
COCO = [
    Case("coco_training", both(instances("train2014"), instances("train2017")),
         Refused(("several tables of training data", "'annotations/instances_train2014.json', 'annotations/instances_train2017.json'", "--data '"))),
    Case("coco_named", both(instances("train2014"), instances("train2017")),
         Read(CAT_DOG, (5, 5), "train2017/000000.jpg", ("Tables that are not used: instances_train2014.json",)), at="annotations/instances_train2017.json"),
    Case("coco_validation", both(instances("train"), instances("val2014"), instances("val2017")),
         Refused(("several tables of validation data", "'instances_val2014.json', 'instances_val2017.json'", "move all but one"))),
    Case("coco_validation_of_the_year", both(instances("train2017"), instances("val2014", 4), instances("val2017", 6)),
         Read(CAT_DOG, (8, 8), "train2017/000000.jpg", ("10 images to train, 6 to validate", "Tables that are not used: instances_val2014.json"), images=16, flags=GIVEN)),
    Case("coco_validation_of_a_named_file", both(instances("train"), instances("val2014"), instances("val2017")),
         Read(CAT_DOG, (5, 5), "train/000000.jpg", ("Tables that are not used: instances_val2014.json, instances_val2017.json",)), at="annotations/instances_train.json"),
    Case("coco_tests", both(instances("train2017"), coco("annotations/image_info_test2017.json", "test2017", n=3), coco("annotations/image_info_test-dev2017.json", "test2017", n=2)),
         Read(CAT_DOG, (5, 5), tests=3, says=("Tables that are not used: image_info_test-dev2017.json",))),
]  # fmt: skip


@pytest.mark.parametrize("case", TABLES + COCO, ids=lambda case: case.name)
def test_none_of_several_tables_is_taken_silently(tmp_path, case):
    (folder := tmp_path / "set").mkdir()
    check_case(case, folder)


def test_a_format_that_finds_several_tables_is_recognised_and_lists_them_when_it_reads(tmp_path):
    for name, text in (
        ("metadata.csv", "file_name,labels\n0.jpg,cat\n"),
        ("metadata.jsonl", '{"file_name": "0.jpg"}\n'),
    ):
        for folder in ("train2014", "train2017"):
            (tmp_path / name / folder).mkdir(parents=True)
            (tmp_path / name / folder / name).write_text(text)
        found = registry.format_of(tmp_path / name)
        assert found.__name__.endswith(name.rsplit(".", 1)[1])
        with pytest.raises(InputError, match="several tables of training data"):
            found.read(tmp_path / name)
    for folder in ("train2014", "train2017"):
        (tmp_path / "metadata.csv" / folder / "metadata.jsonl").write_text('{"file_name": "0.jpg"}\n')
    with pytest.raises(InputError, match="looks like csv and like jsonl; say which with --format csv"):
        registry.format_of(tmp_path / "metadata.csv")

"""What a strict reader of the first version found: places, rows, splits and files that were read silently, or died."""

import json

import pytest

from common.core import registry
from common.core.errors import InputError
from common.data.reading import check
from tests.helpers.cases import CAT_DOG, GREEN, Case, Read, Refused, bits, both, coco, file, images_at, labels, table
from tests.helpers.reading import check_case, read

LISTS = table("image,labels", lambda i: f"{i}.jpg,{labels(i)}")


def open_quote(header, row):
    return table(header, lambda i: row(i).replace("TEXT", '"a man' if i == 4 else "x"))


ROWS = [
    Case("open_quote_after_ids", open_quote("image,labels,caption", lambda i: f"{i},{labels(i)},TEXT"), Refused(("quote",))),
    Case("open_quote_beside_columns", open_quote("image,cat,dog,caption", lambda i: f"{i},{bits(i)},TEXT"), Refused(("quote",))),
    Case("open_quote_and_another", table("image,labels,caption", lambda i: f"{i},{labels(i)}," + ('"a man' if i == 4 else 'x"' if i == 7 else "x")), Refused(("several rows", "quote"))),
    Case("melted", table("image,class,value", lambda i: f"{i}.jpg,cat,{i % 2}\n{i}.jpg,dog,1"), Read(CAT_DOG, (5, 10), says=("Rows whose value is 0",))),
    Case("confidence_alone", table("ImageID,LabelName,Confidence", lambda i: f"{i},/m/{i % 2},{int(i > 3)}"), Read(("/m/0", "/m/1"), (3, 3), says=("Rows whose Confidence is 0",))),
    Case("rows_of_two_splits", table("image,label,split", lambda i: f"{i}.jpg,cat,train\n{i}.jpg,dog,{'val' if i == 3 else 'train'}"), Refused(("'3.jpg' ('train' and 'val')",), flags=(("split", "given"),))),
    Case("header_again", table("image,labels", lambda i: f"{i}.jpg,{labels(i)}" + ("\nimage,labels" if i == 4 else "")), Read(CAT_DOG, (5, 10), says=("repeat the header",))),
    Case("title_row", table("My labels of 2021\nimage,cat,dog", lambda i: f"{i}.jpg,{bits(i)}"), Read(CAT_DOG, (5, 5), says=("Lines before the header that are left out: 'My labels of 2021'",))),
    Case("row_names_of_r", table('"image","cat","dog"', lambda i: f'"{i}","{i}.jpg",{bits(i)}'), Read(CAT_DOG, (5, 5), says=("as R writes its rows' names",))),
]  # fmt: skip
PLACES = [
    Case("row_number_beside_images", table("id,scan,labels", lambda i: f"{i},{9 - i}.jpg,{labels(i)}"), Read(CAT_DOG, (5, 10), "images/9.jpg", ("image column: scan",))),
    Case("more_masks_than_photos", both(images_at("photos/{}.jpg", 9), images_at("masks/{}.jpg", 10, GREEN), file("labels.csv", "image,labels\n" + "".join(f"{i}.jpg,{labels(i)}\n" for i in range(10)))),
         Refused(("several folders", "--images masks or --images photos"))),
    Case("innermost_role", both(images_at("train_data/test/{}.jpg"), file("train.csv", "image,labels\n" + "".join(f"{i}.jpg,{labels(i)}\n" for i in range(10)))), Refused(("another part of the data", "train_data/test"))),
    Case("only_validation_images", both(images_at("valid/{}.jpg"), file("train.csv", "image,labels\n" + "".join(f"{i}.jpg,{labels(i)}\n" for i in range(10)))), Refused(("another part of the data", "--images valid"))),
    Case("folder_and_file", both(images_at("a/{}.jpg"), images_at("b/{}.jpg"), file("t.csv", "folder,filename,label\n" + "".join(f"{'ab'[i % 2]},{i // 2}.jpg,{('cat', 'dog')[i % 2]}\n" for i in range(10)))),
         Read(CAT_DOG, (5, 5), "a/0.jpg")),
    Case("other_endings_of_masks", both(images_at("masks/{}.png"), table("n,image,labels", lambda i: f"{i},{i}.jpg,{labels(i)}")), Read(CAT_DOG, (5, 10), "images/0.jpg")),
    Case("two_spellings", both(images_at("images/img{}.jpg"), images_at("images/Img{}.jpg", colour=GREEN), file("t.csv", "image,labels\n" + "".join(f"IMG{i}.jpg,{labels(i)}\n" for i in range(10)))), Refused(("IMG0.jpg",))),
    Case("superscript", table("image,labels", lambda i: f"{'²7' if i == 3 else i}.jpg,{labels(i)}", images="images/{}.jpg"), Read(CAT_DOG, (5, 10), says=("images that are not there: 1",))),
    Case("many_digits", table("image,labels", lambda i: f"{'7' * 5000 if i == 3 else i}.jpg,{labels(i)}"), Read(CAT_DOG, (5, 10), says=("images that are not there: 1",))),
    Case("leading_slash", table("image,labels", lambda i: f"/images/{i}.jpg,{labels(i)}"), Read(CAT_DOG, (5, 10), "images/0.jpg")),
]  # fmt: skip
FILES = [
    Case("submission", both(images_at("test/{}.jpg"), file("sample_submission.csv", "image,labels\n0.jpg,cat\n1.jpg,dog\n"), table("image,labels", lambda i: f"{i}.jpg,{labels(i)}", name="train/labels.csv", images="train/{}.jpg")),
         Read(CAT_DOG, (5, 10), "train/0.jpg")),
    Case("coco_with_column_flags", coco(), Refused(("--group-column",), flags=(("group_column", "patient"),))),
    Case("surrogates", both(images_at("train/{}.jpg"), file("train/metadata.jsonl", '{"file_name": "0.jpg", "labels": ["\\ud83d"]}\n')), Refused(("metadata.jsonl",))),
    Case("jsonl_of_padded_keys", both(images_at("train/{}.jpg"), file("train/metadata.jsonl", "".join(json.dumps({"file_name": f"{i}.jpg", " cat": i % 2, " dog": 1 - i % 2}) + "\n" for i in range(10)))), Read(CAT_DOG, (5, 5))),
    Case("many_digits_of_a_label", table("ImageID,Labels,Caption", lambda i: f'{i}.jpg,{"9" * 5000 if i == 3 else 1},"x"', images="data/{}.jpg"), Refused(("outputs are 0 to 19",))),
    Case("blank_groups", table("image,labels,patient", lambda i: f"{i}.jpg,{labels(i)},{'' if i == 3 else i}"), Refused(("patient",), flags=(("group_column", "patient"),))),
    Case("groups_named", table("image,labels,patient", lambda i: f"{i}.jpg,{labels(i)},{i // 2}"), Read(CAT_DOG, (5, 10), says=("patient", "5 groups"), flags=(("group_column", "patient"),))),
    Case("groups_of_one", table("image,labels,patient", lambda i: f"{i}.jpg,{labels(i)},{i}"), Read(CAT_DOG, (5, 10), says=("--group-column changes nothing",), flags=(("group_column", "patient"),))),
    Case("split_column_named", table("image,labels,part", lambda i: f"{i}.jpg,{labels(i)},{('train', 'val')[i // 8]}"), Read(CAT_DOG, (5, 10), says=("8 images to train, 2 to validate",), flags=(("split", "given"), ("split_column", "part")))),
]  # fmt: skip


@pytest.mark.parametrize("case", ROWS + PLACES + FILES, ids=lambda case: case.name)
def test_nothing_is_read_silently(tmp_path, case):
    (folder := tmp_path / "set").mkdir()
    check_case(case, folder)


def test_the_data_folder_comes_before_the_current_one(tmp_path, monkeypatch):
    """--images photos, as a message advises it, is the folder that the message saw."""
    for folder in ("set/photos/{}.jpg", "here/photos/{}.jpg"):
        images_at(folder)(tmp_path)
    images_at("set/masks/{}.jpg", colour=GREEN)(tmp_path)
    file("set/labels.csv", "image,labels\n" + "".join(f"{i}.jpg,{labels(i)}\n" for i in range(10)))(tmp_path)
    monkeypatch.chdir(tmp_path / "here")
    case = Case("", lambda d: None, Read(CAT_DOG, flags=(("images", "photos"),)))
    try:
        data, _ = read(case, tmp_path / "set")
    except InputError as error:
        assert str(tmp_path / "set" / "photos") in str(error) and str(tmp_path / "here" / "photos") in str(error)
    else:
        assert data.paths[0] == str(tmp_path / "set" / "photos" / "0.jpg")


def test_a_named_folder_is_not_the_test_tables(tmp_path):
    """--images decides between photos and masks for the training table; the test images stay those of test/."""
    for folder, n in (("photos", 10), ("masks", 10), ("test", 4)):
        images_at(folder + "/{}.jpg", n)(tmp_path)
    file("train.csv", "image,labels\n" + "".join(f"{i}.jpg,{labels(i)}\n" for i in range(10)))(tmp_path)
    file("test.csv", "image\n" + "".join(f"{i}.jpg\n" for i in range(4)))(tmp_path)
    data, _ = read(Case("", lambda d: None, Read(CAT_DOG, flags=(("images", "photos"),))), tmp_path)
    assert data.paths[0].endswith("photos/0.jpg") and data.test_paths[0].endswith("test/0.jpg")


def test_control_characters_are_no_part_of_a_name(tmp_path):
    table("image,labels", lambda i: f"{i}.jpg,{('cat', 'dog', 'x' + chr(27) + '[2J')[i % 3]}")(tmp_path)
    with pytest.raises(InputError, match="character"):
        check(registry.format_of(tmp_path).read(tmp_path))

"""Columns of the author's split: never classes, and never read in one of two ways without a word."""

import pytest

from tests.helpers.cases import BOM, CAT_DOG, Case, Read, Refused, bits, both, file, images_at, table
from tests.helpers.reading import check_case, read

GIVEN = (("split", "given"),)
TAKEN = "the author's split; --split given takes it"


def split(header, *words):
    """A table of 0/1 columns and of columns that may be a split: the last two rows have the second words."""
    return table(f"image,cat,dog,{header}", lambda i: f"{i}.jpg,{bits(i)},{words[i > 7]}")


NO_CLASS = [
    Case("yes_no", split("is_valid", "no", "yes"), Read(CAT_DOG, (5, 5), says=(f"is_valid ({TAKEN}",))),
    Case("letters", split("is_test", "F", "T"), Read(CAT_DOG, (5, 5), says=(f"is_test ({TAKEN}",))),
    Case("one_letter", split("is_test", "F", "F"), Read(CAT_DOG, (5, 5), says=(f"is_test ({TAKEN}",))),
    Case("decimals", split("is_valid", "0.000", "1.000"), Read(CAT_DOG, (5, 5), says=(f"is_valid ({TAKEN}",))),
    Case("val", split("val", 0, 1), Read(CAT_DOG, (5, 5), says=(f"val ({TAKEN}, --label-columns takes it as a class",))),
    Case("three_flags", split("train,val,test", "1,0,0", "0,1,0"), Read(CAT_DOG, (5, 5), says=(f"train ({TAKEN}", f"val ({TAKEN}"))),
    Case("holdout", split("holdout", 0, 1), Read(CAT_DOG, (5, 5), says=(f"holdout ({TAKEN}",))),
    Case("fold_id", split("fold_id,cv_fold", "0,0", "1,1"), Read(CAT_DOG, (5, 5), says=("fold_id (a number of a fold)", "cv_fold (a number"))),
    Case("train_alone", split("train", 1, 0), Refused(("can be read in two ways", "--ignore-columns train", "--split-column train", "--label-columns cat dog train"))),
    Case("train_ignored", split("train", 1, 0), Read(CAT_DOG, (5, 5), flags=(("ignore_columns", ("train",)),))),
    Case("train_a_class", split("train", 1, 0), Read((*CAT_DOG, "train"), (5, 5, 8), flags=(("label_columns", (*CAT_DOG, "train")),))),
    Case("train_beside_labels", table("image,labels,train", lambda i: f"{i}.jpg,{'cat;dog' if i % 2 else 'dog'},{int(i < 8)}"), Read(CAT_DOG, (5, 10), says=(f"train ({TAKEN}",))),
]  # fmt: skip
PARTS = [
    Case("is_valid_given", split("is_valid", "no", "yes"), Read(CAT_DOG, (5, 5), says=("8 images to train, 2 to validate", "1 in the column 'is_valid' means validation, 0 training"), flags=GIVEN)),
    Case("letters_given", split("is_train", "T", "F"), Read(CAT_DOG, (5, 5), says=("8 images to train, 2 to validate", "1 in the column 'is_train' means training, 0 validation"), flags=GIVEN)),
    Case("train_given", split("train", 1, 0), Read(CAT_DOG, (5, 5), says=("8 images to train, 2 to validate",), flags=(*GIVEN, ("split_column", "train")))),
    Case("three_flags_given", split("train,val,test", "1,0,0", "0,1,0"), Read(CAT_DOG, (5, 5), says=("8 images to train, 2 to validate", "1 in 'val' means validation"), flags=GIVEN)),
    Case("set_of_bits", split("set", 0, 1), Refused(("'set'", "can be read in two ways", "write train and val", "is_train"), flags=GIVEN)),
    Case("split_of_bits", split("split", 1, 0), Refused(("'split'", "can be read in two ways", "is_valid"), flags=GIVEN)),
    Case("part_of_bits", split("part", 1, 0), Refused(("'part'", "can be read in two ways"), flags=(*GIVEN, ("split_column", "part")))),
    Case("partition_of_three", table("image,cat,dog,partition", lambda i: f"{i}.jpg,{bits(i)},{(0, 1, 2)[(i > 5) + (i > 7)]}"),
         Read(CAT_DOG, (4, 4), images=8, tests=2, says=("0 means training, 1 validation and 2 test",), flags=GIVEN)),
]  # fmt: skip
TWO_FLAGS = [
    Case(f"{a}_and_{b}", split("part", "train", "val"), Refused((f"--{a.replace('_', '-')} and --{b.replace('_', '-')} both name 'part'",), flags=(*GIVEN, (a, ("part",) if a.endswith("s") else "part"), (b, ("part",) if b.endswith("s") else "part"))))
    for a, b in (("image_column", "label_columns"), ("label_columns", "group_column"), ("label_columns", "split_column"), ("image_column", "ignore_columns"), ("ignore_columns", "group_column"))
]  # fmt: skip


@pytest.mark.parametrize("case", NO_CLASS + PARTS + TWO_FLAGS, ids=lambda case: case.name)
def test_a_split_is_read_as_is_right(tmp_path, case):
    (folder := tmp_path / "set").mkdir()
    check_case(case, folder)


def test_a_table_without_a_header_keeps_its_first_image(tmp_path):
    """Names without an ending: the first line looks like a header, and its image was lost."""
    no_header = both(
        images_at("{}.png"), file("train.csv", "0x,0,1\n" + "".join(f"{i},{i % 2},1\n" for i in range(10)))
    )
    draw = both(images_at("0x.png", 1), no_header)
    check_case(Case("", draw, Refused(("no header", "'0x'", "--image-column 0x"))), tmp_path)


OPEN_QUOTE = table("image,labels", lambda i: f"{i}.jpg," + ('"cat' if i == 9 else "dog"))
MESSAGES = [
    Case("space_before_a_quote", table("image,labels", lambda i: f'{i}.jpg, "{"cat" if i % 2 else "dog"}"'), Read(CAT_DOG, (5, 5))),
    Case("open_quote_at_the_end", OPEN_QUOTE, Refused(("opens in row 10, at 'cat';",))),
    Case("mark_and_encoding", table("image,cat,dog", lambda i: f"{i}.jpg,{bits(i)}", mark=BOM), Refused(("byte order mark of UTF-8", "--encoding latin-1"), flags=(("encoding", "latin-1"),))),
    Case("mark_and_its_encoding", table("image,cat,dog", lambda i: f"{i}.jpg,{bits(i)}", mark=BOM), Read(CAT_DOG, (5, 5), flags=(("encoding", "utf-8"),))),
    Case("test_rows_and_a_test_table", both(table("image,cat,dog,split", lambda i: f"{i}.jpg,{bits(i)},{('train', 'val', 'test')[(i > 5) + (i > 7)]}"), file("test.csv", "image\n0.jpg\n")),
         Read(CAT_DOG, (4, 4), images=8, tests=2, says=("test.csv is not used: rows of train.csv are test images",), flags=GIVEN)),
]  # fmt: skip


@pytest.mark.parametrize("case", MESSAGES, ids=lambda case: case.name)
def test_a_message_says_what_is_done(tmp_path, case):
    (folder := tmp_path / "set").mkdir()
    check_case(case, folder)


def test_a_column_that_is_used_is_not_among_the_unused(tmp_path):
    table("ImageID,Source,LabelName,Confidence", lambda i: f"{i},x,/m/1,1\n{i},x,/m/2,{i % 2}")(tmp_path)
    data, _ = read(Case("", lambda _: None, Read(CAT_DOG)), tmp_path)
    assert [column.name for column in data.reading.unused_columns] == ["Source"]

"""The competition's form: train.csv (ImageID,Labels,Caption) beside data/, labels separated by spaces."""

import re
from pathlib import Path

import numpy as np

from common.core.dataset import Dataset, Reading
from common.core.errors import InputError, listed
from common.core.hashing import hash_arrays
from common.core.settings import NO_OPTIONS, ReadOptions
from common.data.images import Images
from common.data.tables.columns import no_columns
from common.data.tables.raw import first_line, read_text

LOOKS_LIKE = "a folder with train.csv whose first line is ImageID,Labels,Caption, and data/N.jpg"
HEADER = "ImageID,Labels,Caption"
CLASSES = 20  # the paper's outputs: COCO's category ids 0 to 19, of which 0 and 12 never occur
NAMES = dict(
    enumerate("person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant".split(), start=1)
) | dict(enumerate("stop_sign parking_meter bench bird cat dog horse".split(), start=13))
# Hash of the first 100 rows of labels: the competition's own data, for which alone the names and the paper's row stand.
KNOWN = "f7b1ffa6fe1d9a2a"
# The paper's own row (its figure 13; precision and recall as its code prints them at the 90th percentile).
PUBLISHED = {
    "the paper, on its own 24,000/6,000 images: torch resnet50, layer4 and head": {
        "80": {"f1": 0.46},
        "85": {"f1": 0.53},
        "90": {"f1": 0.617, "precision": 0.549, "recall": 0.795},
        "95": {"f1": 0.73},
    }
}
# Captions are quoted but quotes inside them are not escaped, and some contain line breaks, so no CSV parser
# reads all rows (pandas stops at line 9086 of the whole table): a record starts where a line begins with
# an image, a comma, labels and a comma. A line that only looks like one is an error, not a part of a caption.
RECORD = re.compile(r"^([^,\n]+\.(?:jpe?g|png)),([0-9 ]*),", re.MULTILINE | re.IGNORECASE)
TEST_RECORD = re.compile(r"^([^,\n]+\.(?:jpe?g|png)),", re.MULTILINE | re.IGNORECASE)
LIKE_A_RECORD = re.compile(r'^(?:[^,\n]+\.\w{3,4},|[^,\n"]+,[0-9 ]*,).*$', re.MULTILINE)
LIKE_A_TEST_RECORD = re.compile(r"^[^,\n]+\.\w{3,4},.*$", re.MULTILINE)


def recognises(path: Path) -> bool:
    table = path / "train.csv"
    if not table.is_file():
        return False
    return first_line(table).strip() == HEADER


def parse(text: str, labelled: bool = True) -> list[tuple[str, tuple[int, ...], str]]:
    """(id, labels, caption) of every record, captions without their outer quotes and otherwise unaltered.

    labelled: whether there is a column of labels (the test table has none). InputError that lists the lines which
    begin as a record and are none.
    """
    starts = list((RECORD if labelled else TEST_RECORD).finditer(text))
    known = {m.start() for m in starts}
    like_one = LIKE_A_RECORD if labelled else LIKE_A_TEST_RECORD
    first = starts[0].start() if starts else len(text)
    lost = re.compile(r".+").finditer(text, text.find("\n") + 1, first)  # between the header and the first record
    strange = {m.start(): m for m in (*like_one.finditer(text), *lost) if m.start() not in known}.values()
    if strange:
        lines = [f"line {text.count(chr(10), 0, m.start()) + 1}: '{m[0][:60].rstrip()}'" for m in strange]
        raise InputError(
            f"{len(lines)} row{'s' if len(lines) > 1 else ''} of the table cannot be read: {listed(lines)}; expected lines such as: "
            '0.jpg,1 19,"a caption" (labels: numbers separated by spaces)'
        )
    ends = [m.start() for m in starts[1:]] + [len(text)]
    records = []
    for match, end in zip(starts, ends):
        caption = text[match.end() : end].removesuffix("\n").removesuffix("\r")
        if len(caption) >= 2 and caption[0] == caption[-1] == '"':
            caption = caption[1:-1]
        records.append((match[1], tuple(map(_number, match[2].split())) if labelled else (), caption))
    return records


def _number(word: str) -> int:
    """A label; of a number that is longer than any label, one that is out of range."""
    return int(word) if len(word) < 10 else CLASSES


def read(path: Path, options: ReadOptions = NO_OPTIONS, name: str = "") -> Dataset:
    """Every row of train.csv, and of test.csv where there is one. InputError where there is none, or where labels are
    not among the 20 outputs."""
    no_columns("comp5329", options)
    text, encoding = read_text(path / "train.csv", options.encoding)
    records = parse(text)
    if not records:
        raise InputError(f'{path / "train.csv"} has no rows; expected lines such as: 0.jpg,1 19,"a caption"')
    wrong = [
        f"{image} has label {max(present)}" for image, present, _ in records if present and max(present) >= CLASSES
    ]
    if wrong:
        raise InputError(
            f"{path / 'train.csv'}: {listed(wrong)}; outputs are 0 to {CLASSES - 1}: correct these rows, or "
            "take --format csv, which reads any number of classes"
        )
    labels = np.zeros((len(records), CLASSES), np.uint8)
    for i, (_, present, _) in enumerate(records):
        labels[i, list(present)] = 1
    test = path / "test.csv"
    tests = (
        [image for image, _, _ in parse(read_text(test, options.encoding)[0], labelled=False)] if test.is_file() else []
    )
    images = Images(path, options.images)
    located = images.locate([image for image, _, _ in records], "train", "train.csv")
    test_located = images.locate(tests, "test", "test.csv")
    known = hash_arrays(labels[:100]) == KNOWN
    names = NAMES if known else {}
    return Dataset(
        name=name or path.resolve().name,
        folder=str(path.resolve()),
        ids=located.ids,
        paths=located.paths,
        labels=labels,
        class_names=tuple(names.get(c, f"unused_{c}" if names else f"class_{c}") for c in range(CLASSES)),
        captions=tuple(caption for _, _, caption in records),
        default_side=224,
        published=PUBLISHED if known else {},
        test_ids=test_located.ids,
        test_paths=test_located.paths,
        missing=located.missing | test_located.missing,
        looked_in=located.looked_in or test_located.looked_in,
        uses_images_flag=located.from_chosen or test_located.from_chosen,
        class_numbers=tuple(range(CLASSES)),
        reading=Reading(
            format="comp5329",
            table="train.csv",
            encoding=encoding,
            delimiter=",",
            image_column="ImageID",
            image_folders=located.folders,
            label_form="lists",
            label_columns=("Labels",),
            label_separator="space",
            notes=located.notes,
        ),
    )

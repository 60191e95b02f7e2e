"""The competition's form: train.csv (ImageID,Labels,Caption) beside data/, labels separated by spaces."""

import re
from pathlib import Path

import numpy as np

from common.errors import InputError
from common.files import hash_arrays
from common.types import Dataset

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
LIKE_A_RECORD = re.compile(r"^[^,\n]+\.\w{3,4},.*$", re.MULTILINE)


def recognises(path: Path) -> bool:
    table = path / "train.csv"
    if not table.is_file():
        return False
    with open(table, encoding="utf-8-sig") as stream:
        return stream.readline().strip() == HEADER


def parse(text: str) -> list[tuple[str, tuple[int, ...], str]]:
    """(id, labels, caption) of every record, captions without their outer quotes and otherwise unaltered.

    InputError with the line that begins as a record and is none.
    """
    starts = list(RECORD.finditer(text))
    known = {m.start() for m in starts}
    for match in LIKE_A_RECORD.finditer(text):
        if match.start() not in known:
            line = text.count("\n", 0, match.start()) + 1
            raise InputError(
                f"line {line} of the table cannot be read: '{match[0][:60].rstrip()}'; expected: 0.jpg,1 19,\"a caption\" "
                "(labels: numbers separated by spaces)"
            )
    ends = [m.start() for m in starts[1:]] + [len(text)]
    records = []
    for match, end in zip(starts, ends):
        caption = text[match.end() : end].removesuffix("\n").removesuffix("\r")
        if len(caption) >= 2 and caption[0] == caption[-1] == '"':
            caption = caption[1:-1]
        records.append((match[1], tuple(map(int, match[2].split())), caption))
    return records


def read(path: Path, name: str = "") -> Dataset:
    """Every row of train.csv. InputError where there is none, or a label is not among the 20 outputs."""
    with open(path / "train.csv", encoding="utf-8-sig", newline="") as stream:
        records = parse(stream.read())
    if not records:
        raise InputError(f'{path / "train.csv"} has no rows; expected lines such as: 0.jpg,1 19,"a caption"')
    labels = np.zeros((len(records), CLASSES), np.uint8)
    for i, (image, present, _) in enumerate(records):
        if present and max(present) >= CLASSES:
            raise InputError(f"{path / 'train.csv'}: {image} has label {max(present)}; outputs are 0 to {CLASSES - 1}")
        labels[i, list(present)] = 1
    ids = np.array([image for image, _, _ in records])
    folder = (path / "data").resolve()
    known = hash_arrays(labels[:100]) == KNOWN
    names = NAMES if known else {}
    return Dataset(
        name=name or path.resolve().name,
        ids=ids,
        paths=np.array([str(folder / image) for image in ids]),
        labels=labels,
        class_names=tuple(names.get(c, f"unused_{c}" if names else f"class_{c}") for c in range(CLASSES)),
        captions=tuple(caption for _, _, caption in records),
        default_side=224,
        published=PUBLISHED if known else {},
    )

"""CelebA's list of attributes: a count, the attributes' names, and a line of 1 and -1 for each image."""

import re
from pathlib import Path

from common.core.dataset import Dataset
from common.core.errors import InputError, listed
from common.core.settings import NO_OPTIONS, ReadOptions
from common.data.formats.csv import dataset_of
from common.data.images import is_image_name
from common.data.tables.files import Tables, check_unused
from common.data.tables.raw import first_line, read_text
from common.data.tables.text import SHOWN, Table

LOOKS_LIKE = (
    "list_attr_*.txt: a line with the number of images, one with the attributes' names, and 1 or -1 for each image"
)
COUNT = re.compile("[0-9]{1,18}")  # of the images, in the first line


def table_of(path: Path) -> Path | None:
    """The list that `path` is or holds."""
    if path.is_file():
        return path if _is_list(path) else None
    found = (
        [f for f in sorted(path.glob("*.txt")) if not f.name.startswith(".") and _is_list(f)] if path.is_dir() else []
    )
    return found[0] if len(found) == 1 else None


def _is_list(file: Path) -> bool:
    return file.suffix.lower() == ".txt" and COUNT.fullmatch(first_line(file).strip()) is not None


def recognises(path: Path) -> bool:
    return table_of(path) is not None


def read(path: Path, options: ReadOptions = NO_OPTIONS) -> Dataset:
    """Every image of the list. InputError that lists the lines with another number of values than there are names."""
    check_unused("celeba", options, "delimiter")
    table = table_of(path)
    if table is None:
        raise InputError(f"no list of attributes at '{path}'; looked for: {LOOKS_LIKE}")
    absent = options.model_copy(update={"unknown": "fail"})  # here -1 means absent, whatever --unknown says of others
    return dataset_of(Tables(table), path, absent, read_list, "celeba")


def read_list(path: Path, options: ReadOptions) -> Table:
    text, encoding = read_text(path, options.encoding)
    lines = text.splitlines()
    names = lines[1].split() if len(lines) > 1 else []
    rows = [(number, line.split()) for number, line in enumerate(lines[2:], start=1) if line.strip()]
    wrong = [f"row {n}: '{' '.join(cells)[:SHOWN]}'" for n, cells in rows if len(cells) != len(names) + 1]
    if wrong or not rows or not is_image_name(rows[0][1][0]):
        raise InputError(f"{path} is not such a list: {listed(wrong) or 'it names no image'}; expected {LOOKS_LIKE}")
    told = lines[0].strip()
    if not COUNT.fullmatch(told) or int(told) != len(rows):
        raise InputError(
            f"{path} says that it has {told[:SHOWN]} images, and has lines for {len(rows):,}: is it whole?"
        )
    cells = tuple(zip(*(cells for _, cells in rows)))
    return Table(path, ("image", *names), cells, tuple(n for n, _ in rows), encoding, "space")

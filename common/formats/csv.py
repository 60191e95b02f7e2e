"""Any CSV table with an image column and either a 0/1 column per class or one column of names or numbers."""

import contextlib
import csv
import os
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from common.errors import InputError, listed
from common.formats import comp5329
from common.images import LOOKED_FOR, find_folder, paths_of
from common.types import Dataset

LOOKS_LIKE = (
    "a .csv table, or a folder with train.csv or a single one: a column of image files, and either a 0/1 column per "
    "class or a column 'labels' of names or numbers, separated by spaces, commas, semicolons or bars"
)
IMAGE_COLUMNS = {"image", "images", "imageid", "imagename", "imagepath", "filename", "file", "path", "filepath", "id"}
ONE_NAME = {"label", "tag", "class", "category"}  # a column of these holds one name, in which a space is a letter
LABEL_COLUMNS = {"labels", "label", "tags", "tag", "classes", "class", "categories", "category"}
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
MOST_CLASSES = 10_000
_ROW_WITHIN = rf"[\r\n][^,\r\n]*(?:{'|'.join(map(re.escape, SUFFIXES))})\"?,"


def table_of(path: Path) -> Path | None:
    """The table that `path` is or holds: train.csv, or the only .csv file of the folder beside test.csv."""
    if path.is_file():
        return path if path.suffix == ".csv" else None
    everything = sorted(path.glob("*.csv"))
    found = [file for file in everything if file.name == "train.csv"]
    found = found or [file for file in everything if file.name != "test.csv"] or everything
    return found[0] if len(found) == 1 else None


def recognises(path: Path) -> bool:
    table = table_of(path)
    if table is None or comp5329.recognises(path):
        return False
    with open(table, encoding="utf-8-sig", errors="replace") as stream:
        header = stream.readline().rstrip("\r\n").split(",")
    return any(_plain(name) in IMAGE_COLUMNS for name in header)


def read(path: Path) -> Dataset:
    """Every row. InputError that lists all rows that cannot be read, or where no column holds labels."""
    table = table_of(path)
    if table is None:
        raise InputError(
            f"no table at '{path}': give a .csv file, or a folder with train.csv or a single one beside test.csv"
        )
    frame = _frame(table)
    image_column = _image_column(frame)
    if image_column is None:
        there, names = ", ".join(frame.columns[:12]), ", ".join(sorted(IMAGE_COLUMNS))
        raise InputError(f"{table} has no column of images (its columns: {there}); name that column one of {names}")
    if not len(frame):
        raise InputError(f"{table} has no rows; expected one for every image")
    _one_line(frame, image_column, table)
    class_names, labels = _labels(frame.drop(columns=image_column), table)
    ids = _with_suffix(frame[image_column].str.strip(), table.parent)
    test = table.with_name("test.csv")
    test_ids = np.empty(0, str)
    if test.is_file() and test != table:
        there = _frame(test)
        column = _image_column(there)
        if column is None:
            raise InputError(
                f"{test} has no column of images; name it '{image_column}', as in {table.name}, or remove it"
            )
        test_ids = _with_suffix(there[column].str.strip(), table.parent)
    return Dataset(
        name=table.parent.resolve().name if table.stem == "train" else table.stem, folder=str(table.parent.resolve()),
        ids=ids, paths=paths_of(table.parent, ids), labels=labels, class_names=class_names,
        captions=("",) * len(ids), default_side=224, test_ids=test_ids, test_paths=paths_of(table.parent, test_ids),
    )  # fmt: skip


def _image_column(frame: pd.DataFrame) -> str | None:
    """The first column with a name for images; a plain `id` only where there is no other."""
    fitting = [c for c in frame.columns if _plain(c) in IMAGE_COLUMNS]
    return next((c for c in fitting if _plain(c) != "id"), next(iter(fitting), None))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _frame(table: Path) -> pd.DataFrame:
    """All cells as text. InputError with every line that has more cells than the header."""
    options = {"dtype": str, "keep_default_na": False, "encoding": "utf-8-sig"}
    bad: list[str] = []
    try:
        frame = pd.read_csv(table, **options)
        if isinstance(frame.index, pd.RangeIndex):
            return _whole(frame, table)
        why = "the first row has more cells than the header"  # pandas would take its first cells for row names
    except pd.errors.EmptyDataError:
        raise InputError(f"{table} is empty; expected a header and a row per image") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{table} is not UTF-8 text ({error}); save it as UTF-8") from None
    except pd.errors.ParserError as error:
        why = str(error)
    # Again, with the parser that can go on after a bad line.
    with contextlib.suppress(ValueError, csv.Error), warnings.catch_warnings(action="ignore"):
        pd.read_csv(
            table,
            engine="python",
            index_col=False,
            on_bad_lines=lambda cells: bad.append(",".join(cells)[:60]),
            **options,
        )
    items = [f"'{line}'" for line in bad] or [why]
    raise InputError(f"{table} has rows that cannot be read: {listed(items)}; quote cells that hold commas or quotes")


def _whole(frame: pd.DataFrame, table: Path) -> pd.DataFrame:
    """InputError that lists the rows which end before the last column: pandas fills them up without a word."""
    if not (frame.iloc[:, -1] == "").any():
        return frame
    with open(table, encoding="utf-8-sig", newline="") as stream:
        rows = [cells for cells in csv.reader(stream) if cells][1:]
    short = [f"row {i}: '{','.join(c)[:60]}'" for i, c in enumerate(rows, start=1) if len(c) < frame.shape[1]]
    if short:
        raise InputError(f"{table} has rows with too few cells: {listed(short)}; complete them, or take them out")
    return frame


def _one_line(frame: pd.DataFrame, image_column: str, table: Path) -> None:
    """InputError that lists the cells which run over several lines where none may: behind a quote that is not closed, the rest
    of the table is one cell. A text that is neither an image nor labels may, unless one of its lines begins as a row does."""
    single = [c for c in frame.columns if c == image_column or _plain(c) in LABEL_COLUMNS]
    broken = []
    for column in frame.columns:
        pattern = r"[\r\n]" if column in single else _ROW_WITHIN
        found = np.flatnonzero(frame[column].str.contains(pattern, regex=True))
        broken += [f"row {i + 1}, {column}: {frame[column].iloc[i][:60]!r}" for i in found]
    if broken:
        raise InputError(
            f"{table} has cells that run over several rows: {listed(broken)}; is a quote not closed there?"
        )


def _labels(frame: pd.DataFrame, table: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """Class names and the 0/1 matrix, from a column of lists or a column per class."""
    column = next((c for c in frame.columns if _plain(c) in LABEL_COLUMNS), None)
    if column is not None:
        return _from_lists(frame[column].tolist(), table, one_name=_plain(column) in ONE_NAME)
    binary = [c for c in frame.columns if frame[c].str.strip().isin(["0", "1", "0.0", "1.0"]).any()]
    if not binary:
        raise InputError(
            f"{table} has no labels: neither a column named one of {', '.join(sorted(LABEL_COLUMNS))} nor columns of 0 and 1"
        )
    values = frame[binary].apply(lambda cells: pd.to_numeric(cells.str.strip(), errors="coerce"))
    wrong = ~values.isin([0, 1])
    if wrong.to_numpy().any():
        rows, columns = np.nonzero(wrong.to_numpy())
        items = [f"row {r + 1}, {binary[c]}: '{frame[binary[c]].iloc[r]}'" for r, c in zip(rows, columns)]
        raise InputError(f"{table} has cells that are neither 0 nor 1: {listed(items)}; mend them, or drop the column")
    return tuple(binary), values.to_numpy(np.uint8)


def _from_lists(cells: list[str], table: Path, one_name: bool) -> tuple[tuple[str, ...], np.ndarray]:
    lists = [f"row {i + 1}: {cell[:60]}" for i, cell in enumerate(cells) if cell.strip().startswith(("[", "(", "{"))]
    if lists:
        raise InputError(f"{table} has lists in a program's form: {listed(lists)}; write names separated by ;")
    separator = next((s for s in (";", "|", ",") if any(s in cell for cell in cells)), None)  # None: white space
    if separator is None and one_name and not all(re.fullmatch(r"[-\d\s]*", cell) for cell in cells):
        separator = ";"
    words = [[w.strip() for w in cell.split(separator) if w.strip()] for cell in cells]
    known = sorted({w for row in words for w in row})
    if known and all(re.fullmatch(r"-?\d{1,9}", w) for w in known):
        wrong = [f"row {i + 1}: {w}" for i, row in enumerate(words) for w in row if not 0 <= int(w) < MOST_CLASSES]
        if wrong:
            raise InputError(f"{table} has labels out of range: {listed(wrong)}; numbers are 0 to {MOST_CLASSES - 1}")
        names = [str(c) for c in range(max(map(int, known)) + 1)]
        words = [[str(int(w)) for w in row] for row in words]
    else:
        names = known
    if not names or len(names) > MOST_CLASSES:
        raise InputError(
            f"{table} has {len(names)} classes in its column of labels; from 1 to {MOST_CLASSES} can be used"
        )
    place = {name: i for i, name in enumerate(names)}
    labels = np.zeros((len(words), len(names)), np.uint8)
    for i, row in enumerate(words):
        labels[i, [place[w] for w in row]] = 1
    return tuple(names), labels


def _with_suffix(names: pd.Series, folder: Path) -> np.ndarray:
    """File names as in the table, or with the ending that they have on the disk where the table leaves it out."""
    ids = names.to_numpy(str)
    if len(ids) and not Path(ids[0]).suffix:
        for suffix in SUFFIXES:
            if any(os.path.isfile(Path(find_folder(folder, [i + suffix])) / (i + suffix)) for i in ids[:LOOKED_FOR]):
                return np.char.add(ids, suffix)
    return ids

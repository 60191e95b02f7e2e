"""How a data set was read, in words."""

import os
from collections.abc import Iterable

import numpy as np

from common.analysis.scores import labels_picked, percentile_for
from common.core.dataset import Dataset, Reading

MOST_SHOWN = 8  # names of classes or columns in a line

SIGNS = {"\t": "tab", " ": "space", "": ""}

Line = tuple[str, str]  # what, and its value


def described(dataset: Dataset, percentiles: tuple[float, ...] = ()) -> list[Line]:
    """What was read from where, in the order in which a reader asks; with what is not there."""
    if dataset.reading is None:
        return []
    lines = read_as(dataset.reading, dataset.class_names, percentiles)
    if len(never := np.flatnonzero(~dataset.labels.any(axis=0))):
        names = tuple(dataset.class_names[c] for c in never)
        lines.append(
            ("note", f"Labels that no image has, so that nothing can be learned about them: {classes_text(names)}.")
        )
    if dataset.missing:
        n, (path, reason) = len(dataset) + len(dataset.test_ids), next(iter(dataset.missing.items()))
        first = f"{_id_of(path, dataset)} ({reason})"
        lines.append(("images that are not there", f"{len(dataset.missing):,} of {n:,}, the first: {first}"))
    if len(dataset.in_validation):
        n = int(dataset.in_validation.sum())
        lines.append(("author's split", f"{len(dataset) - n:,} images to train, {n:,} to validate"))
    return lines


def _id_of(path: str, dataset: Dataset) -> str:
    for ids, paths in ((dataset.ids, dataset.paths), (dataset.test_ids, dataset.test_paths)):
        rows = (paths == path).nonzero()[0]
        if len(rows):
            return str(ids[rows[0]])
    return path


def read_as(reading: Reading, class_names: tuple[str, ...], percentiles: tuple[float, ...]) -> list[Line]:
    """The reading of a data set: its table, columns and folders, and notes on what a user may want otherwise."""
    folders = _folders(reading.image_folders)
    lines = [("table", _table(reading)), ("image column", reading.image_column), ("images in", folders)]
    lines += [("labels", _labels(reading)), ("classes", f"{len(class_names)}: {classes_text(class_names)}")]
    if reading.unused_columns:
        columns = [f"{column.name} ({column.reason})" for column in reading.unused_columns]
        shown = "; ".join(columns[:MOST_SHOWN]) + ("; ..." if len(columns) > MOST_SHOWN else "")
        lines.append(("columns not used", shown))
    notes = (*reading.notes, *_case_notes(class_names), *percentile_notes(len(class_names), percentiles))
    return lines + [("note", note) for note in notes]


def _folders(folders: tuple[str, ...]) -> str:
    """The folders of images; of many, how many there are below which one."""
    if len(folders) <= MOST_SHOWN:
        return _shown(folders) or "no folder: none was found"
    return f"{len(folders):,} folders below {os.path.commonpath(folders) or '.'}: {_shown(folders)}"


def _table(reading: Reading) -> str:
    parts = [f"{reading.format} format"] + ([reading.encoding] if reading.encoding else [])
    if reading.delimiter:
        parts.append(f"cells separated by {SIGNS.get(reading.delimiter, reading.delimiter)}")
    return f"{reading.table} ({', '.join(parts)})"


def _labels(reading: Reading) -> str:
    columns = _shown(reading.label_columns)
    if reading.label_form in ("0/1 columns", "annotations"):
        return f"{reading.label_form}: {columns}"
    if reading.label_form == "one name":
        return f"one name in each cell of the column {columns}"
    sign = SIGNS.get(reading.label_separator, reading.label_separator)
    return f"{reading.label_form} in the column {columns}" + (f", separated by {sign}" if sign else "")


def _shown(names: tuple[str, ...]) -> str:
    return ", ".join(names[:MOST_SHOWN]) + (", ..." if len(names) > MOST_SHOWN else "")


def classes_text(names: tuple[str, ...]) -> str:
    """Class names, in quotes where a comma in one of them would read as two."""
    return _shown(tuple(map(repr, names)) if any("," in name for name in names) else names)


def _case_notes(names: tuple[str, ...]) -> list[str]:
    """Classes that differ in case or spaces alone: two spellings of one, most likely."""
    spellings: dict[str, list[str]] = {}
    for name in names:
        spellings.setdefault(" ".join(name.lower().split()), []).append(name)
    return [
        f"{' and '.join(map(repr, found))} are different classes." for found in spellings.values() if len(found) > 1
    ]


def percentile_notes(classes: int, percentiles: Iterable[float]) -> list[str]:
    """Of few classes, several percentiles pick equally many labels of every image: that, and what to ask for instead."""
    picked: dict[int, list[str]] = {}
    for p in percentiles:
        picked.setdefault(labels_picked(p, classes), []).append(f"{p:g}")
    notes = [
        f"With {classes} classes the percentiles {', '.join(same)} all pick {n} label{'' if n == 1 else 's'} of an image, so "
        "their scores are the same."
        for n, same in picked.items()
        if len(same) > 1
    ]
    if not notes:
        return []
    if classes == 2:
        return [*notes, f"One of them is enough: --percentiles {next(iter(picked.values()))[0]}."]
    counts = range(1, min(classes, 5))
    flag = " ".join(f"{percentile_for(k, classes):g}" for k in counts)
    return [*notes, f"For {', '.join(map(str, counts))} labels of an image, take --percentiles {flag}."]

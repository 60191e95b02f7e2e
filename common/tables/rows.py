"""Rows of a table: which are one image, which the author put aside for validation and test, and where their images lie."""

from collections import defaultdict
from dataclasses import replace

import numpy as np

from common.errors import InputError, listed
from common.folders import ROLES, role_of
from common.images import Images, Located
from common.tables.cells import coded
from common.tables.columns import Columns
from common.tables.files import Tables
from common.tables.label_columns import ONE_NAME
from common.tables.labels import Labels
from common.tables.text import SHOWN, Table, plain
from common.types import ReadOptions

Rows = dict[tuple[str, str], list[int]]  # of a file and an image's name: its rows
TRUE_MEANS = {
    "istrain": ("train", "val"),
    "istest": ("test", "train"),
}  # and false; of is_valid and the like: val, train


def check_images(table: Table, column: str) -> tuple[str, ...]:
    """The cells that name images. InputError that lists the rows in which they are empty."""
    blank = [
        f"{table.row(i)}: '{','.join(c[i] for c in table.cells)[:SHOWN]}'"
        for i, cell in enumerate(table.column(column))
        if not cell
    ]
    if blank:
        raise InputError(
            f"{table.path} has rows without an image, whose cell '{column}' is empty: {listed(blank)}; fill them in, or take "
            "these rows out"
        )
    return table.column(column)


def one_row_an_image(
    table: Table, image: str, columns: Columns, labels: Labels, options: ReadOptions
) -> tuple[Table, Labels, list[str]]:
    """The table and its labels with the rows of one image joined, where the table has a row for each of its labels, and with
    a row that is repeated taken once. What else stands twice is left, to be refused."""
    table = table.rows(labels.rows.tolist())
    labels = replace(labels, rows=np.arange(len(table)))
    rows_of: Rows = defaultdict(list)
    for i, name in enumerate(table.column(image)):
        rows_of[table.files[i] if table.files else "", name].append(i)
    if len(rows_of) == len(table):
        return table, labels, []
    one_label = bool(columns.labels) and plain(columns.labels) in ONE_NAME and (labels.matrix.sum(axis=1) <= 1).all()
    if one_label:
        return _joined(table, columns, labels, rows_of, options)
    drop = [
        i for rows in rows_of.values() for i in rows[1:] if (labels.matrix[i] == labels.matrix[rows[0]]).all()
    ]  # the same image with other labels stays
    if not drop:
        return table, labels, []
    keep = np.setdiff1d(np.arange(len(table)), drop)
    kept = replace(labels, matrix=labels.matrix[keep], rows=np.arange(len(keep)))
    return table.rows(keep.tolist()), kept, [f"Rows that repeat another one and are left out: {len(drop):,}."]


def _joined(
    table: Table, columns: Columns, labels: Labels, rows_of: Rows, options: ReadOptions
) -> tuple[Table, Labels, list[str]]:
    """One row for each image, with all labels of its rows. A column Confidence says 0 where a person saw that the label is
    absent, as in Open Images."""
    present = labels.matrix.copy()
    notes = [f"The table has a row for each label: {len(table):,} rows are {len(rows_of):,} images."]
    confidence = next((c for c in table.columns if plain(c) == "confidence" and c not in options.ignore_columns), "")
    if confidence:
        values = np.array([(coded([cell]) or (-1,))[0] for cell in table.column(confidence)])
        wrong = [f"{table.row(i)}: '{table.column(confidence)[i]}'" for i in np.flatnonzero(values < 0)]
        if wrong:
            raise InputError(
                f"{table.path}: the column '{confidence}' has values other than 0 (absent) and 1 (present): {listed(wrong)}; "
                f"write 0 or 1, or take every row as present: --ignore-columns {confidence}"
            )
        present[values == 0] = 0
        notes.append(
            f"Rows whose {confidence} is 0, which means that the label is absent: {int((values == 0).sum()):,}."
        )
    first = [rows[0] for rows in rows_of.values()]
    matrix = np.stack([present[rows].max(axis=0) for rows in rows_of.values()])
    joined = replace(labels, matrix=matrix, rows=np.arange(len(first)), form="a row per label", separator="")
    return table.rows(first), joined, notes


def author_parts(table: Table, columns: Columns, found: Tables, options: ReadOptions) -> np.ndarray:
    """Of each row train, val or test, as the author split them; empty texts where that is not asked for. InputError where it
    is asked for and there is none, or a group is on both sides."""
    parts = np.full(len(table), "", "<U5")
    if options.split != "given":
        return parts
    if found.validation:
        second = f"{found.validation.parent.name}/{found.validation.name}"
        parts[:] = ["val" if name == second else "train" for name in table.files]
    elif columns.split:
        parts[:] = _parts_of(table, columns.split)
    else:
        raise InputError(
            f"--split given: {table.path.name} has no split of its author; looked for val.csv, valid.csv or validation.csv "
            "beside it, and for a column split, subset or is_valid; take --split random"
        )
    if columns.group:
        sides = defaultdict(set)
        for group, part in zip(table.column(columns.group), parts.tolist()):
            sides[group].add(part)
        both = [name for name, of in sides.items() if {"train", "val"} <= of]
        if both:
            raise InputError(
                f"{len(both)} groups of '{columns.group}' are in both parts of the author's split: {listed(both)}; take "
                "--split random, which keeps each on one side, or leave out --group-column"
            )
    return parts


def _parts_of(table: Table, column: str) -> list[str]:
    true, false = TRUE_MEANS.get(plain(column), ("val", "train"))
    parts, wrong = [], []
    for i, cell in enumerate(table.column(column)):
        value = coded([cell])
        if value in ((0,), (1,)):
            parts.append(true if value == (1,) else false)
        elif cell.lower() in ROLES:
            parts.append(ROLES[cell.lower()])
        else:
            parts.append("")
            wrong.append(f"{table.row(i)}: '{cell[:SHOWN]}'")
    if wrong:
        raise InputError(
            f"{table.path}: the column '{column}' has cells that name no part of the split: {listed(wrong)}; expected train, "
            "val or test, or 0 and 1"
        )
    return parts


def located(table: Table, image: str, parts: np.ndarray, found: Tables, options: ReadOptions) -> Located:
    """The images of all rows, looked for beside the table that names them."""
    names = table.column(image)
    second = np.zeros(len(table), bool)
    if table.files and found.validation:
        own = f"{found.validation.parent.name}/{found.validation.name}"
        second[:] = [file == own for file in table.files]
    role = role_of(found.train.stem) or role_of(found.train.parent.name)
    first = Images(found.train.parent, options.images).locate(
        [n for n, s in zip(names, second) if not s], role, found.train.name
    )
    if not second.any():
        return first
    assert found.validation is not None
    other = Images(found.validation.parent, options.images).locate(
        [n for n, s in zip(names, second) if s], "val", found.validation.name
    )
    ids, paths = np.empty(len(table), object), np.empty(len(table), object)
    for part, rows in ((first, ~second), (other, second)):
        ids[rows], paths[rows] = part.ids, part.paths
    folders = tuple(dict.fromkeys(first.folders + other.folders))
    return Located(
        ids.astype(str), paths.astype(str), folders, first.missing | other.missing, first.notes + other.notes,
        first.looked_in or other.looked_in,
    )  # fmt: skip

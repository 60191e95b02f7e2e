"""Rows of a table: which are one image, which are one group, and where their images lie."""

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np

from common.core.errors import InputError, listed
from common.core.settings import ReadOptions
from common.data.folders import role_of
from common.data.images import Images, Located
from common.data.plan import VALIDATION_SHARE
from common.data.tables.author_split import in_validation
from common.data.tables.cells import coded, is_binary, is_missing
from common.data.tables.columns import Columns
from common.data.tables.files import Tables
from common.data.tables.label_columns import ONE_NAME
from common.data.tables.labels import Labels
from common.data.tables.text import SHOWN, Table, plain, quoted

Rows = dict[tuple[str, str], list[int]]  # of a file and an image's name: its rows
PRESENCE = ("confidence", "value", "present", "presence")
FAR = 0.05  # from 20 %: a share of validation images that is stated


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
) -> tuple[Table, Labels, str, list[str]]:
    """The table, its labels, the column that says whether a row's label is present ("" where none does), and notes.

    Rows of one image are joined where the table has a row for each label. A row that is repeated is taken once. What else
    stands twice is left, to be refused.
    """
    table = table.rows(labels.rows.tolist())
    labels = replace(labels, rows=np.arange(len(table)))
    rows_of: Rows = defaultdict(list)
    for i, name in enumerate(table.column(image)):
        rows_of[table.files[i] if table.files else "", name].append(i)
    named = plain(columns.labels) in ONE_NAME or columns.labels in options.label_columns
    one_label = bool(columns.labels) and named and (labels.matrix.sum(axis=1) <= 1).all()
    notes: list[str] = []
    presence = ""
    if one_label:
        labels, presence, notes = _present(table, columns, labels, rows_of, options)
    if len(rows_of) == len(table):
        return table, labels, presence, notes
    _check_same(table, rows_of, columns, options)
    if one_label:
        first = [rows[0] for rows in rows_of.values()]
        matrix = np.stack([labels.matrix[rows].max(axis=0) for rows in rows_of.values()])
        joined = replace(labels, matrix=matrix, rows=np.arange(len(first)), form="a row per label", separator="")
        notes = [f"The table has a row for each label: {len(table):,} rows are {len(rows_of):,} images.", *notes]
        return table.rows(first), joined, presence, notes
    drop = [
        i for rows in rows_of.values() for i in rows[1:] if (labels.matrix[i] == labels.matrix[rows[0]]).all()
    ]  # the same image with other labels stays
    if not drop:
        return table, labels, "", []
    keep = np.setdiff1d(np.arange(len(table)), drop)
    kept = replace(labels, matrix=labels.matrix[keep], rows=np.arange(len(keep)))
    return table.rows(keep.tolist()), kept, "", [f"Rows that repeat another one and are left out: {len(drop):,}."]


def _present(
    table: Table, columns: Columns, labels: Labels, rows_of: Rows, options: ReadOptions
) -> tuple[Labels, str, list[str]]:
    """The labels without those of rows whose column Confidence, value or present is 0, that column, and a note on it.

    0 means that a person saw that the label is absent, as in Open Images. InputError where another 0/1 column may mean that.
    """
    taken = {columns.image, columns.labels, columns.split, columns.group, *options.ignore_columns}
    free = [name for name in table.columns if name and name not in taken]
    named = [name for name in free if plain(name) in PRESENCE]
    several = len(rows_of) < len(table)
    confidence = next((c for c in named if plain(c) == "confidence"), "") if several else ""
    column = confidence or next((c for c in named if is_binary(table.column(c))), "")
    if not column:
        grid = several and {len(rows) for rows in rows_of.values()} == {labels.matrix.shape[1]}
        odd = [c for c in free if set(coded(table.column(c)) or ()) == {0, 1}] if grid else []
        if len(odd) == 1:
            raise InputError(
                f"{table.path} can be read in two ways: each image has a row for every class, and the column '{odd[0]}' is 0 "
                f"where a label is absent; or every row's label is present. For the first, rename that column to present; "
                f"for the second, take --ignore-columns {quoted(odd)}"
            )
        return labels, "", []
    values = np.array([(coded([cell]) or (-1,))[0] for cell in table.column(column)])
    wrong = [f"{table.row(i)}: '{table.column(column)[i]}'" for i in np.flatnonzero(values < 0).tolist()]
    if wrong:
        raise InputError(
            f"{table.path}: the column '{column}' has values other than 0 (absent) and 1 (present): {listed(wrong)}; "
            f"write 0 or 1, or take every row as present: --ignore-columns {quoted([column])}"
        )
    present = labels.matrix.copy()
    present[values == 0] = 0
    note = f"Rows whose {column} is 0, which means that the label is absent: {int((values == 0).sum()):,}."
    return replace(labels, matrix=present), column, [note]


def _check_same(table: Table, rows_of: Rows, columns: Columns, options: ReadOptions) -> None:
    """InputError where the rows of one image are in several parts of the author's split, or in several groups."""
    for name in filter(None, (columns.split if options.split == "given" else "", columns.group)):
        cells = table.column(name)
        torn = [
            f"'{image}' ({' and '.join(sorted({repr(cells[i]) for i in rows}))})"
            for (_, image), rows in rows_of.items()
            if len({cells[i] for i in rows}) > 1
        ]
        if torn:
            flag = "--split random" if name == columns.split else "no --group-column"
            raise InputError(
                f"{table.path}: rows of one image differ in the column '{name}': {listed(torn)}; write the same in all rows "
                f"of an image, or take {flag}"
            )


def shared(table: Table, other: Table, used: list[str]) -> Table:
    """The table without columns that the other lacks and nobody uses, so that the two can be joined."""
    drop = [name for name in table.columns if name not in other.columns and name not in used]
    kept = [i for i, name in enumerate(table.columns) if name not in drop]
    notes = (f"Columns that {other.path.name} lacks and that are left out: {', '.join(drop)}.",) if drop else ()
    columns, cells = tuple(table.columns[i] for i in kept), tuple(table.cells[i] for i in kept)
    return replace(table, columns=columns, cells=cells, notes=table.notes + notes)


def check_groups(table: Table, column: str, options: ReadOptions) -> None:
    """InputError where rows have no group, or where the split cannot both keep groups and spread labels."""
    if options.split == "iterative":
        raise InputError(
            "--split iterative and --group-column: one spreads single images, the other keeps groups; leave out one of them"
        )
    blank = [table.row(i) for i, cell in enumerate(table.column(column)) if is_missing(cell)]
    if blank:
        raise InputError(
            f"{table.path}: rows without a group, whose cell '{column}' is empty: {listed(blank)}; fill them in (each its own "
            "group, say), or leave out --group-column"
        )


def group_notes(groups: list[str], options: ReadOptions) -> list[str]:
    """How many groups there are, and how far from 20 % the share of validation images may be."""
    sizes = sorted(Counter(groups).values())
    n, k = len(groups), max(1, round(len(sizes) * VALIDATION_SHARE))
    name = options.group_column
    if sizes[-1] == 1:
        return [f"Each group of the column '{name}' is one image: --group-column changes nothing."]
    notes = [f"The column '{name}' has {len(sizes):,} groups; the largest has {sizes[-1]:,} of {n:,} images."]
    least, most = sum(sizes[:k]) / n, sum(sizes[-k:]) / n
    if options.split != "given" and max(abs(least - VALIDATION_SHARE), abs(most - VALIDATION_SHARE)) > FAR:
        notes.append(
            f"A fifth of the groups validates: between {least:.0%} and {most:.0%} of the images, as the seed draws them."
        )
    return notes


def located(table: Table, image: str, found: Tables, options: ReadOptions) -> Located:
    """The images of all rows, looked for beside the table that names them."""
    names = table.column(image)
    second = in_validation(table, found) if found.validation else np.zeros(len(table), bool)
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
        first.looked_in or other.looked_in, first.from_chosen or other.from_chosen,
    )  # fmt: skip

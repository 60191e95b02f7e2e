"""Which rows of a table the author put aside for validation and test: a column, several flags, or a table of its own."""

from collections import Counter, defaultdict

import numpy as np

from common.core.errors import InputError, listed
from common.core.settings import ReadOptions
from common.data.folders import PARTS, ROLES, role_of
from common.data.tables.cells import coded, is_binary
from common.data.tables.columns import SPLIT_NAMES, Columns
from common.data.tables.files import Tables
from common.data.tables.text import SHOWN, Table, plain, quoted

TRUE_MEANS = dict.fromkeys(("isvalid", "isval", "isvalidation", "val", "valid", "validation"), ("val", "train"))
TRUE_MEANS |= {
    "istrain": ("train", "val"),
    "train": ("train", "val"),
    "istest": ("test", "train"),
    "test": ("test", "train"),
}
NUMBERED = {"0": "train", "1": "val", "2": "test"}  # a column with a 2, as CelebA's partition
FEW = 6  # values of a column that may be a split


def split_column(table: Table, options: ReadOptions) -> str:
    """The column that --split-column names, or one named as a split whose cells are 0, 1 and 2; else ""."""
    if options.split_column:
        return options.split_column
    found = [
        name
        for name in table.columns
        if plain(name) in SPLIT_NAMES and set(table.column(name)) == NUMBERED.keys() and name != options.image_column
    ]
    return found[0] if len(found) == 1 and found[0] not in (*options.label_columns, *options.ignore_columns) else ""


def author_parts(table: Table, columns: Columns, found: Tables, options: ReadOptions) -> tuple[np.ndarray, list[str]]:
    """Of each row train, val or test, as the author split them, and notes; empty texts where that is not asked for.
    InputError where it is asked for and there is none, or a group is on both sides."""
    parts = np.full(len(table), "", "<U5")
    if options.split != "given":
        return parts, []
    taken = {columns.image, columns.labels, columns.group, *columns.matrix, *columns.also, *options.ignore_columns}
    flags = [c for c in table.columns if c not in taken and plain(c) in TRUE_MEANS and is_binary(table.column(c))]
    notes: list[str] = []
    if columns.split in flags and len(flags) > 1 and not options.split_column:
        parts[:], notes = _parts_of_flags(table, flags)
    elif columns.split:
        parts[:], notes = _parts_of(table, columns.split)
    if found.validation and not options.split_column:
        own = in_validation(table, found)
        other = [
            f"{table.row(i)}: '{table.column(columns.split)[i]}'"
            for i in (np.flatnonzero((parts == "val") != own).tolist() if columns.split else ())
        ]
        if other:
            raise InputError(
                f"--split given: {found.validation.name} is the validation split, but the column '{columns.split}' names "
                f"another: {listed(other)}; take the file (--ignore-columns {quoted([columns.split])}) or the column "
                f"(--split-column {quoted([columns.split])})"
            )
        parts[:] = np.where(own, "val", np.where(parts == "test", "test", "train"))
    elif not columns.split:
        raise InputError(_no_split(table, columns))
    counts = Counter(parts.tolist())
    if not counts["train"] or not counts["val"]:
        shown = ", ".join(f"{n} {part}" for part, n in counts.items())
        raise InputError(
            f"--split given: the author's split has no rows to {'validate' if counts['train'] else 'train'} ({shown}); take "
            "--split random, which splits all rows"
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
    return parts, notes


def _no_split(table: Table, columns: Columns) -> str:
    """What a message says where no split was found, with the columns that may hold it."""
    words = {name: {*map(str.lower, table.column(name))} for name in table.columns}
    maybe = [
        name
        for name, of in words.items()
        if name and len(of) <= FEW and any(map(role_of, of)) and name != columns.image
    ]
    hint = f"if it is in the column '{maybe[0]}', take --split-column {quoted(maybe[:1])}; else " if maybe else ""
    return (
        f"--split given: {table.path.name} has no split of its author; looked for val.csv, valid.csv or validation.csv "
        f"beside it, and for a column split, subset or is_valid; {hint}take --split random"
    )


def _parts_of(table: Table, column: str) -> tuple[list[str], list[str]]:
    """The part of each row, and a note where a number or truth value was interpreted. InputError where 0 and 1 may mean
    anything, or a cell names no part."""
    words, notes = dict(ROLES), []
    codes = coded(table.column(column)) or (None,) * len(table)
    true, false = TRUE_MEANS.get(plain(column), ("", ""))
    if "2" in (cells := {*table.column(column)}) and cells <= NUMBERED.keys():
        words |= NUMBERED
        notes = [f"In the column '{column}' 0 means training, 1 validation and 2 test."]
    elif {*codes} & {0, 1}:
        if not true:
            raise InputError(_unclear(table, column))
        notes = [_meaning(column)]
    parts, wrong = [], []
    for i, cell in enumerate(table.column(column)):
        if cell.lower() in words:
            parts.append(words[cell.lower()])
        elif codes[i] in (0, 1):
            parts.append(true if codes[i] == 1 else false)
        else:
            parts.append("")
            wrong.append(f"{table.row(i)}: '{cell[:SHOWN]}'")
    if wrong:
        raise InputError(
            f"{table.path}: the column '{column}' has cells that name no part of the split: {listed(wrong)}; expected train, "
            "val or test, or 0 and 1 (0, 1 and 2 where there is a 2); rename them, take these rows out, or take --split random"
        )
    return parts, notes


def _meaning(flag: str) -> str:
    true, false = (PARTS[part] for part in TRUE_MEANS[plain(flag)])
    return f"1 in the column '{flag}' means {true}, 0 {false}."


def _unclear(table: Table, column: str) -> str:
    values = " and ".join(dict.fromkeys(table.column(column)))
    return (
        f"--split given: the column '{column}' of {table.path} can be read in two ways: it has the values {values}, and either "
        "may be the validation split; write train and val, or rename the column to is_valid (1 means validation) or is_train "
        "(1 means training), or take --split random"
    )


def _parts_of_flags(table: Table, flags: list[str]) -> tuple[list[str], list[str]]:
    """The part of each row by several columns such as is_valid and is_test. InputError where two of them contradict."""
    named = {TRUE_MEANS[plain(flag)][0] for flag in flags}
    rest = next((part for part in ("train", "val", "test") if part not in named), "")
    values = [coded(table.column(flag)) or () for flag in flags]
    parts, wrong = [], []
    for i, row in enumerate(zip(*values)):
        of = {TRUE_MEANS[plain(flag)][0] for flag, value in zip(flags, row) if value == 1}
        part = next(iter(of)) if len(of) == 1 else rest if not of else ""
        parts.append(part)
        wrong += [] if part else [table.row(i)]
    if wrong:
        raise InputError(
            f"{table.path}: the columns {listed(flags)} put rows into several parts of the split or into none: {listed(wrong)}; "
            f"mend them, or name one: --split-column {quoted(flags[:1])}"
        )
    means = ", ".join(f"1 in '{flag}' means {PARTS[TRUE_MEANS[plain(flag)][0]]}" for flag in flags)
    return parts, [
        f"The split is that of several columns: {means}; rows without a 1 are {PARTS[rest] if rest else 'refused'}."
    ]


def in_validation(table: Table, found: Tables) -> np.ndarray:
    """Which rows are those of the validation table."""
    assert found.validation is not None
    own = f"{found.validation.parent.name}/{found.validation.name}"
    return np.array([file == own for file in table.files] if table.files else [False] * len(table), bool)

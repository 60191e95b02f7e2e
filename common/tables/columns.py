"""Which column of a table names the images, which hold labels, and why the others are not used."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import InputError, listed, unknown
from common.tables.cells import coded, is_binary, is_missing
from common.tables.image_column import FILE_NAMES, ID_NAMES
from common.tables.text import Table, example, plain
from common.types import ReadOptions, UnusedColumn

LABEL_NAMES = set(
    "label labels tag tags class classes category categories target targets findinglabels labelname labelnames "
    "classname classnames genre genres attributes".split()
)
ONE_NAME = {"label", "tag", "class", "category", "labelname", "classname"}  # by convention one name a cell
SPLIT_NAMES = set("split splitname set subset partition phase isvalid isval isvalidation istest istrain".split())
FOLD_NAMES = {"fold", "folds", "kfold"}
GROUP_NAMES = set("patient patientid subject subjectid group groupid studyid caseid".split())
PERSON_NAMES = {"age", "sex", "gender", "patientage", "patientsex", "patientgender"}
MOSTLY = 0.5  # of a column's cells that are 0 or 1: it is taken for a 0/1 column with mistakes


@dataclass(frozen=True)
class Columns:
    """What each column of a table is."""

    image: str
    matrix: tuple[str, ...]  # 0/1 columns, a class each; empty where there is a column of labels
    labels: str  # one column of labels in another form, or ""
    split: str  # the author's split, or ""
    group: str  # what must not be on both sides, or ""
    unused: tuple[UnusedColumn, ...]
    notes: tuple[str, ...] = ()


def check_named(table: Table, options: ReadOptions) -> None:
    """InputError for a flag that names a column which the table lacks, or has twice."""
    flags = {
        "--image-column": (options.image_column,), "--label-columns": options.label_columns,
        "--ignore-columns": options.ignore_columns, "--group-column": (options.group_column,),
    }  # fmt: skip
    for flag, names in flags.items():
        for name in filter(None, names):
            if name not in table.columns:
                raise unknown(f"column for {flag} in {table.path}:", name, table.columns)
    twice = sorted(
        {name for name in table.columns if table.columns.count(name) > 1 and name} - {*options.ignore_columns}
    )
    if twice:
        raise InputError(
            f"{table.path} has several columns of one name: {listed([repr(name) for name in twice])}; rename all but one, or "
            f"leave them out: --ignore-columns {' '.join(twice)}"
        )


def columns_of(table: Table, image: str, options: ReadOptions) -> Columns:
    """What every column but the image's is. InputError where the table can be read in two ways, with both."""
    unused: dict[str, str] = {}
    candidates = []
    split = group = ""
    for name in table.columns:
        reason = _role(table, name, options)
        if name == image:
            continue
        if name and name == options.group_column:
            group = name
        elif name in options.label_columns:
            candidates.append(name)
        elif name in options.ignore_columns:
            unused[name] = "--ignore-columns"
        elif options.label_columns and not reason:
            unused[name] = "not among --label-columns"
        elif reason:
            split = name if plain(name) in SPLIT_NAMES and not split else split
            unused[name] = reason
        else:
            candidates.append(name)
    matrix, labels, notes = _labels(table, candidates, options, unused)
    if split and options.split == "given":
        unused.pop(split, None)
    shown = tuple(UnusedColumn(name=name or "(no name)", reason=reason) for name, reason in unused.items())
    return Columns(image, tuple(matrix), labels, split, group, shown, tuple(notes))


def _role(table: Table, name: str, options: ReadOptions) -> str:
    """Why a column is no label by its name or by what its cells are; "" where it may be one."""
    word = plain(name)
    if not name:
        return "it has no name; an index, as pandas writes one"
    if word in SPLIT_NAMES and _is_split(table.column(name)):
        return "the author's split; --split given takes it"
    if word in FOLD_NAMES:
        return "a number of a fold"
    if word in GROUP_NAMES:
        return f"a group; --group-column '{name}' keeps each on one side of the split"
    if word in PERSON_NAMES:
        return "a fact about a person, no label"
    if word == "confidence" and any(plain(c) in ONE_NAME for c in table.columns):
        return "whether the label is present, where the table has a row for each label"
    if word in (*FILE_NAMES, *ID_NAMES, "unnamed"):
        return "a name or number of the image"
    return ""


SPLIT_WORDS = set("train training val valid validation dev test testing true false 0 1 0.0 1.0".split())


def _is_split(cells: Sequence[str]) -> bool:
    return all(cell.lower() in SPLIT_WORDS for cell in cells if cell)


def _labels(
    table: Table, names: list[str], options: ReadOptions, unused: dict[str, str]
) -> tuple[list[str], str, list[str]]:
    """The 0/1 columns, or the one column of labels; notes on them. Fills `unused` with the others."""
    if len(options.label_columns) == 1:
        return [], options.label_columns[0], []  # of a 0/1 column: the two classes 0 and 1
    if options.label_columns:
        return list(options.label_columns), "", []
    named = [name for name in names if plain(name) in LABEL_NAMES]
    plural = [name for name in named if not is_binary(table.column(name))]
    binary = [name for name in names if is_binary(table.column(name))]
    broken = [
        name for name in names if name not in binary and _is_nearly_binary(table.column(name)) and name not in named
    ]
    findings = [name for name in binary if name not in named]
    summary = [name for name in binary if name in named]
    if findings and plural and (len(findings) + len(broken) > 1):
        return _matrix_beside_lists(table, findings, plural, names, unused)
    if plural:
        if len(plural) > 1:
            choices = " or ".join(f"--label-columns '{name}'" for name in plural)
            raise InputError(
                f"{table.path} has several columns that may hold the labels: {listed(plural)}; say which: {choices}"
            )
        _leave(names, plural, unused, table)
        return [], plural[0], []
    if broken and (findings or len(broken) > 1):
        raise InputError(_neither(table, broken))
    if summary and not findings:
        _leave(names, summary, unused, table)
        return ([], summary[0], []) if len(summary) == 1 else (summary, "", [])
    if findings and summary:
        _check_summary(table, findings, summary)
        unused |= dict.fromkeys(summary, "it is 1 exactly where one of the classes is: a summary of them")
    if not findings:
        raise InputError(_no_labels(table, names))
    _leave(names, findings, unused, table)
    return findings, "", _summaries(table, findings)


def _is_nearly_binary(cells: Sequence[str]) -> bool:
    counts = Counter(cell for cell in cells if not is_missing(cell))
    known = sum(n for cell, n in counts.items() if coded([cell]) is not None)
    return bool(counts) and known >= MOSTLY * counts.total()


def _neither(table: Table, columns: Sequence[str]) -> str:
    items = [
        f"{table.row(i)}, {name}: '{cell}'"
        for name in columns
        for i, cell in enumerate(table.column(name))
        if coded([cell]) is None
    ]
    return (
        f"{table.path} has cells that are neither 0 nor 1 in columns that otherwise are: {listed(items)}; mend them, or "
        f"leave the column out: --ignore-columns {' '.join(dict.fromkeys(repr(c) if ' ' in c else c for c in columns))}"
    )


def _leave(names: Sequence[str], taken: Sequence[str], unused: dict[str, str], table: Table) -> None:
    """Give the reason for every column that is not taken and has none yet."""
    for name in names:
        if name not in taken and name not in unused:
            cells = table.column(name)
            unused[name] = "a 0/1 column beside the column of labels" if is_binary(cells) else _why_not(cells)


def _why_not(cells: Sequence[str]) -> str:
    full = [cell for cell in cells if not is_missing(cell)]
    if not full:
        return "all its cells are empty"
    values = list(dict.fromkeys(full))
    return (
        f"neither 0/1 nor named as labels: {len(values):,} values such as {', '.join(repr(v[:20]) for v in values[:3])}"
    )


def _matrix_beside_lists(
    table: Table, findings: list[str], lists: list[str], names: list[str], unused: dict[str, str]
) -> tuple[list[str], str, list[str]]:
    """0/1 columns beside a column of labels: the 0/1 columns where the other names the same classes. InputError where it
    does not."""
    for name in lists:
        rows = [_words(cell) for cell in table.column(name)]
        words = {word for row in rows for word in row}
        if all(re.fullmatch(r"[\d.]+", word) for word in words):
            unused[name] = "numbers beside the 0/1 columns of the classes"
            continue
        if not words <= {*findings}:
            raise InputError(
                f"{table.path} can be read in two ways: the labels are in the column '{name}' "
                f"({', '.join(sorted(words)[:4])}, ...), or the 0/1 columns {', '.join(findings[:6])} are the classes; say "
                f"which: --label-columns '{name}', or --ignore-columns '{name}'"
            )
        values = zip(*(coded(table.column(finding)) or () for finding in findings))
        others = sum(row != {f for f, v in zip(findings, of) if v == 1} for row, of in zip(rows, values))
        unused[name] = "it names the same classes as the 0/1 columns" + (
            f", but others in {others:,} rows" if others else ""
        )
    _leave(names, findings, unused, table)
    return findings, "", _summaries(table, findings)


def _words(cell: str) -> set[str]:
    """The labels that a cell names, whatever stands between them."""
    words = {word.strip() for word in re.findall(r"[^\[\]'\";,|(){}]+", cell)}
    return {word for word in words if not is_missing(word)}


def _check_summary(table: Table, findings: list[str], summary: list[str]) -> None:
    """InputError where a 0/1 column is named as the labels are, and is not 1 just where one of the others is."""
    for name in summary:
        if not _is_any(table, name, findings):
            raise InputError(
                f"{table.path} can be read in two ways: the column '{name}' holds the label, 0 or 1, or the 0/1 columns "
                f"{', '.join(findings[:6])} are the classes; say which: --label-columns '{name}', or --ignore-columns '{name}', "
                f"or all as classes: --label-columns {' '.join([name, *findings][:7])}"
            )


def _summaries(table: Table, findings: list[str]) -> list[str]:
    if len(findings) < 3:
        return []
    return [
        f"The column '{name}' is 1 exactly where another class is: if it sums them up and is no class, take "
        f"--ignore-columns '{name}'."
        for name in findings
        if _is_any(table, name, [other for other in findings if other != name])
    ]


def _is_any(table: Table, name: str, others: Sequence[str]) -> bool:
    """Whether a column is 1 just where one of the others is, and is not 1 everywhere."""
    mine = [value == 1 for value in coded(table.column(name)) or ()]
    rows = zip(*(coded(table.column(other)) or () for other in others))
    return any(mine) and not all(mine) and mine == [1 in row for row in rows]


def _no_labels(table: Table, names: Sequence[str]) -> str:
    odd = [f"{name} ({_why_not(table.column(name))})" for name in names]
    return (
        f"{table.path} has no labels: its columns are {example(table)}; expected a column named labels, tags, classes, ... "
        f"or a 0/1 column for each class"
        + (f"; what was seen: {listed(odd)}" if odd else "")
        + "; name them with --label-columns NAME [NAME ...]"
    )

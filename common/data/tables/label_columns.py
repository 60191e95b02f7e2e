"""Which columns of a table hold the labels: 0/1 columns, or a column of labels. What can be read in two ways is refused."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.core.errors import InputError, listed
from common.core.settings import ReadOptions
from common.data.images import is_image_name
from common.data.tables.cells import LETTERS, WORDS, coded, coded_together, is_missing, parse_list
from common.data.tables.text import Table, example, plain, quoted

LABEL_NAMES = set(
    "label labels tag tags class classes category categories target targets finding findings findinglabels labelname labelnames "
    "classname classnames genre genres attributes attributeid attributeids labelid labelids classid classids categoryid "
    "categoryids tagid tagids diagnosis diagnoses species".split()
)
LOOSE = {"genre", "genres"}  # beside 0/1 columns of the same classes these are often another source's
ONE_NAME = {"label", "tag", "class", "category", "labelname", "classname"}  # by convention one name a cell
FLAG = re.compile(r"(is|has|was)[_ A-Z]")  # a 0/1 column that states a fact about the image
ODD = 2  # distinct other cells that a 0/1 column with unknown or wrong cells may have
MOSTLY = 0.5  # of a column's cells that are 0 or 1: then it may have more
Unused = dict[str, str]  # column -> why it is not used


@dataclass(frozen=True)
class Choice:
    """0/1 columns, a class each; or one column of labels, and further ones whose cells are joined with it."""

    matrix: tuple[str, ...] = ()
    labels: str = ""
    also: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def choose_labels(table: Table, names: list[str], options: ReadOptions, unused: Unused) -> Choice:
    """The columns of labels among `names`. Fills `unused` with the others. InputError where there are none, or two readings."""
    codes = coded_together({name: table.column(name) for name in names})
    if options.label_columns:
        return _asked(options.label_columns, codes)
    named = [name for name in names if plain(name) in LABEL_NAMES and not re.search(r"\d", name)]
    lists = [name for name in named if codes[name] is None and any(not is_missing(c) for c in table.column(name))]
    summary = [name for name in named if codes[name] is not None]
    findings = [name for name in names if codes[name] is not None and name not in named]
    broken = [name for name in names if codes[name] is None and name not in named and _nearly(table.column(name))]
    if lists and len(findings) + len(broken) < 2:
        return _one_column(table, lists, names, unused)
    if broken and (findings or len(broken) > 1):
        raise InputError(_neither(table, broken))
    if not findings and not summary:
        if named:
            return _one_column(table, named[:1], names, unused)  # empty throughout: no image has a label
        raise InputError(_no_labels(table, names))
    _leave(names, findings or summary, unused, table, "a 0/1 column beside the column of labels")
    if not findings:
        return Choice(labels=summary[0]) if len(summary) == 1 else Choice(matrix=tuple(summary))
    matrix = np.array([codes[name] for name in findings], np.int8).T == 1
    for name in lists:
        unused[name] = _beside(table, name, findings, matrix)
    for name in summary:
        unused[name] = _summary(table, name, np.array(codes[name]) == 1, findings, matrix)
    if not lists and not summary:
        _check_flags(table, findings, names, codes)
    return Choice(matrix=tuple(findings), notes=tuple(_summaries(findings, matrix)))


def _asked(names: Sequence[str], codes: dict[str, tuple[int, ...] | None]) -> Choice:
    """One column: its cells are labels, those of a 0/1 column the two classes 0 and 1. Several of which none is 0/1: joined."""
    if len(names) == 1 or all(codes.get(name) is None for name in names):
        return Choice(labels=names[0], also=tuple(names[1:]))
    return Choice(matrix=tuple(names))


def _one_column(table: Table, lists: list[str], names: list[str], unused: Unused) -> Choice:
    if len(lists) > 1:
        choices = " or ".join(f"--label-columns {quoted([name])}" for name in lists)
        raise InputError(
            f"{table.path} has several columns that may hold the labels: {listed(lists)}; say which: {choices}, or join their "
            f"labels: --label-columns {quoted(lists)}"
        )
    _leave(names, lists, unused, table, "a 0/1 column beside the column of labels")
    return Choice(labels=lists[0])


def two_ways(table: Table, name: str, what: str, findings: list[str]) -> InputError:
    shown = ", ".join(findings[:6]) + (", ..." if len(findings) > 6 else "")
    return InputError(
        f"{table.path} can be read in two ways: the labels are in the column '{name}' ({what}), or the 0/1 columns {shown} are "
        f"the classes; say which: --label-columns {quoted([name])}, or --ignore-columns {quoted([name])}"
    )


def _nearly(cells: Sequence[str]) -> bool:
    """Whether a column is 0/1 but for some cells: two other values at most, such as ? and U, or few others."""
    counts = Counter(cell.lower() for cell in cells if not is_missing(cell))
    letters = next((words for words in LETTERS if words.keys() <= counts.keys() or {*counts} == {max(words)}), {})
    known = [cell for cell in counts if cell in letters or cell in WORDS or coded([cell]) is not None]
    return bool(known) and (len(counts) - len(known) <= ODD or sum(counts[c] for c in known) >= MOSTLY * counts.total())


def _neither(table: Table, columns: Sequence[str]) -> str:
    items = [
        f"{table.row(i)}, {name}: '{cell}'"
        for name in columns
        for i, cell in enumerate(table.column(name))
        if coded([cell]) is None and cell.lower() not in {key for words in LETTERS for key in words}
    ]
    return (
        f"{table.path} has cells that are neither 0 nor 1 in columns that otherwise are: {listed(items)}; write 0, 1, or -1 "
        f"for what is unknown (then see --unknown), or leave the column out: --ignore-columns {quoted(columns)}"
    )


def _leave(names: Sequence[str], taken: Sequence[str], unused: Unused, table: Table, binary: str) -> None:
    """Give the reason for every column that is not taken and has none yet."""
    for name in names:
        if name not in taken and name not in unused:
            cells = table.column(name)
            unused[name] = binary if coded(cells) is not None else _why_not(cells)


def _why_not(cells: Sequence[str]) -> str:
    full = [cell for cell in cells if not is_missing(cell)]
    if not full:
        return "all its cells are empty"
    if sum(map(is_image_name, full)) > MOSTLY * len(full):
        return f"names of images, such as {full[0][:40]!r}; --image-column takes them"
    values = list(dict.fromkeys(full))
    shown = ", ".join(repr(v[:20]) for v in values[:3])
    return f"neither 0/1 nor named as labels: {len(values):,} different cells such as {shown}"


def _beside(table: Table, name: str, findings: list[str], matrix: np.ndarray) -> str:
    """Why a column of labels is not used beside 0/1 columns: it holds the same. InputError where it does not."""
    numbers = [parse_list(cell) if cell.startswith("[") else [cell] for cell in table.column(name)]
    values = _floats(numbers)
    if values and all(row == [float(v) for v in of] for row, of in zip(values, matrix)):
        return "the same 0/1 values in one cell"
    rows = [_words(cell) for cell in table.column(name)]
    words = {word for row in rows for word in row}
    others = sum(row != {f for f, v in zip(findings, of) if v} for row, of in zip(rows, matrix))
    if not words <= {*findings} or (others and plain(name) not in LOOSE):
        differ = f", which differs from the 0/1 columns in {others:,} rows" if words <= {*findings} else ""
        raise two_ways(table, name, f"{', '.join(sorted(words)[:4])}, ...{differ}", findings)
    return "it names the same classes as the 0/1 columns" + (f", but others in {others:,} rows" if others else "")


def _floats(rows: Sequence[list | None]) -> list[list[float]]:
    try:
        return [[float(item) for item in row or ()] for row in rows]
    except (ValueError, OverflowError):  # no number, or one of hundreds of digits
        return []


def _words(cell: str) -> set[str]:
    """The labels that a cell names, whatever stands between them."""
    words = {word.strip() for word in re.findall(r"[^\[\]'\";,|(){}]+", cell)}
    return {word for word in words if not is_missing(word)}


def _summary(table: Table, name: str, mine: np.ndarray, findings: list[str], matrix: np.ndarray) -> str:
    """Why a 0/1 column named as labels is not used: it is 1 just where one of the others is. InputError where it is not."""
    if not (mine == matrix.any(axis=1)).all():
        error = two_ways(table, name, "0 and 1", findings)
        raise InputError(f"{error}, or all of them as classes: --label-columns {quoted([name, *findings])}")
    return "it is 1 exactly where one of the classes is: a summary of them"


def _summaries(findings: list[str], matrix: np.ndarray) -> list[str]:
    if len(findings) < 3:
        return []
    others = matrix.sum(axis=1, keepdims=True) - matrix > 0
    sums = (matrix == others).all(axis=0) & matrix.any(axis=0) & ~matrix.all(axis=0)
    return [
        f"The column '{findings[c]}' is 1 exactly where another class is: if it sums them up and is no class, take "
        f"--ignore-columns {quoted([findings[c]])}."
        for c in np.flatnonzero(sums)
    ]


def _check_flags(table: Table, findings: list[str], names: list[str], codes: dict[str, tuple[int, ...] | None]) -> None:
    """InputError where all 0/1 columns are named as facts about the image, and a column of repeated texts may be the labels."""
    if not all(map(FLAG.match, findings)):
        return
    for name in names:
        full = [cell for cell in table.column(name) if not is_missing(cell)]
        if codes[name] is None and 1 < len({*full}) < len(full):
            raise two_ways(table, name, f"{', '.join(sorted({*full})[:4])}, ...", findings)


def _no_labels(table: Table, names: Sequence[str]) -> str:
    odd = [f"{name} ({_why_not(table.column(name))})" for name in names]
    return (
        f"{table.path} has no labels: its columns are {example(table)}; expected a column named labels, tags, classes, ... "
        "or a 0/1 column for each class"
        + (f"; what was seen: {listed(odd)}" if odd else "")
        + "; name them with --label-columns NAME [NAME ...]"
    )

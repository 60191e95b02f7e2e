"""Cells -> class names and a 0/1 matrix, by the form that the cells have. What can be read in two ways is refused."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from common.core.dataset import LabelForm
from common.core.errors import InputError, listed
from common.core.settings import ReadOptions
from common.data.tables.cells import coded, coded_together, is_list, is_missing, parse_list, unwrapped
from common.data.tables.separators import INTEGER, Signs, choose, is_part, shown, split
from common.data.tables.text import SHOWN, Table, quoted

MOST_CLASSES = 10_000
FEW = 10  # rows from which on a class for each row is remarkable
VECTOR = re.compile(r"(?:[01]|-1)(?:\.0*)?(?:[\s,;|]+(?:[01]|-1)(?:\.0*)?)+")
SOLID = re.compile(r"[01]{2,}")
DECIMAL_COMMA = re.compile(r"\d{1,18},0+")
NO_NAME = re.compile(r"[!-/:-@\[-`{-~\s]+")
PAIR = re.compile(r".+[:=]\s*[01](?:\.0*)?")
FRACTION = re.compile(r"-?\d*\.\d*[1-9]\d*(?:[eE][+-]?\d+)?|-?\d+\.?0*[eE]-\d+")
NUMERIC = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
WIDTHLESS = re.compile("[\u200b\u2060\ufeff\u00ad]")


@dataclass(frozen=True)
class Labels:
    """Row i of the matrix is row rows[i] of the table."""

    names: tuple[str, ...]
    matrix: np.ndarray  # uint8 [len(rows), classes]
    rows: np.ndarray  # of the table: all, less those dropped for unknown labels
    form: LabelForm
    separator: str = ""
    numbers: tuple[int, ...] = ()  # of the classes, where they are numbers
    notes: tuple[str, ...] = ()


def from_columns(table: Table, columns: Sequence[str], options: ReadOptions) -> Labels:
    """A 0/1 column for each class. InputError that lists the cells which are neither, or unknown."""
    codes = coded_together({name: table.column(name) for name in columns})
    wrong = [
        f"{table.row(i)}, {name}: '{cell[:SHOWN]}'"
        for name in columns
        if codes[name] is None
        for i, cell in enumerate(table.column(name))
        if coded([cell]) is None
    ]
    if wrong:
        raise InputError(f"{table.path} has cells that are neither 0 nor 1: {listed(wrong)}; mend them, or leave the column "
                         "out with --ignore-columns NAME")  # fmt: skip
    values = np.array([codes[name] for name in columns], np.int8).T.reshape(len(table), len(columns))

    def cell_of(row: int, c: int) -> tuple[str, str]:
        return columns[c], table.column(columns[c])[row]

    return _from_values(table, tuple(columns), values, "0/1 columns", options, cell_of)


CellOf = Callable[[int, int], tuple[str, str]]  # of a row and a class: how a message names the place, and the cell


def _from_values(
    table: Table, names: tuple[str, ...], values: np.ndarray, form: LabelForm, options: ReadOptions, cell_of: CellOf
) -> Labels:
    """The labels of values 1, 0, -1 and BLANK: int8 [rows, classes]."""
    notes = []
    if options.unknown == "fail" and {*np.unique(values).tolist()} in ({-1, 1}, {-1}):
        notes.append("Every cell is 1 or -1: -1 is read as absent; --unknown drop reads it as unknown.")
        values = np.where(values == -1, 0, values)
    rows, more = _without_unknown(table, values < 0, options, cell_of)
    return Labels(names, (values[rows] == 1).astype(np.uint8), rows, form, notes=(*notes, *more))


def _without_unknown(
    table: Table, unknown: np.ndarray, options: ReadOptions, cell_of: CellOf
) -> tuple[np.ndarray, list[str]]:
    """The rows to keep and a note on them. unknown: bool [rows, classes]. InputError unless the user said
    what unknown means."""
    rows = np.arange(len(table))
    count = int(unknown.sum())
    if not count:
        return rows, []
    affected = np.flatnonzero(unknown.any(axis=1))
    if options.unknown == "absent":
        return rows, [f"{count:,} unknown labels (-1, blank or NaN) count as absent (--unknown absent)."]
    if options.unknown == "drop":
        note = f"{len(affected):,} images with unknown labels (-1, blank or NaN) are left out (--unknown drop)."
        return np.setdiff1d(rows, affected), [note]
    cells = [(int(r), *cell_of(int(r), int(c))) for r, c in np.argwhere(unknown)]
    items = [f"{table.row(r)}, {place}: '{cell[:SHOWN]}'" for r, place, cell in cells]
    raise InputError(
        f"{table.path} has {count:,} labels that are unknown, neither present nor absent ({_kinds(cell for _, _, cell in cells)}), in "
        f"{len(affected):,} of its {len(table):,} rows: {listed(items)}; take --unknown absent to count them as absent, or "
        f"--unknown drop to leave out the images that have any ({len(table) - len(affected):,} would remain)"
    )


def _kinds(cells: Iterable[str]) -> str:
    """How many of the unknown cells are written in which way, such as: 12 blank, 3 '-1.0'."""
    counts = Counter(cell[:SHOWN] for cell in cells)
    return ", ".join(f"{n:,} {repr(cell) if cell else 'blank'}" for cell, n in counts.most_common(5))


@dataclass(frozen=True)
class Parsed:
    """The labels that each cell of a column names."""

    words: list[list[str]]
    form: LabelForm
    signs: Signs | None = None  # what separates the labels of a cell, where they are no lists


def from_cells(table: Table, column: str, options: ReadOptions, also: Sequence[str] = ()) -> Labels:
    """One column of labels, in whichever form its cells have, or several whose cells are joined. InputError where they can be
    read in two ways."""
    columns = (column, *also)
    parsed = {name: _parsed(table, name, options) for name in columns}
    vectors = [name for name, of in parsed.items() if of.form == "0/1 vectors"]
    notes = _missing_notes((cell for name in columns for cell in table.column(name)), "cells")
    if vectors and also:
        raise InputError(
            f"{table.path}: the columns {quoted(vectors)} hold vectors of zeros and ones, which cannot be joined with "
            f"other columns; name one alone: --label-columns {quoted(vectors[:1])}"
        )
    if vectors:
        return _from_vectors(table, column, parsed[column].words, options, notes)
    words = [[word for row in rows for word in row] for rows in zip(*(of.words for of in parsed.values()))]
    separators = {"" if of.signs is None else shown(of.signs) for of in parsed.values()}
    form: LabelForm = "lists" if also else parsed[column].form
    return _from_words(table, column, words, form, separators.pop() if len(separators) == 1 else "", options, notes)


def _parsed(table: Table, column: str, options: ReadOptions) -> Parsed:
    cells = [("" if is_missing(cell) else unwrapped(cell)) for cell in table.column(column)]
    if all(coded([cell]) == (-1,) for cell in cells if cell) and any(cells):
        raise InputError(f"{table.path} has no label in the column '{column}': every cell is -1")
    if table.delimiter == ";" and all(DECIMAL_COMMA.fullmatch(cell) for cell in cells if cell):
        cells = [cell.partition(",")[0] for cell in cells]
    if _are_lists(cells, bool(options.label_separator)):
        words = _lists(table, column, cells)
        return Parsed(words, "0/1 vectors" if _are_bits(words) else "lists")
    if not options.label_separator and _are_vectors(table, column, cells):
        return Parsed([[*c] if SOLID.fullmatch(c) else re.split(r"[\s,;|]+", c) for c in cells], "0/1 vectors")
    signs = choose(table, column, cells, options)
    return Parsed([split(cell, signs) for cell in cells], "lists" if signs else "one name", signs)


def _are_lists(cells: Sequence[str], separated: bool) -> bool:
    """Whether cells are lists: where one is, or most look like one; `(other)` is none. separated: the user names what
    separates the labels, so that only a column of nothing but lists is one."""
    full = {cell for cell in cells if cell}
    wrapped = [cell for cell in full if is_list(cell)]
    if separated:
        return len(wrapped) == len(full) and all(parse_list(cell) is not None for cell in wrapped) and bool(full)
    return len(wrapped) * 2 > len(full) or any(parse_list(cell) is not None for cell in wrapped)


def _missing_notes(cells: Iterable[str], what: str) -> list[str]:
    """How many cells, or labels of cells, mean that there is no label."""
    counts = Counter(cell for cell in cells if cell and is_missing(cell))
    return [f"{n:,} {what} '{cell}' are read as: no label." for cell, n in counts.items()]


def _lists(table: Table, column: str, cells: list[str]) -> list[list[str]]:
    """Python's, JSON's and NumPy's lists. InputError that lists the cells which are none."""
    parsed = [parse_list(cell) if is_list(cell) else [] if not cell else None for cell in cells]
    wrong = [f"{table.row(i)}: {cells[i][:SHOWN]}" for i, items in enumerate(parsed) if items is None]
    if wrong:
        raise InputError(
            f"{table.path}: the column '{column}' has lists, and cells that are no list of names: {listed(wrong)}; write "
            "all of them as lists, or as names separated by ;"
        )
    return [[_word(item) for item in items or ()] for items in parsed]


def _word(item: str | int | float | bool) -> str:
    if isinstance(item, float | bool) and float(item).is_integer():
        return str(int(item))
    return str(item).strip()


def _cleaned(word: str) -> str:
    """One spelling of what looks the same: composed accents, and no characters without width."""
    return unicodedata.normalize("NFC", WIDTHLESS.sub("", word)).strip()


def _are_vectors(table: Table, column: str, cells: Sequence[str]) -> bool:
    """Whether every cell has equally many zeros and ones. InputError where they may be numbers instead, such as 101 and 110."""
    full = [cell for cell in cells if cell]
    if full and all(map(SOLID.fullmatch, full)):
        alike = len({*map(len, full)}) == 1
        if not (alike and any(cell.startswith("0") for cell in full)):
            if min(map(len, full)) == 2:
                return False  # the numbers 10 and 11
            raise InputError(
                f"{table.path}: the cells of the column '{column}' may be numbers of classes or zeros and ones, such as "
                f"'{full[0]}'; for numbers take --label-separator none, for zeros and ones write them apart: '{' '.join(full[0])}'"
            )
        return True
    return bool(full) and all(map(VECTOR.fullmatch, full)) and len({len(re.split(r"[\s,;|]+", c)) for c in full}) == 1


def _are_bits(words: Sequence[Sequence[str]]) -> bool:
    """Lists of one length, longer than 1, that hold nothing but 0 and 1, and -1 for unknown: with more numbers alike than a
    list of labels has."""
    full = [row for row in words if row]
    return (
        bool(full)
        and len({*map(len, full)}) == 1
        and len(full[0]) > 1
        and {w for row in full for w in row} <= {"0", "1", "-1"}
    )


def _from_vectors(table: Table, column: str, words: list[list[str]], options: ReadOptions, notes: list[str]) -> Labels:
    width = max(map(len, words))
    short = [f"{table.row(i)}" for i, row in enumerate(words) if len(row) != width]
    if short:
        raise InputError(
            f"{table.path}: each cell of the column '{column}' is a vector of {width} zeros and ones, but those of "
            f"{listed(short)} are empty; complete them, or take these rows out"
        )
    names = tuple(f"class_{c}" for c in range(width))

    def cell_of(row: int, c: int) -> tuple[str, str]:
        return f"{column}, {names[c]}", words[row][c]

    values = np.array([[int(word.partition(".")[0]) for word in row] for row in words], np.int8)
    labels = _from_values(table, names, values, "0/1 vectors", options, cell_of)
    return replace(labels, notes=(*notes, *labels.notes))


@dataclass(frozen=True)
class Fault:
    """Labels that cannot be names, and why."""

    names: list[str]
    why: str
    most: bool = False  # they are refused where most labels are such


def _check_names(table: Table, column: str, words: list[list[str]]) -> None:
    """InputError that lists the labels which cannot be names: signs alone, parts of a list or a text, pairs, fractions."""
    names = {word for row in words for word in row}
    fractions = [n for n in names if FRACTION.fullmatch(n)]
    faults = (
        Fault([n for n in names if NO_NAME.fullmatch(n)],
              "are signs without a letter or digit; leave a cell empty for no label, or see --label-separator"),
        Fault([n for n in names if is_part(n)],
              "have brackets or quotes of which one is missing, so they look like parts of a longer text"),
        Fault([n for n in names if PAIR.fullmatch(n)],
              "are pairs of a name and a value; write a 0/1 column for each class instead", most=True),
        Fault(fractions, "are numbers that are not whole; labels are names or whole numbers, and of probabilities make 0 and 1",
              most=not all(map(NUMERIC.fullmatch, names))),
    )  # fmt: skip
    for fault in faults:
        if fault.names and (not fault.most or len(fault.names) * 2 > len(names)):
            rows = [f"{table.row(i)}: '{w[:SHOWN]}'" for i, row in enumerate(words) for w in row if w in fault.names]
            raise InputError(f"{table.path}: labels in the column '{column}' {fault.why}: {listed(rows)}")


def _from_words(
    table: Table,
    column: str,
    words: list[list[str]],
    form: LabelForm,
    separator: str,
    options: ReadOptions,
    notes: list[str],
) -> Labels:
    """The matrix of every row's words; those of a column of numbers are sorted as numbers."""
    words = [[_cleaned(word) for word in row] for row in words]
    notes = notes + _missing_notes((w for row in words if len(row) > 1 or form == "lists" for w in row), "labels")
    words = [[word for word in row if not is_missing(word)] for row in words]
    _check_names(table, column, words)
    known = sorted({word for row in words for word in row})
    numbers: tuple[int, ...] = ()
    rows = np.arange(len(table))
    if known and all(INTEGER.fullmatch(word) and not re.match(r"-?0\d", word) for word in known):
        words = [[str(int(word.partition(".")[0])) for word in row] for row in words]
        words, rows, more = _without_minus_one(table, column, words, options)
        notes = notes + more
        known = sorted({word for row in words for word in row}, key=int)
        numbers = tuple(map(int, known))
    if len(known) > MOST_CLASSES:
        raise InputError(
            f"{table.path} has {len(known):,} classes in its column '{column}'; up to {MOST_CLASSES:,} can be used: is it the "
            "column of labels? name another with --label-columns NAME"
        )
    place = {name: i for i, name in enumerate(known)}
    matrix = np.zeros((len(rows), len(known)), np.uint8)
    for i, row in enumerate(rows):
        matrix[i, [place[word] for word in words[row]]] = 1
    if len(rows) >= FEW and (matrix.sum(axis=0) == 1).all():
        notes = [*notes, f"Every class occurs in one image only: is '{column}' the column of labels?"]
    return Labels(tuple(known), matrix, rows, form, separator, numbers, tuple(notes))


def _without_minus_one(
    table: Table, column: str, words: list[list[str]], options: ReadOptions
) -> tuple[list[list[str]], np.ndarray, list[str]]:
    """Numbers of labels without -1, which programs write for an unknown one. InputError for other negative numbers."""
    below = [f"{table.row(i)}: {word}" for i, row in enumerate(words) for word in row if int(word) < -1]
    if below:
        raise InputError(f"{table.path} has labels out of range: {listed(below)}; numbers of labels are 0 and more")
    unknown = np.array([["-1" in row] for row in words])
    rows, notes = _without_unknown(table, unknown, options, lambda row, _: (column, table.column(column)[row]))
    return [[word for word in row if word != "-1"] for row in words], rows, notes

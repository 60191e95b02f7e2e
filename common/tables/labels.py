"""Cells -> class names and a 0/1 matrix, by the form that the cells have. What can be read in two ways is refused."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.errors import InputError, listed
from common.tables.cells import BLANK, coded, is_list, is_missing, parse_list
from common.tables.columns import ONE_NAME
from common.tables.text import NAMES, SHOWN, Table, plain
from common.types import LabelForm, ReadOptions

MOST_CLASSES = 10_000
HARD = (";", "|", ",")  # white space separates only where nothing else does
INTEGER = re.compile(r"-?\d{1,18}(?:\.0*)?")
VECTOR = re.compile(r"[01](?:\.0*)?(?:[\s,;|]+[01](?:\.0*)?)+")
SOLID = re.compile(r"[01]{3,}")
FREE = 0.5  # of the words of cells with spaces that stand alone in others: then spaces separate labels


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
    wrong = [
        f"{table.row(i)}, {name}: '{cell[:SHOWN]}'"
        for name in columns
        if coded(table.column(name)) is None
        for i, cell in enumerate(table.column(name))
        if coded([cell]) is None
    ]
    if wrong:
        raise InputError(f"{table.path} has cells that are neither 0 nor 1: {listed(wrong)}; mend them, or leave the column "
                         "out with --ignore-columns NAME")  # fmt: skip
    values = np.array([coded(table.column(name)) for name in columns], np.int8).T.reshape(len(table), len(columns))
    notes = []
    if (values == -1).any() and not np.isin(values, (0, BLANK)).any():
        notes.append("Every cell is 1 or -1: -1 is read as absent.")
        values[values == -1] = 0
    rows, more = _without_unknown(table, values < 0, options, columns)
    return Labels(tuple(columns), (values[rows] == 1).astype(np.uint8), rows, "0/1 columns", notes=(*notes, *more))


def _without_unknown(
    table: Table, unknown: np.ndarray, options: ReadOptions, columns: Sequence[str]
) -> tuple[np.ndarray, list[str]]:
    """The rows to keep and a note on them. unknown: bool [rows, columns]. InputError unless the user said
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
    items = [
        f"{table.row(int(r))}, {columns[c]}: '{table.column(columns[c])[r][:SHOWN]}'" for r, c in np.argwhere(unknown)
    ]
    raise InputError(
        f"{table.path} has labels that are unknown, neither present nor absent (-1, blank or NaN): {listed(items)}; take "
        f"--unknown absent to count them as absent, or --unknown drop to leave out the {len(affected):,} images that have any"
    )


def from_cells(table: Table, column: str, options: ReadOptions) -> Labels:
    """One column of labels, in whichever form its cells have. InputError where they can be read in two ways."""
    cells = [("" if is_missing(cell) else cell) for cell in table.column(column)]
    notes = _missing_notes(table.column(column))
    if all(coded([cell]) == (-1,) for cell in cells if cell) and any(cells):
        raise InputError(f"{table.path} has no label in the column '{column}': every cell is -1")
    if any(map(is_list, cells)):
        words, form, separator = _lists(table, column, cells), "lists", ""
    elif not options.label_separator and _are_vectors(cells):
        words, form, separator = (
            [re.split(r"[\s,;|]+", c) if not SOLID.fullmatch(c) else [*c] for c in cells],
            "0/1 vectors",
            "",
        )
    else:
        separator = _separator(table, column, cells, options)
        words = [_split(cell, separator) for cell in cells]
        form = "one name" if separator == "none" else "lists"
    if form == "0/1 vectors" or (form == "lists" and any(map(is_list, cells)) and _are_bits(words)):
        return _from_vectors(table, column, words, notes)
    return _from_words(table, column, words, form, separator, options, notes)


def _missing_notes(cells: Sequence[str]) -> list[str]:
    counts = Counter(cell for cell in cells if cell and is_missing(cell))
    return [f"{n:,} cells '{cell}' are read as: no label." for cell, n in counts.items()]


def _split(cell: str, separator: str) -> list[str]:
    if separator == "none":
        return [cell] if cell else []
    pieces = cell.split() if separator == "space" else re.split(f"[{re.escape(separator)}]", cell)
    return [piece.strip() for piece in pieces if piece.strip()]


def _lists(table: Table, column: str, cells: list[str]) -> list[list[str]]:
    """Python's, JSON's and NumPy's lists. InputError that lists the cells which are none."""
    parsed = [parse_list(cell) if is_list(cell) else [] if not cell else None for cell in cells]
    wrong = [f"{table.row(i)}: {cells[i][:SHOWN]}" for i, items in enumerate(parsed) if items is None]
    if wrong:
        raise InputError(
            f"{table.path}: the column '{column}' has lists, and cells that are no list of names: {listed(wrong)}; write "
            "all of them as lists, or as names separated by ;"
        )
    return [[_word(item) for item in items or () if not is_missing(str(item).strip())] for items in parsed]


def _word(item: str | int | float | bool) -> str:
    if isinstance(item, float | bool) and float(item).is_integer():
        return str(int(item))
    return str(item).strip()


def _are_vectors(cells: Sequence[str]) -> bool:
    full = [cell for cell in cells if cell]
    if full and all(map(SOLID.fullmatch, full)):
        return len({*map(len, full)}) == 1
    return bool(full) and all(map(VECTOR.fullmatch, full)) and len({len(re.split(r"[\s,;|]+", c)) for c in full}) == 1


def _are_bits(words: Sequence[Sequence[str]]) -> bool:
    """Lists of one length, longer than 1, that hold nothing but 0 and 1: with more numbers alike than a list of labels has."""
    full = [row for row in words if row]
    return (
        bool(full)
        and len({*map(len, full)}) == 1
        and len(full[0]) > 1
        and {w for row in full for w in row} <= {"0", "1"}
    )


def _from_vectors(table: Table, column: str, words: list[list[str]], notes: list[str]) -> Labels:
    width = max(map(len, words))
    short = [f"{table.row(i)}" for i, row in enumerate(words) if len(row) != width]
    if short:
        raise InputError(
            f"{table.path}: each cell of the column '{column}' is a vector of {width} zeros and ones, but those of "
            f"{listed(short)} are empty; complete them, or take these rows out"
        )
    matrix = np.array([[float(word) == 1 for word in row] for row in words], np.uint8)
    names = tuple(f"class_{c}" for c in range(width))
    return Labels(names, matrix, np.arange(len(table)), "0/1 vectors", notes=tuple(notes))


def _separator(table: Table, column: str, cells: list[str], options: ReadOptions) -> str:
    """What separates the labels of a cell: characters, "space", or "none" where a cell is one name."""
    asked = options.label_separator
    if asked:
        signs = {name: sign for sign, name in NAMES.items() if sign != " "}
        return asked if asked in ("space", "none") else signs.get(asked, asked)
    there = [sign for sign in HARD if any(sign in cell for cell in cells)]
    if there:
        return _checked(table, column, cells, there)
    spaced = [cell for cell in cells if len(cell.split()) > 1]
    if not spaced:
        return "none"
    if all(INTEGER.fullmatch(word) for cell in cells for word in cell.split()):
        return "space"
    if plain(column) in ONE_NAME:
        return "none"
    alone = {cell for cell in cells if len(cell.split()) == 1}
    words = {word for cell in spaced for word in cell.split()}
    if plain(column) in ("tags", "tag") or len(words & alone) >= FREE * len(words):
        return "space"
    raise InputError(_two_ways(table, column, cells, " ", ["space", "none"]))


def _checked(table: Table, column: str, cells: list[str], there: list[str]) -> str:
    """The sign that every cell with several labels has. InputError where no sign or several are such, or where another sign or
    a space within a name looks like a slip: it then stands between names of other classes."""
    several = [cell for cell in cells if any(sign in cell for sign in there)]
    fitting = [sign for sign in there if all(sign in cell for cell in several)]
    if len(fitting) != 1:
        odd = min(there, key=lambda sign: sum(sign in cell for cell in several))
        raise InputError(_two_ways(table, column, cells, odd, [*there, "".join(there)]))
    sign = fitting[0]
    names = {word for cell in cells for word in _split(cell, sign)}
    for other in (*(s for s in there if s != sign), " "):
        slips = [
            name for name in names if other in name and {*_split(name, "space" if other == " " else other)} <= names
        ]
        if slips:
            raise InputError(_two_ways(table, column, cells, other, [sign, sign + other]))
    return sign


def _two_ways(table: Table, column: str, cells: list[str], odd: str, choices: list[str]) -> str:
    rows = [f"{table.row(i)}: '{cell[:SHOWN]}'" for i, cell in enumerate(cells) if odd in cell]
    readings = []
    for choice in choices:
        names = sorted({word for cell in cells for word in _split(cell, choice)})
        shown = ", ".join(repr(name[:SHOWN]) for name in names[:4]) + (", ..." if len(names) > 4 else "")
        readings.append(f"--label-separator '{choice}' gives {len(names)} classes ({shown})")
    return (
        f"{table.path}: the labels in the column '{column}' can be separated in {len(choices)} ways: {'; '.join(readings)}; say "
        f"which. Cells that leave it open: {listed(rows)}"
    )


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
    known = sorted({word for row in words for word in row})
    numbers: tuple[int, ...] = ()
    rows = np.arange(len(table))
    if known and all(INTEGER.fullmatch(word) and not re.match(r"-?0\d", word) for word in known):
        words = [[str(int(float(word)) if "." in word else int(word)) for word in row] for row in words]
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
    return Labels(tuple(known), matrix, rows, form, separator, numbers, tuple(notes))


def _without_minus_one(
    table: Table, column: str, words: list[list[str]], options: ReadOptions
) -> tuple[list[list[str]], np.ndarray, list[str]]:
    """Numbers of labels without -1, which programs write for an unknown one. InputError for other negative numbers."""
    below = [f"{table.row(i)}: {word}" for i, row in enumerate(words) for word in row if int(word) < -1]
    if below:
        raise InputError(f"{table.path} has labels out of range: {listed(below)}; numbers of labels are 0 and more")
    unknown = np.array([["-1" in row] for row in words])
    rows, notes = _without_unknown(table, unknown, options, [column])
    return [[word for word in row if word != "-1"] for row in words], rows, notes

"""A text file -> a table of cells: what separates the cells, and which rows are whole."""

import csv
import io
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from common.core.errors import InputError, listed
from common.core.settings import ReadOptions
from common.data.images import SUFFIXES, is_image_name
from common.data.tables.cells import is_list
from common.data.tables.raw import read_text

DELIMITERS = (",", ";", "\t", "|")
NAMES = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar", " ": "space"}
SNIFFED = 50  # rows that show what separates the cells
SHOWN = 60  # characters of a cell or row in a message
_END = "\ue000"  # behind the text: it is a row of its own unless a quote is open there
_RULE = re.compile(r"\s*:?-{2,}:?\s*")  # below the header of a Markdown table
_ROW_WITHIN = re.compile(rf"[\r\n][^,;\t|\r\n]*(?:{'|'.join(map(re.escape, SUFFIXES))})\"?[,;\t|]", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """Cells as text, stripped of the white space around them. Row i of every column is the same row of the file."""

    path: Path
    columns: tuple[str, ...]  # stripped; an unnamed one is ""
    cells: tuple[tuple[str, ...], ...]  # a tuple for each column
    numbers: tuple[int, ...]  # of each row in the file: the header is 0
    encoding: str
    delimiter: str
    notes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()  # of each row, where two tables were joined

    def __len__(self) -> int:
        return len(self.numbers)

    def column(self, name: str) -> tuple[str, ...]:
        return self.cells[self.columns.index(name)]

    def row(self, i: int) -> str:
        """How a message names row i."""
        return f"{self.files[i]} row {self.numbers[i]}" if self.files else f"row {self.numbers[i]}"

    def joined(self, other: "Table") -> "Table":
        """The rows of both. InputError where the other lacks one of the columns."""
        lacking = [name for name in self.columns if name not in other.columns]
        if lacking:
            raise InputError(
                f"{other.path} lacks the columns {listed(lacking)} of {self.path.name}; give both tables the same columns"
            )
        cells = tuple(mine + other.column(name) for name, mine in zip(self.columns, self.cells))
        files = tuple(f"{t.path.parent.name}/{t.path.name}" for t in (self, other) for _ in range(len(t)))
        return replace(
            self, cells=cells, numbers=self.numbers + other.numbers, files=files, notes=self.notes + other.notes
        )

    def rows(self, keep: Sequence[int]) -> "Table":
        cells = tuple(tuple(column[i] for i in keep) for column in self.cells)
        files = tuple(self.files[i] for i in keep) if self.files else ()
        return replace(self, cells=cells, numbers=tuple(self.numbers[i] for i in keep), files=files)


def plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def quoted(names: Iterable[str]) -> str:
    """Names as a shell takes them."""
    return " ".join(map(shlex.quote, names))


def example(table: Table) -> str:
    """The columns of a table, as a message shows them."""
    shown = ", ".join(name or "(no name)" for name in table.columns[:12])
    return shown + (", ..." if len(table.columns) > 12 else "")


def read_table(path: Path, options: ReadOptions) -> Table:
    """All rows. InputError that lists every row with another number of cells than the header, or a quote left open."""
    text, encoding = read_text(path, options.encoding)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    told, text = _sep_line(text)
    text, notes = _without_title(text)
    if not text.strip():
        raise InputError(f"{path} is empty; expected a header and a row for each image")
    delimiter = _named(options.delimiter) or told or _delimiter(path, text)
    rows = _rows(path, text, delimiter)
    header = [name.strip() for name in rows[0]]
    while (
        len(header) > 1 and not header[-1] and all(not cell.strip() for row in rows for cell in row[len(header) - 1 :])
    ):
        header.pop()  # a delimiter at the end of every line
    _check_header(path, header, rows, delimiter)
    whole, numbers, empty, again = [], [], 0, 0
    for number, row in enumerate(rows[1:], start=1):
        if not any(cell.strip() for cell in row):
            empty += bool(row)
            continue
        while len(row) > len(header) and not row[-1].strip():
            row.pop()
        if [cell.strip() for cell in row] == header or (number == 1 and all(map(_RULE.fullmatch, filter(None, row)))):
            again += 1
            continue
        whole.append(row)
        numbers.append(number)
    if _has_row_names(whole, header):
        header.insert(0, "")
        notes.append(
            "Each row has a cell more than the header, as R writes its rows' names: the first one is left out."
        )
    _check_lengths(path, whole, numbers, header, delimiter)
    cells = tuple(tuple(cell.strip() for cell in column) for column in zip(*whole)) or ((),) * len(header)
    notes += [f"Empty rows that are left out: {empty:,}."] if empty else []
    notes += [f"Rows that repeat the header or rule it off and are left out: {again:,}."] if again else []
    table = Table(path, tuple(header), cells, tuple(numbers), encoding, delimiter, tuple(notes))
    _check_quotes(table, whole)
    return table


def _sep_line(text: str) -> tuple[str, str]:
    """The separator that a first line `sep=;` names, as Excel writes it, and the text after that line."""
    line, _, rest = text.partition("\n")
    told = re.fullmatch(r'"?sep=(.)"?', line.strip(" "), re.IGNORECASE)
    return (told[1], rest) if told else ("", text)


def _without_title(text: str) -> tuple[str, list[str]]:
    """The text from its header on, and a note. What stands before it is no header: that has two names at least."""
    left = []
    while True:
        line, _, rest = text.partition("\n")
        below = rest.partition("\n")[0]
        sign = max(DELIMITERS, key=below.count)
        names = [name.strip(' "') for name in below.split(sign)]
        title = not any(mark in line.strip("".join(DELIMITERS)) for mark in (*DELIMITERS, '"'))
        if not (title and len(names) > 1 and all(names) and not any(map(_like_a_row, names))):
            break
        left += [line.strip(sign)[:SHOWN]] if line.strip(sign) else []
        text = rest
    return text, [f"Lines before the header that are left out: {', '.join(map(repr, left))}."] if left else []


def _like_a_row(cell: str) -> bool:
    return is_image_name(cell) or bool(re.fullmatch(r"[-+\d.]+", cell))


def _named(delimiter: str) -> str:
    names = {name: sign for sign, name in NAMES.items()}
    found = names.get(delimiter, delimiter)
    if len(found) > 1:
        raise InputError(f"--delimiter {delimiter}: one character, or one of {', '.join(names)}")
    return found


def _delimiter(path: Path, text: str) -> str:
    """What the header's names are separated by. Where it has several such signs: the one that divides every row alike."""
    lines = text.split("\n", SNIFFED + 1)[: SNIFFED + 1]
    header = re.sub(r'"[^"]*"', "", lines[0])
    there = [sign for sign in DELIMITERS if sign in header]
    if len(there) <= 1:
        return there[0] if there else ","
    sample = "\n".join(lines)
    fitting = []
    for sign in there:
        lengths = {len(row) for row in csv.reader(io.StringIO(sample), delimiter=sign) if row}
        fitting += [sign] if len(lengths) == 1 else []
    if len(fitting) == 1:
        return fitting[0]
    names = " or ".join(f"{NAMES[sign]} ('{sign}')" for sign in fitting or there)
    raise InputError(
        f"{path}: the cells may be separated by {names}: the first line is '{lines[0][:SHOWN]}'; say which with "
        f"--delimiter {NAMES[(fitting or there)[0]]}"
    )


def _rows(path: Path, text: str, delimiter: str) -> list[list[str]]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # the default, 131,072 characters, is less than a run-length mask
    spaced = delimiter != " "  # a space before a quote is no part of the cell
    try:
        reader = csv.reader(io.StringIO(f"{text}\n{_END}"), delimiter=delimiter, skipinitialspace=spaced)
        rows = [row for row in reader if row]
    except csv.Error as error:
        raise InputError(f"{path} has rows that cannot be read: {error}; quote cells that hold quotes") from None
    if rows[-1] != [_END]:
        raise InputError(
            f"{path} ends within a quote that opens in row {len(rows) - 1}, at {rows[-1][-1].removesuffix(_END).rstrip()[:SHOWN]!r}; close it there, or "
            "double it where it belongs to the text"
        )
    return rows[:-1] or [[""]]


def _check_header(path: Path, header: list[str], rows: list[list[str]], delimiter: str) -> None:
    """InputError where the first line is no header, or where it does not separate its names as the table does its cells."""
    shown = delimiter.join(rows[0])[:SHOWN]
    below = [row[0].strip() for row in rows[1 : SNIFFED + 1] if len(row) == 1]
    bare = len(header) == 1 and len(below) == len(rows[1 : SNIFFED + 1]) > 0  # one cell a line, header too
    if any(is_image_name(name) for name in (header if not bare else header[0].split())):
        ways = " and put a comma behind the image in each line" if bare and header[0].split()[1:] else ""
        names = delimiter.join(("image", "labels"))
        raise InputError(
            f"{path} has no header: its first line is '{shown}'; add a first line that names the columns, such as {names}{ways}"
        )
    for sign in (" ", ":"):
        if bare and sign in header[0] and all(sign in cell and not is_image_name(cell) for cell in below):
            raise InputError(
                f"{path}: neither comma, semicolon, tab nor bar separates the names in the first line '{shown}'; if "
                f"'{sign}' does, in all lines, take --delimiter {NAMES.get(sign, sign)}; else separate them by commas"
            )
    if len(header) > 1 and below and len(below) == len(rows[1 : SNIFFED + 1]):
        sign = next((s for s in DELIMITERS if all(s in cell for cell in below)), "")
        if sign:
            raise InputError(
                f"{path}: the first line '{shown}' is separated by {NAMES.get(delimiter, delimiter)}s and the rows, such as "
                f"'{below[0][:SHOWN]}', by {NAMES[sign]}s; write all with one sign"
            )
    second = [cell.strip() for cell in rows[1]] if len(rows) > 1 else []
    twice = {name for name in header if name and header.count(name) > 1}
    if twice and len(second) == len(header) and not second[0] and header[0] and all(second[1:]):
        raise InputError(
            f"{path} has a header of two lines: '{shown}' and '{delimiter.join(second)[:SHOWN]}'; join them to one line, with "
            "a name of its own for each column"
        )


def _has_row_names(rows: list[list[str]], header: list[str]) -> bool:
    """Whether each row begins with one cell more than the header names: a number of its own, before a column of images."""
    if not rows or any(len(row) != len(header) + 1 for row in rows):
        return False
    first = [row[0].strip() for row in rows]
    images = any(all(is_image_name(row[c].strip()) for row in rows) for c in range(1, len(header) + 1))
    return images and all(map(str.isdecimal, first)) and len({*first}) == len(first)


def _check_lengths(path: Path, rows: list[list[str]], numbers: list[int], header: list[str], delimiter: str) -> None:
    longer = [f"'{delimiter.join(row)[:SHOWN]}'" for row in rows if len(row) > len(header)]
    if longer:
        raise InputError(
            f"{path} has rows that cannot be read: {listed(longer)} ({len(header)} columns, separated by "
            f"{NAMES.get(delimiter, delimiter)}s, and these rows have more cells); quote cells that hold {NAMES.get(delimiter, delimiter)}s or quotes"
        )
    short = [f"row {n}: '{delimiter.join(r)[:SHOWN]}'" for n, r in zip(numbers, rows) if len(r) < len(header)]
    if short:
        raise InputError(f"{path} has rows with too few cells: {listed(short)}; complete them, or take them out")


def _check_quotes(table: Table, rows: list[list[str]]) -> None:
    """InputError that lists the cells within which another row seems to begin: behind a quote that is not closed, the rows up
    to the next quote are one cell."""
    broken = [
        f"{table.row(i)}, {table.columns[c]}: {cell[:SHOWN]!r}"
        for i, row in enumerate(rows)
        for c, cell in enumerate(row)
        if "\n" in cell and (_ROW_WITHIN.search(cell) or _has_rows(cell, c, len(row), table.delimiter))
    ]
    if broken:
        raise InputError(
            f"{table.path} has cells that run over several rows: {listed(broken)}; is a quote not closed there? Close it, or "
            "double it where it belongs to the text; if these lines are one text, join them to one line"
        )


def _has_rows(cell: str, c: int, width: int, delimiter: str) -> bool:
    """Whether a line of cell c has as many cells as a row of the table, the cells before and behind it counted."""
    if cell.lstrip()[:1] in ("[", "(", "{"):  # a list that is printed on several lines
        return False
    lines = cell.split("\n")
    for i, line in enumerate(lines):
        cells = line.count(delimiter) + 1
        before, behind = (c if i == 0 else 0), (width - c - 1 if i == len(lines) - 1 else 0)
        if cells > 1 and cells + before + behind == width:
            return True
    return False


def one_line(table: Table, image: str, labels: str) -> Table:
    """The table with each list of labels on one line, as NumPy breaks long ones. InputError that lists the other cells of
    images and labels which run over several lines."""
    if labels and any("\n" in cell for cell in table.column(labels)):
        column = tuple(
            " ".join(cell.split()) if "\n" in cell and is_list(cell) else cell for cell in table.column(labels)
        )
        place = table.columns.index(labels)
        table = replace(table, cells=(*table.cells[:place], column, *table.cells[place + 1 :]))
    broken = [
        f"{table.row(i)}, {name}: {cell[:SHOWN]!r}"
        for name in filter(None, (image, labels))
        for i, cell in enumerate(table.column(name))
        if "\n" in cell
    ]
    if broken:
        raise InputError(
            f"{table.path} has cells that run over several rows: {listed(broken)}; is a quote not closed there? Where a line "
            "break separates two labels, write a semicolon for it"
        )
    return table

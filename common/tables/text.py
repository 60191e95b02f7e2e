"""A text file -> a table of cells: its encoding, what separates the cells, and which rows are whole."""

import codecs
import csv
import io
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from common.errors import InputError, listed
from common.images import SUFFIXES, is_image_name
from common.types import ReadOptions

DELIMITERS = (",", ";", "\t", "|")
NAMES = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar", " ": "space"}
# Longest first: UTF-32's little-endian mark begins with UTF-16's.
MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF8: "utf-8-sig",
         codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}  # fmt: skip
SNIFFED = 50  # rows that show what separates the cells
SHOWN = 60  # characters of a cell or row in a message
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


def example(table: Table) -> str:
    """The columns of a table, as a message shows them."""
    shown = ", ".join(name or "(no name)" for name in table.columns[:12])
    return shown + (", ..." if len(table.columns) > 12 else "")


def read_text(path: Path, encoding: str = "") -> tuple[str, str]:
    """The file's text and its encoding: the one that is named, else by its byte order mark, else UTF-8."""
    data = path.read_bytes()
    found = encoding or next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8")
    if found == "utf-8" and not encoding and _looks_wide(data):
        raise InputError(f"{path} is not UTF-8 text (every other byte is 0); {WIDE}")
    try:
        return data.decode(found).removeprefix("\ufeff"), found
    except LookupError:
        raise InputError(f"--encoding {encoding}: no such encoding; e.g. utf-8, latin-1, cp1252, utf-16") from None
    except UnicodeError as error:
        raise InputError(f"{path} is not {found} text ({_where(data, error)}); {_way_out(data, encoding)}") from None


WIDE = "it looks like UTF-16 without a byte order mark: take --encoding utf-16-le (or utf-16-be), or save it as UTF-8"


def _looks_wide(data: bytes) -> bool:
    return data[:400].count(0) > len(data[:400]) // 4


def _where(data: bytes, error: UnicodeError) -> str:
    if not isinstance(error, UnicodeDecodeError):
        return str(error)
    line = data.count(b"\n", 0, error.start) + 1
    return f"byte 0x{data[error.start]:02x} in line {line}"


def _way_out(data: bytes, encoding: str) -> str:
    if encoding:
        return "name the encoding that it was saved in, or leave out --encoding"
    if _looks_wide(data):
        return WIDE
    return (
        "it is not UTF-8: save it as UTF-8, or name its encoding: --encoding latin-1 or cp1252 (Western Windows), "
        "cp1250, cp1251, gb18030, shift_jis, ..."
    )


def first_line(path: Path, encoding: str = "") -> str:
    """The header as a reader sees it, whatever the encoding; "" where the file cannot be read."""
    with open(path, "rb") as stream:
        data = stream.read(65536)
    found = encoding or next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(found, errors="replace").removeprefix("\ufeff")
    except LookupError:
        return ""
    return re.split(r"\r\n|\r|\n", text, maxsplit=1)[0]


def read_table(path: Path, options: ReadOptions) -> Table:
    """All rows. InputError that lists every row with another number of cells than the header, or a quote left open."""
    text, encoding = read_text(path, options.encoding)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    told, text = _sep_line(text)
    if not text.strip():
        raise InputError(f"{path} is empty; expected a header and a row for each image")
    delimiter = _named(options.delimiter) or told or _delimiter(path, text)
    rows = _rows(path, text, delimiter)
    header = [name.strip() for name in rows[0]]
    while (
        len(header) > 1 and not header[-1] and all(not cell.strip() for row in rows for cell in row[len(header) - 1 :])
    ):
        header.pop()  # a delimiter at the end of every line
    if any(is_image_name(name) for name in header):
        raise InputError(
            f"{path} has no header: its first line is '{delimiter.join(rows[0])[:SHOWN]}'; add a first line that names the "
            "columns, such as image,labels"
        )
    whole, numbers, empty = [], [], 0
    for number, row in enumerate(rows[1:], start=1):
        if not any(cell.strip() for cell in row):
            empty += bool(row)
            continue
        while len(row) > len(header) and not row[-1].strip():
            row.pop()
        whole.append(row)
        numbers.append(number)
    _check_lengths(path, whole, numbers, header, delimiter)
    cells = tuple(tuple(cell.strip() for cell in column) for column in zip(*whole)) or ((),) * len(header)
    notes = (f"Empty rows that are left out: {empty:,}.",) if empty else ()
    table = Table(path, tuple(header), cells, tuple(numbers), encoding, delimiter, notes)
    _check_quotes(table, whole)
    return table


def _sep_line(text: str) -> tuple[str, str]:
    """The separator that a first line `sep=;` names, as Excel writes it, and the text after that line."""
    line, _, rest = text.partition("\n")
    told = re.fullmatch(r'"?sep=(.)"?', line.strip(" "), re.IGNORECASE)
    return (told[1], rest) if told else ("", text)


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
    try:
        return [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row] or [[""]]
    except csv.Error as error:
        raise InputError(f"{path} has rows that cannot be read: {error}; quote cells that hold quotes") from None


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
    """InputError that lists the cells within which another row seems to begin: behind a quote that is not closed, the rest of
    the table is one cell."""
    broken = [
        f"{table.row(i)}, {table.columns[c]}: {cell[:SHOWN]!r}"
        for i, row in enumerate(rows)
        for c, cell in enumerate(row)
        if "\n" in cell and _ROW_WITHIN.search(cell)
    ]
    if broken:
        raise InputError(
            f"{table.path} has cells that run over several rows: {listed(broken)}; is a quote not closed there?"
        )


def check_one_line(table: Table, columns: Sequence[str]) -> None:
    """InputError that lists the cells of these columns which run over several lines: an image's name or labels do not."""
    broken = [
        f"{table.row(i)}, {name}: {cell[:SHOWN]!r}"
        for name in columns
        for i, cell in enumerate(table.column(name))
        if "\n" in cell
    ]
    if broken:
        raise InputError(
            f"{table.path} has cells that run over several rows: {listed(broken)}; is a quote not closed there?"
        )

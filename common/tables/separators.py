"""What separates the labels of a cell. Where two answers are possible both are told, and the user's flag decides."""

import re
from collections import defaultdict
from collections.abc import Sequence

from common.errors import InputError, listed
from common.tables.label_columns import ONE_NAME
from common.tables.text import NAMES, SHOWN, Table, plain
from common.types import ReadOptions

Signs = tuple[str, ...]  # each separates; " " is any white space; none: a cell is one name
HARD = (";", "|", ",")  # white space separates only where none of these does
OTHERS = (
    *HARD,
    "+",
    "/",
    "&",
    "-",
    "_",
    "、",
    "，",
    "；",
    " and ",
    " ",
)  # between names of other classes they look like one
INTEGER = re.compile(r"-?\d{1,18}(?:\.0*)?")
FREE = 0.5  # of the words of cells with several that are in other cells too: then they are labels of their own
SPACED_TAGS = {"tags", "tag"}  # by convention without spaces of their own, as Flickr's


def split(cell: str, signs: Signs) -> list[str]:
    if not signs:
        return [cell] if cell else []
    pattern = "|".join(r"\s+" if sign == " " else re.escape(sign) for sign in signs)
    return [piece.strip() for piece in re.split(pattern, cell) if piece.strip()]


def shown(signs: Signs) -> str:
    """The signs as the flag takes them."""
    return " ".join("space" if sign == " " else f"'{sign}'" for sign in signs) or "none"


def choose(table: Table, column: str, cells: Sequence[str], options: ReadOptions) -> Signs:
    """The signs that separate labels in these cells, "" being an empty one. InputError where that can be read in two ways."""
    if options.label_separator:
        return _asked(options.label_separator)
    signs = (
        _hard(table, column, cells)
        if any(sign in cell for cell in cells for sign in HARD)
        else _spaces(table, column, cells)
    )
    names = {word for cell in cells for word in split(cell, signs)}
    for other in OTHERS:
        if other not in signs and any(other in name and _are_names(split(name, (other,)), names) for name in names):
            raise _two_ways(table, column, cells, other, [signs, (*signs, other)])
    return signs


def _asked(words: Sequence[str]) -> Signs:
    signs = {name: sign for sign, name in NAMES.items()}
    found = tuple(signs.get(word, word.strip() or " ") if word != "none" else "" for word in words)
    if "" in found and len(found) > 1:
        raise InputError("--label-separator none stands alone: a cell is then one label")
    return tuple(sign for sign in found if sign)


def _are_names(pieces: list[str], names: set[str]) -> bool:
    return len(pieces) > 1 and {*pieces} <= names


def _free(cells: Sequence[str], sign: str) -> float:
    """Of the words of cells with several, the share that is in other cells too, alone or beside other words."""
    cells_of: dict[str, set[str]] = defaultdict(set)
    for cell in {*cells}:
        for word in split(cell, (sign,)):
            cells_of[word].add(cell)
    words = {word for cell in {*cells} for word in split(cell, (sign,)) if len(split(cell, (sign,))) > 1}
    return sum(len(cells_of[word]) > 1 for word in words) / len(words) if words else 0.0


def _hard(table: Table, column: str, cells: Sequence[str]) -> Signs:
    """The sign that every cell with several labels has. InputError where none or several are such, or it may be part of names."""
    there = [sign for sign in HARD if any(sign in cell for cell in cells)]
    several = {cell for cell in cells if any(sign in cell for sign in there)}
    fitting = [sign for sign in there if all(sign in cell for cell in several)]
    if len(fitting) != 1:
        odd = min(there, key=lambda sign: sum(sign in cell for cell in several))
        raise _two_ways(table, column, cells, odd, [*((sign,) for sign in there), tuple(there)])
    (sign,) = fitting
    free, one_name = _free(cells, sign), plain(column) in ONE_NAME
    if one_name and not free:
        return ()
    if (one_name and free < FREE) or (sign == "," and not free and len(several) > 1):
        raise _two_ways(table, column, cells, sign, [(sign,), ()])
    return (sign,)


def _spaces(table: Table, column: str, cells: Sequence[str]) -> Signs:
    """White space where it separates numbers, tags or words that stand alone too. InputError where it may be part of names."""
    spaced = [cell for cell in cells if len(cell.split()) > 1]
    if not spaced:
        return ()
    if all(INTEGER.fullmatch(word) for cell in cells for word in cell.split()):
        return (" ",)
    for sign in OTHERS[:-1]:  # cat and dog, cat & dog
        if any(sign in cell and _are_names(split(cell, (sign,)), {*cells}) for cell in {*spaced}):
            raise _two_ways(table, column, cells, sign, [(sign,), ()])
    if plain(column) in ONE_NAME - SPACED_TAGS:
        return ()
    alone = {cell for cell in cells if len(cell.split()) == 1}
    words = {word for cell in spaced for word in cell.split()}
    if plain(column) in SPACED_TAGS or len(words & alone) >= FREE * len(words):
        return (" ",)
    raise _two_ways(table, column, cells, " ", [(" ",), ()])


def _two_ways(table: Table, column: str, cells: Sequence[str], odd: str, choices: list[Signs]) -> InputError:
    rows = [f"{table.row(i)}: '{cell[:SHOWN]}'" for i, cell in enumerate(cells) if odd in cell]
    readings = []
    for signs in choices:
        names = sorted({word for cell in cells for word in split(cell, signs)})
        some = ", ".join(repr(name[:SHOWN]) for name in names[:4]) + (", ..." if len(names) > 4 else "")
        readings.append(f"--label-separator {shown(signs)} gives {len(names)} classes ({some})")
    return InputError(
        f"{table.path}: the labels in the column '{column}' can be separated in {len(choices)} ways: {'; '.join(readings)}; say "
        f"which. Cells that leave it open: {listed(rows)}"
    )

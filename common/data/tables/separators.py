"""What separates the labels of a cell. Where two answers are possible both are told, and the user's flag decides."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from common.core.errors import InputError, listed
from common.core.settings import ReadOptions
from common.data.tables.label_columns import ONE_NAME
from common.data.tables.text import NAMES, SHOWN, Table, plain

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
THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
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


def is_part(name: str) -> bool:
    """Whether a bracket or quote of a text is missing, so that it looks like a part of a longer one."""
    odd = any(name.count(a) != name.count(b) for a, b in ("()", "[]", "{}"))
    return odd or (len(name) > 1 and name[0] in "'\"" and name[-1] == name[0])


def _seen_apart(cells: Sequence[str], sign: str) -> float:
    """Of the words of cells with several, the share that is also alone in a cell, or both first and not first: the parts of
    names such as "Carcinoma, ductal" recur, but not so."""
    split_cells = [split(cell, (sign,)) for cell in {*cells}]
    several = [words for words in split_cells if len(words) > 1]
    first, later = {words[0] for words in several}, {word for words in several for word in words[1:]}
    alone = {words[0] for words in split_cells if len(words) == 1}
    words = first | later
    return len(words & (alone | (first & later))) / len(words) if words else 0.0


def _are_numbers(cells: Iterable[str]) -> bool:
    """Whether cells with commas are lists of numbers: not 1,000 and not 1,5."""
    lists = [cell for cell in cells if "," in cell]
    return (
        all(INTEGER.fullmatch(word) for cell in lists for word in split(cell, (",",)))
        and any(", " in cell or cell.count(",") > 1 for cell in lists)
        and not all(THOUSANDS.fullmatch(cell) for cell in lists)
    )


def _hard(table: Table, column: str, cells: Sequence[str]) -> Signs:
    """The sign that every cell with several labels has. InputError where none or several are such, or it may be part of names."""
    there = [sign for sign in HARD if any(sign in cell for cell in cells)]
    several = {cell for cell in cells if any(sign in cell for sign in there)}
    fitting = [sign for sign in there if all(sign in cell for cell in several)]
    if len(fitting) != 1:
        odd = min(there, key=lambda sign: sum(sign in cell for cell in several))
        raise _two_ways(table, column, cells, odd, [*((sign,) for sign in there), tuple(there)])
    (sign,) = fitting
    one_name = plain(column) in ONE_NAME
    if sign == ",":
        if one_name and not _free(cells, sign):
            return ()
        clear = (
            any(map(is_part, several)) or _seen_apart(cells, sign) >= FREE or (not one_name and _are_numbers(several))
        )
    else:
        clear = not one_name or _free(cells, sign) >= FREE
    if not clear:
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

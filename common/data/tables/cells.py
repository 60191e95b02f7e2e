"""PURE: what one cell means: missing, present, absent, a list of names."""

import ast
import json
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# What pandas reads as missing, and what programs write for an empty list.
MISSING = set("#n/a|#n/a n/a|#na|-nan|<na>|n/a|na|null|nan|none|nil|[]|()|{}|set()|['']|[\"\"]".split("|")) | {""}
NUMBER = re.compile(r"[+-]?\d{1,18}(?:\.0*)?(?:[eE][+-]?0+)?")
WORDS = {"true": 1, "false": 0, "yes": 1, "no": 0, "wahr": 1, "falsch": 0, "ja": 1, "nein": 0, "vrai": 1, "faux": 0, "oui": 1, "non": 0,
         "verdadero": 1, "falso": 0}  # fmt: skip
LETTERS = ({"t": 1, "f": 0}, {"y": 1, "n": 0})
BLANK = -2  # beside 1, 0 and the cell's own -1


def is_missing(cell: str) -> bool:
    return cell.lower() in MISSING


def coded(cells: Sequence[str], letters: Mapping[str, int] | None = None) -> tuple[int, ...] | None:
    """1, 0, -1 and BLANK for the cells of a 0/1 column in any spelling: 1.000000, True, yes. None where a cell is something
    else, or all are blank. letters: those that count as truth values; without them, where the column has just both."""
    distinct = dict.fromkeys(cells)  # few in such a column, whatever its length
    letters = next((pair for pair in LETTERS if _full(distinct) == pair.keys()), {}) if letters is None else letters
    values: dict[str, int] = {}
    for cell in distinct:
        value = _code(cell, {**WORDS, **letters})
        if value is None:
            return None
        values[cell] = value
    return tuple(values[cell] for cell in cells) if any(v != BLANK for v in values.values()) else None


def _full(cells: Iterable[str]) -> set[str]:
    return {cell.lower() for cell in cells if not is_missing(cell)}


def coded_together(columns: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, ...] | None]:
    """As `coded`, for each column. One with nothing but F (or T, Y, N) is 0/1 where another column has both letters."""
    codes = {name: coded(cells) for name, cells in columns.items()}
    distinct = {name: _full({*cells}) for name, cells in columns.items()}
    for pair in LETTERS:
        if pair.keys() in distinct.values():
            single = [name for name, full in distinct.items() if codes[name] is None and full and full <= pair.keys()]
            codes |= {name: coded(columns[name], pair) for name in single}
    return codes


def is_binary(cells: Sequence[str]) -> bool:
    """Whether a column is 0/1 in some spelling, with unknown values perhaps."""
    return coded(cells) is not None


def _code(cell: str, words: dict[str, int]) -> int | None:
    if is_missing(cell):
        return BLANK
    if (word := cell.lower()) in words:
        return words[word]
    if NUMBER.fullmatch(cell) and abs(number := int(float(cell))) <= 1:
        return number
    return None


WRAPPED = re.compile(
    r"(?:np\.)?(?:array|tensor|frozenset|set|list|tuple|Index)\((.*?)(?:,\s*dtype=[^)]*)?\)", re.DOTALL
)


def unwrapped(cell: str) -> str:
    """array(['a'], dtype=object) and tensor([1., 0.]) without what stands around the list."""
    found = WRAPPED.fullmatch(cell)
    return found[1] if found else cell


def is_list(cell: str) -> bool:
    return cell.startswith(("[", "(", "{")) and cell.endswith(("]", ")", "}"))


def parse_list(cell: str) -> list[Any] | None:
    """The items of a list as Python, JSON or NumPy write it; None where it is none of names, numbers or truth values."""
    if found := _numpy_list(cell[1:-1].strip()):
        return found  # before Python's reader, to which two texts without a comma between them are one
    for read in (json.loads, ast.literal_eval):
        try:
            with warnings.catch_warnings(action="ignore"):  # Python's reader warns of odd escapes
                found = read(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(found, list | tuple | set) and all(isinstance(item, str | int | float) for item in found):
            return sorted(found, key=str) if isinstance(found, set) else list(found)
        return None
    return None


def _numpy_list(inside: str) -> list[Any] | None:
    """['a' 'b'] and [0. 1. 1.], which NumPy prints without commas."""
    words = inside.split()
    if len(words) > 1 and all(re.fullmatch(r"[+-]?\d{1,18}\.?\d*", word) for word in words):
        return [float(word) for word in words]
    pieces = re.findall(r"'([^']*)'|\"([^\"]*)\"", inside)
    if len(pieces) > 1 and re.fullmatch(r"(?:(?:'[^']*'|\"[^\"]*\")\s*)+", inside):
        return [a or b for a, b in pieces]
    return None

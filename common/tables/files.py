"""Which files of a folder are the tables of training, validation and test data."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common.folders import ROLES, role_of

MOST_SHOWN = 6


@dataclass(frozen=True)
class Tables:
    """The table to read, and what the author put aside."""

    train: Path
    validation: Path | None = None
    test: Path | None = None


def tables_of(path: Path, fits: Callable[[Path], bool]) -> Tables | None:
    """The tables at `path`: the file itself, those of a folder, or those of its folders train, valid, test. None where
    there is none, or where several could be the one of training data."""
    if path.is_file():
        return _with_others(path, _tables(path.parent, fits)) if fits(path) else None
    here = _tables(path, fits)
    if here:
        main = _main(here)
        return _with_others(main, here) if main else None
    parts: dict[str, Path] = {}
    for folder in sorted(path.iterdir()) if path.is_dir() else ():
        role = role_of(folder.name)
        found = _tables(folder, fits) if role and folder.is_dir() else []
        if len(found) == 1:
            parts.setdefault(role, found[0])
    main = parts.get("train") or (next(iter(parts.values())) if len(parts) == 1 else None)
    return Tables(main, parts.get("val") if parts.get("val") != main else None,
                  parts.get("test") if parts.get("test") != main else None) if main else None  # fmt: skip


def several(path: Path, fits: Callable[[Path], bool]) -> list[str]:
    """The tables at or below `path`, as a message lists them, from that folder."""
    if not path.is_dir():
        return []
    found = _tables(path, fits) or [t for f in sorted(path.iterdir()) if f.is_dir() for t in _tables(f, fits)]
    return [file.relative_to(path).as_posix() for file in found]


def _tables(folder: Path, fits: Callable[[Path], bool]) -> list[Path]:
    """Not what begins with a dot: a Mac's zip adds ._labels.csv to labels.csv."""
    return [f for f in sorted(folder.glob("*")) if f.is_file() and not f.name.startswith(".") and fits(f)]


def _main(found: list[Path]) -> Path | None:
    for names in (
        [f for f in found if f.stem.lower() == "train"],
        [f for f in found if role_of(f.stem) == "train"],
        [f for f in found if not role_of(f.stem)],
        found,
    ):
        if names:
            return names[0] if len(names) == 1 else None
    return None


def _with_others(main: Path, found: list[Path]) -> Tables:
    def other(role: str) -> Path | None:
        fitting = [f for f in found if f != main and role_of(f.stem) == role and _rest(f) in ("", _rest(main))]
        return fitting[0] if fitting and role_of(main.stem) in ("", "train") else None

    return Tables(main, other("val"), other("test"))


def _rest(file: Path) -> str:
    """A file's name without the word for its role: of train2017 and val2017 the same."""
    return re.sub(rf"({'|'.join(sorted(ROLES, key=len, reverse=True))})(?![a-z])", "", file.stem.lower())

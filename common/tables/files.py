"""Which files of a folder are the tables of training, validation and test data."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common.folders import ROLES, role_of

CONVENTIONAL = ("metadata", "_classes")  # Hugging Face's and Roboflow's table of a folder


@dataclass(frozen=True)
class Tables:
    """The table to read, and what the author put aside."""

    train: Path
    validation: Path | None = None
    test: Path | None = None
    others: tuple[Path, ...] = ()  # beside it, and not used


def tables_of(path: Path, fits: Callable[[Path], bool]) -> Tables | None:
    """The tables at `path`: the file itself, those of a folder, or those of its folders train, valid, test. None where
    there is none, or where several could be the one of training data."""
    if path.is_file():
        return _with_others(path, _tables(path.parent, fits)) if fits(path) else None
    here = [f for f in _tables(path, fits) if "submission" not in f.stem.lower()]
    parts: dict[str, Path] = {}
    folders = [f for f in sorted(path.iterdir()) if f.is_dir()] if path.is_dir() else []
    for folder in folders:
        if (role := role_of(folder.name)) and len(found := _tables(folder, fits)) == 1:
            parts.setdefault(role, found[0])
    if "train" in parts and "val" not in parts:  # in a folder such as Evaluation_Set
        for folder in folders:
            if not role_of(folder.name) and [role_of(t.stem) for t in _tables(folder, fits)] == ["val"]:
                parts.setdefault("val", _tables(folder, fits)[0])
    below = parts.get("train")
    if here:
        main = _main(here)
        if not below or (main and role_of(main.stem) == "train"):
            return _with_others(main, here) if main else None
        if below.stem.lower() not in CONVENTIONAL:
            return None  # a table here and one in train/: either may be the one
    main = below or (next(iter(parts.values())) if len(parts) == 1 else None)
    if not main:
        return None
    validation, test = (part if (part := parts.get(role)) != main else None for role in ("val", "test"))
    return Tables(main, validation, test, tuple(_tables(path, fits)))


def several(path: Path, fits: Callable[[Path], bool]) -> list[str]:
    """The tables at or below `path`, as a message lists them, from that folder: the likely ones first."""
    if not path.is_dir():
        return []
    found = _tables(path, fits) + [t for f in sorted(path.iterdir()) if f.is_dir() for t in _tables(f, fits)]
    return [file.relative_to(path).as_posix() for file in sorted(found, key=likely)]


def likely(file: Path) -> int:
    """How far a file's name is from that of a table of training data: a message that lists several names the nearest."""
    words = f"{file.parent.name if role_of(file.parent.name) else ''}/{file.stem}".lower()
    if re.search(r"submission|classes\b|categor|bbox|partition|readme|requirements", words) or role_of(words) == "test":
        return 3
    return 0 if role_of(words) == "train" else 1 if re.search(r"label|annot|attr|metadata", words) else 2


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

    validation, test = other("val"), other("test")
    return Tables(main, validation, test, tuple(f for f in found if f not in (main, validation, test)))


def _rest(file: Path) -> str:
    """A file's name without the word for its role: of train2017 and val2017 the same."""
    return re.sub(rf"({'|'.join(sorted(ROLES, key=len, reverse=True))})(?![a-z])", "", file.stem.lower())

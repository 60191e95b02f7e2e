"""Which files of a folder are the tables of training, validation and test data."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from common.core.errors import InputError, listed
from common.core.settings import NO_OPTIONS, ReadOptions
from common.data.folders import PARTS, ROLES, role_of

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
    there is none, or where several could be the one of training data. InputError where several folders have one of the
    same part."""
    if path.is_file():
        return _with_others(path, _tables(path.parent, fits), named=True) if fits(path) else None
    here = [f for f in _tables(path, fits) if "submission" not in f.stem.lower()]
    parts = _parts(path, fits)
    below = parts.get("train", [])
    if here:
        main = _main(here)
        if not below or (main and role_of(main.stem) == "train"):
            return _with_others(main, here) if main else None
        if any(file.stem.lower() not in CONVENTIONAL for file in below):
            return None  # a table here and one in train/: either may be the one
    if not below and len(parts) != 1:
        return None
    for role, found in parts.items():
        if len(found) > 1:
            raise several_fit(role, found, path, below[0] if below else None)
    (main,) = below or next(iter(parts.values()))
    validation, test = (
        tables[0] if (tables := parts.get(role)) and tables[0] != main else None for role in ("val", "test")
    )
    return Tables(main, validation, test, tuple(_tables(path, fits)))


def _parts(path: Path, fits: Callable[[Path], bool]) -> dict[str, list[Path]]:
    """Part of the data -> the tables of the folders that are named for it, where these have a single one."""
    parts: dict[str, list[Path]] = {}
    folders = [f for f in sorted(path.iterdir()) if f.is_dir()] if path.is_dir() else []
    for folder in folders:
        if (role := role_of(folder.name)) and len(found := _tables(folder, fits)) == 1:
            parts.setdefault(role, []).append(found[0])
    if "train" in parts and "val" not in parts:  # in a folder such as Evaluation_Set
        for folder in folders:
            if not role_of(folder.name) and [role_of(t.stem) for t in _tables(folder, fits)] == ["val"]:
                parts.setdefault("val", []).append(_tables(folder, fits)[0])
    return parts


def several_fit(role: str, found: list[Path], path: Path, train: Path | None = None) -> InputError:
    """The refusal where several tables of a folder could be the one of a part of the data. train: the table of training data,
    where that is known."""
    shown = [file.relative_to(path).as_posix() if file.is_relative_to(path) else str(file) for file in found]
    names = listed([f"'{name}'" for name in shown])
    if role == "train" or train is None:
        way = f"name the one to train on, e.g. --data '{found[0]}'"
    else:
        way = f"move all but one out of the folder, or name the training table, which leaves them all out: --data '{train}'"
    return InputError(
        f"'{path}' has several tables of {PARTS[role]} data: {names}; {way}; for data in another format take --format NAME"
    )


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


def only_one(role: str, fitting: list[Path], train: Path, named: bool) -> Path | None:
    """The single table of another part of the data beside the training table. None where there is none, or where there are
    several and the user named the training table (named); InputError where there are several and the user did not."""
    if len(fitting) > 1 and not named:
        raise several_fit(role, fitting, train.parent, train)
    return fitting[0] if len(fitting) == 1 else None


def given_flags(options: ReadOptions, names: Iterable[str]) -> list[str]:
    """The flags of those options among `names` that are not at their defaults."""
    return [f"--{name.replace('_', '-')}" for name in names if getattr(options, name) != getattr(NO_OPTIONS, name)]


def check_unused(form: str, options: ReadOptions, *names: str, why: str = "") -> None:
    """InputError for a flag that the format does not follow: it would change nothing, and nobody would see that."""
    flags = given_flags(options, names)
    if flags:
        raise InputError(f"the format {form} does not follow {listed(flags)}{why}; leave it out")


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


def _with_others(main: Path, found: list[Path], named: bool = False) -> Tables:
    """named: the user named the table; then none of several that fit another part is taken."""

    def other(role: str) -> Path | None:
        if role_of(main.stem) not in ("", "train"):
            return None
        fitting = [f for f in found if f != main and role_of(f.stem) == role and _rest(f) in ("", _rest(main))]
        left = [f for f in fitting if _rest(f) == _rest(main)] or fitting
        return only_one(role, left, main, named)

    validation, test = other("val"), other("test")
    return Tables(main, validation, test, tuple(f for f in found if f not in (main, validation, test)))


def _rest(file: Path) -> str:
    """A file's name without the word for its role: of train2017 and val2017 the same."""
    return re.sub(rf"({'|'.join(sorted(ROLES, key=len, reverse=True))})(?![a-z])", "", file.stem.lower())

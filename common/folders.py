"""PURE: which of several folders is meant that have the images of a table under the same names."""

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache

from common.errors import InputError, listed

ROLES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val"}
ROLES |= {"test": "test", "testing": "test"}


def role_of(name: str) -> str:
    """train, val or test where a file's or folder's name names exactly one of them, as in train2017 or image_info_test."""
    found = roles_of(name)
    return next(iter(found)) if len(found) == 1 else ""


def roles_of(path: str) -> set[str]:
    """The parts of the data that the innermost folder names that names any, as test in train_data/test/images."""
    for part in reversed(path.split("/")):
        found = {ROLES[word] for word in re.findall(r"[a-z]+", part.lower()) if word in ROLES}
        if found:
            return found
    return set()


def choose(bases: Sequence[tuple[str, ...]], role: str, table: str, shown: Callable[[str], str]) -> list[str | None]:
    """The folder of every row. Of several that have the name: the one named for the table's role (train, val, test), else
    the one that has all that another has and more, unless that decides half of the rows. InputError where that leaves
    several, or only another role's."""
    rows_of: dict[str, set[int]] = {}
    for i, having in enumerate(bases):
        for base in having:
            rows_of.setdefault(base, set()).add(i)
    rank = {base: _rank(base, role) for base in rows_of}

    @cache
    def largest(fitting: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(b for b in fitting if not any(rows_of[b] < rows_of[other] for other in fitting))

    chosen: list[str | None] = []
    torn: Counter[tuple[str, ...]] = Counter()
    by_size: Counter[tuple[str, ...]] = Counter()
    against: Counter[str] = Counter()
    for having in bases:
        if not having:
            chosen.append(None)
            continue
        best = min(rank[base] for base in having)
        fitting = tuple(sorted(base for base in having if rank[base] == best))
        left = largest(fitting)
        if len(left) > 1:
            torn[left] += 1
        elif len(fitting) > 1:
            by_size[fitting] += 1
        if best == 2:
            against[left[0]] += 1
        chosen.append(left[0])
    if by_size.total() * 2 >= len(bases):
        torn += by_size
    if torn:
        items = [f"{n} in {' and in '.join(map(shown, folders))}" for folders, n in torn.items()]
        choices = " or ".join(f"--images {shown(folder)}" for folder in _choices(list(torn)))
        raise InputError(
            f"images of {table} lie in several folders under the same names: {listed(items)}; name the folder that is "
            f"meant: {choices}"
        )
    if against:
        items = [f"{n} in {shown(base)}" for base, n in against.items()]
        folder = posixpath.commonpath(against) or next(iter(against))
        raise InputError(
            f"images of {table} were found only in a folder of another part of the data: {listed(items)}; if they are the "
            f"right ones, name it: --images {shown(folder)}"
        )
    return chosen


def _choices(torn: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The folders to name: a and b where images lie in a/0 and b/0, in a/1 and b/1."""
    if len({len(folders) for folders in torn}) == 1:
        above = tuple(posixpath.commonpath(folders) for folders in zip(*torn))
        if all(above) and len({*above}) == len(above):
            return above
    return torn[0]


def _rank(base: str, role: str) -> int:
    """0: named for the role, 1: for none, 2: for another."""
    roles = roles_of(base)
    return 1 if not role or not roles else 0 if role in roles else 2

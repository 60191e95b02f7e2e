"""PURE: which of several folders is meant that have the images of a table under the same names."""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from common.errors import InputError, listed

ROLES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val"}
ROLES |= {"test": "test", "testing": "test"}


def role_of(name: str) -> str:
    """train, val or test where a file's or folder's name names exactly one of them, as in train2017 or image_info_test."""
    found = _roles(name)
    return next(iter(found)) if len(found) == 1 else ""


def _roles(path: str) -> set[str]:
    words = re.findall(r"[a-z]+", path.lower())
    return {ROLES[word] for word in words if word in ROLES}


def choose(bases: Sequence[tuple[str, ...]], role: str, table: str, shown: Callable[[str], str]) -> list[str | None]:
    """The folder of every row. Of several that have the name: the one named for the table's role (train, val, test), else
    the one that has all that another has and more. InputError where that leaves several, or only another role's."""
    rows_of: dict[str, set[int]] = {}
    for i, having in enumerate(bases):
        for base in having:
            rows_of.setdefault(base, set()).add(i)
    chosen: list[str | None] = []
    torn: Counter[tuple[str, ...]] = Counter()
    against: Counter[str] = Counter()
    for having in bases:
        if not having:
            chosen.append(None)
            continue
        best = min(_rank(base, role) for base in having)
        fitting = [base for base in having if _rank(base, role) == best]
        if len(fitting) > 1:
            fitting = [b for b in fitting if not any(rows_of[b] < rows_of[other] for other in fitting)]
        if len(fitting) > 1:
            torn[tuple(sorted(fitting))] += 1
        if best == 2 and "test" in {role, *_roles(fitting[0])}:
            against[fitting[0]] += 1
        chosen.append(fitting[0])
    if torn:
        items = [f"{n} in {' and in '.join(map(shown, bases))}" for bases, n in torn.items()]
        example = shown(next(iter(torn))[0])
        raise InputError(
            f"images of {table} lie in several folders under the same names: {listed(items)}; name the folder that is "
            f"meant, e.g. --images {example}"
        )
    if against:
        items = [f"{n} in {shown(base)}" for base, n in against.items()]
        raise InputError(
            f"images of {table} were found only in a folder of another part of the data: {listed(items)}; if they are the "
            f"right ones, name it: --images {shown(next(iter(against)))}"
        )
    return chosen


def _rank(base: str, role: str) -> int:
    """0: named for the role, 1: for none, 2: for another."""
    roles = _roles(base)
    return 1 if not role or not roles else 0 if role in roles else 2

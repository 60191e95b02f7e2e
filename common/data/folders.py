"""PURE: the folder that is meant, where several folders have images of the same names."""

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Sequence

from common.core.errors import InputError, listed

ROLES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val"}
ROLES |= {"test": "test", "testing": "test"}
PARTS = {"train": "training", "val": "validation", "test": "test"}  # the roles, as a message names them


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


def choose(
    bases: Sequence[tuple[str, ...]], role: str, table: str, shown: Callable[[str], str], flag: Callable[[str], str]
) -> list[str | None]:
    """The folder of every row. Of several that have the name: the one named for the table's role (train, val, test), else
    the one that has all that another has and more, unless that decides half of the rows. InputError where that leaves
    several, or only another role's. shown and flag: a folder, and the flag that names it, as the user writes them."""
    rows_of: dict[str, set[int]] = {}
    for i, having in enumerate(bases):
        for base in having:
            rows_of.setdefault(base, set()).add(i)
    of_role = {having: _of_role(having, role) for having in {*bases}}
    largest = {
        folders: tuple(b for b in folders if not any(rows_of[b] < rows_of[other] for other in folders))
        for folders in {*of_role.values()}
    }
    fitting = [of_role[having] for having in bases]
    left = [largest[folders] for folders in fitting]
    _check_one_left(fitting, left, table, shown, flag)
    chosen = [folders[0] if folders else None for folders in left]
    _check_role(chosen, role, table, shown, flag)
    return chosen


def _of_role(having: tuple[str, ...], role: str) -> tuple[str, ...]:
    """Of the folders that have a row's image those that are nearest to the role."""
    ranks = {base: _rank(base, role) for base in having}
    return tuple(sorted(base for base in having if ranks[base] == min(ranks.values())))


def _check_one_left(
    fitting: Sequence[tuple[str, ...]], left: Sequence[tuple[str, ...]], table: str, shown: Callable[[str], str],
    flag: Callable[[str], str],
) -> None:  # fmt: skip
    """InputError where several folders are left for a row, or where the larger one was taken for half of the rows."""
    torn = Counter(folders for folders in left if len(folders) > 1)
    by_size = Counter(folders for folders, one in zip(fitting, left) if len(folders) > 1 and len(one) == 1)
    if by_size.total() * 2 >= len(fitting):
        torn += by_size
    if torn:
        items = [f"{n} in {' and in '.join(map(shown, folders))}" for folders, n in torn.items()]
        raise InputError(
            f"images of {table} lie in several folders under the same names: {listed(items)}; name the folder that is "
            f"meant: {' or '.join(map(flag, _choices(list(torn))))}"
        )


def _check_role(
    chosen: Sequence[str | None], role: str, table: str, shown: Callable[[str], str], flag: Callable[[str], str]
) -> None:
    """InputError where images are only in folders that are named for another role."""
    rows = Counter(base for base in chosen if base is not None)
    against = {base: n for base, n in rows.items() if _rank(base, role) == 2}
    if not against:
        return
    items = [f"{n} in {shown(base)}" for base, n in against.items()]
    above = posixpath.commonpath(against)
    helps = above and all(_rank(posixpath.relpath(base, above), role) < 2 for base in against)
    way_out = f"name it: {flag(above)}" if helps else (
        "one folder must hold all images: put them into one, and name it with --images FOLDER; or write the paths from the "
        f"data folder on into the table, such as {posixpath.join(shown(min(against)), 'NAME')}"
    )  # fmt: skip
    raise InputError(
        f"images of {table} were found only in a folder of another part of the data: {listed(items)}; if they are the "
        f"right ones, {way_out}"
    )


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

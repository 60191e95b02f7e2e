"""Where the images lie that a table names: the folder, the file, and how the name had to be read."""

import ntpath
import os
import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from common.core.errors import MOST_LISTED, InputError, listed
from common.data.folders import choose, roles_of
from common.data.near_misses import NOT_THERE, NearMisses
from common.data.places import (
    ACCENTS,
    AS_WRITTEN,
    CASE,
    ENDING,
    SUFFIXES,
    Match,
    Tree,
    is_below,
    is_elsewhere,
    is_image_name,
    key,
    parts_of,
    real,
    why_closed,
)

SLASHES, PREFIX, ESCAPED, ELSEWHERE = "slashes", "prefix", "escaped", "elsewhere"
READ_AS = {
    SLASHES: "have Windows' backslashes, read as slashes",
    CASE: "differ from the file's name in upper and lower case",
    ENDING: "have no ending, which was found on the disk",
    PREFIX: "begin with the name of the data folder itself",
    ESCAPED: "are written as in a web address (%20 for a space)",
    ACCENTS: "have accents in another Unicode form than the file's name",
    ELSEWHERE: "are paths of another place; their files were found by the ends of these paths, each of which is there once",
}


@dataclass(frozen=True)
class Located:
    """Row i of ids and paths is name i."""

    ids: np.ndarray  # str [n]: from the image folder, as on the disk where the file was found
    paths: np.ndarray  # str [n], absolute
    folders: tuple[str, ...]  # from the data folder
    missing: dict[str, str]  # path -> why it is not there
    notes: tuple[str, ...]
    looked_in: str = ""  # where, in words; "" where nothing is missing
    from_chosen: bool = (
        False  # whether any is looked for in the folder that the user names, or in the only one there is
    )


class Images:
    """The files below one folder. Its tree is walked once, and only where a name is not a path from the folder itself."""

    def __init__(self, root: Path, chosen: str = ""):
        """chosen: the folder that the user names, seen from `root` or from here. InputError where it is none."""
        self.data = Path(root).resolve()
        self.root = _chosen(self.data, chosen).resolve() if chosen else self.data
        self._flag = chosen
        self._own = self.data.name + "/"
        self._whole = (
            Images(root) if self.root != self.data else None
        )  # for tables that the chosen folder is not meant for
        self._tree = Tree(self.root)
        self._known: dict[str, tuple[Match, ...]] = {}

    def find(self, name: str) -> tuple[Match, ...]:
        """The files that a table's name may mean, in any folder below the root. ValueError where it points out of the root."""
        if name not in self._known:
            self._known[name] = self._find(name)
        return self._known[name]

    def holds(self, name: str) -> bool:
        return bool(self.files(name)) or (self._whole is not None and self._whole.holds(name))

    def files(self, name: str) -> frozenset[str]:
        """The paths of the files that the name may mean."""
        try:
            return frozenset(match.path for match in self.find(name))
        except ValueError:
            return frozenset()

    def _find(self, name: str) -> tuple[Match, ...]:
        relative = self._relative(name)
        if os.path.isfile(f"{self.root}/{relative}"):
            return (Match("", relative, AS_WRITTEN),)
        if self._whole is not None:  # a path from the data folder into the one that the user names
            inside = os.path.relpath(f"{self.data}/{relative}", self.root)
            if not inside.startswith("..") and os.path.isfile(f"{self.root}/{inside}"):
                return (Match("", inside, AS_WRITTEN),)
        slashed = posixpath.normpath(relative.replace("\\", "/"))
        tries = [(relative, AS_WRITTEN)] + ([(slashed, SLASHES)] if slashed != relative else [])
        tries += [(slashed[len(self._own) :], PREFIX)] if slashed.startswith(self._own) else []
        tries += [(unquote(slashed), ESCAPED)] if "%" in slashed else []
        for text, how in tries:
            if matches := self._tree.matches(text, how):
                return matches
        return ()

    def _relative(self, name: str) -> str:
        """The normalised path from the root; ValueError where it leads out of it."""
        if "\0" in name or not name:
            raise ValueError(name)
        if os.path.isabs(name):
            for parent in (self.root, self.data):
                if is_below(os.path.normpath(name), str(parent)):
                    return os.path.relpath(name, self.root)
            folder = real(os.path.dirname(name))
            if is_below(folder, str(self.root)):
                return os.path.join(os.path.relpath(folder, self.root), os.path.basename(name))
            raise ValueError(name)
        if ntpath.splitdrive(name)[0] or "://" in name:
            raise ValueError(name)
        relative = posixpath.normpath(name)
        if ".." in name and posixpath.normpath(name.replace("\\", "/")).split("/")[0] == "..":
            outside = os.path.normpath(self.data / relative)
            if self.root == self.data or not is_below(outside, str(self.root)):
                raise ValueError(name)
            return os.path.relpath(outside, self.root)  # the user named a folder that holds it
        return relative

    def locate(self, names: Sequence[str], role: str = "", table: str = "the table") -> Located:
        """Every name's file. InputError where a name leads out of the folder, or several folders have the names and none is
        the one that the table means (docs/data.md has the rule)."""
        if self._whole and not self._is_meant(names, role):
            located = self._whole.locate(names, role, table)
            note = f"--images {self._flag} is not used for {table}: its images are in {listed(list(located.folders))}."
            return replace(located, notes=(note, *located.notes), from_chosen=False)
        found, outside = self._found_of(names)
        if outside:
            raise InputError(self._outside(outside, table))
        matches = self._chosen_of(names, found, role, table)
        main = Counter(match.base for match in matches if match).most_common(1)
        likely = main[0][0] if main else self._likely()
        ending = _ending_of(matches)
        near = None
        ids, paths, missing, there = [], [], {}, set()
        for name, match in zip(names, matches):
            relative = match.name if match else self._lost(name, ending)
            base = match.base if match else "" if is_elsewhere(name) else likely
            path = os.path.join(self.root, base, relative)
            ids.append(relative)
            paths.append(path)
            if match and os.path.exists(path):
                there.add(os.path.dirname(path))
            elif match:
                missing[path] = why_closed(path)
            elif len(missing) < MOST_LISTED:
                near = near or NearMisses(self._tree.files, SUFFIXES)
                missing[path] = near.reason(relative)
            else:
                missing[path] = NOT_THERE
        folders = tuple(sorted(self._shown(folder) for folder in there))
        notes = tuple(self._notes(names, found, matches))
        where = self.where() if missing else ""
        return Located(np.array(ids, str), np.array(paths, str), folders, missing, notes, where, bool(names))

    def _chosen_of(
        self, names: Sequence[str], found: Sequence[tuple[Match, ...]], role: str, table: str
    ) -> list[Match | None]:
        """Every name's file in the folder that is meant. InputError where several in that folder are as near."""
        bases = [tuple(dict.fromkeys(match.base for match in files)) for files in found]
        chosen = choose(bases, role, table, self._shown, self._flag_of)
        matches: list[Match | None] = []
        for name, files, base in zip(names, found, chosen):
            near = [match for match in files if match.base == base]
            if len(near) > 1:
                what = (
                    "has no ending, and there are files with several"
                    if near[0].how == ENDING
                    else "has several files that come near"
                )
                paths = listed(sorted(match.path for match in near))
                raise InputError(f"'{name}' {what}: {paths}; write one of these names into the table")
            matches.append(near[0] if near else None)
        return matches

    def _lost(self, name: str, ending: str) -> str:
        """The path that is named for an image that is not there. ending: that of the others, where the table leaves it out."""
        try:
            relative = self._relative(name)
        except ValueError:
            relative = "/".join(parts_of(name))
        return relative if is_image_name(relative) else relative + ending

    def _is_meant(self, names: Sequence[str], role: str) -> bool:
        """Whether the folder that the user names is that of this table, and not of another one of the data set: it has some of
        its images, and there is no other folder that is named for the table's part of the data and has as many."""
        assert self._whole is not None
        here = sum(1 for name in names if self.files(name))
        if not here:
            return not any(map(self._whole.holds, names))
        own = roles_of(os.path.relpath(self.root, self.data))
        if role in own or (role in ("", "train") and not own):
            return True
        there: Counter[str] = Counter()
        for name in names:
            folders = {posixpath.dirname(path) for path in self._whole.files(name)}
            there.update(f for f in folders if role in roles_of(f) and not is_below(f"{self.data}/{f}", str(self.root)))
        return there.total() < here

    def _found_of(self, names: Sequence[str]) -> tuple[list[tuple[Match, ...]], list[str]]:
        """What the names may be on the disk, and those that lead out of the folder."""
        found: list[tuple[Match, ...]] = []
        outside = []
        for name in names:
            try:
                found.append(self.find(name))
            except ValueError:
                found.append(())
                outside.append(name)
        by_end = self._by_ends(names, found)
        if by_end:
            found = [files or ((by_end[name],) if name in by_end else ()) for name, files in zip(names, found)]
            outside = []
        return self._with_others(names, found), outside

    def _with_others(self, names: Sequence[str], found: list[tuple[Match, ...]]) -> list[tuple[Match, ...]]:
        """Files that lie in the root itself are those that are meant where all are there. Where only some are, and the user
        does not name the root, another folder may be meant: its files are added."""
        in_root = [bool(files) and files[0].base == "" and files[0].how == AS_WRITTEN for files in found]
        if self._flag or all(in_root):
            return found
        return [
            (self._tree.matches(name) or files) if direct and "/" not in name else files
            for name, files, direct in zip(names, found, in_root)
        ]

    def _by_ends(self, names: Sequence[str], found: Sequence[tuple[Match, ...]]) -> dict[str, Match]:
        """The files of paths of another place: those that end as these paths do. Nothing where this finds few of them, or may
        find wrong ones: several for a name, one for several names, one in the folder of another part of the data."""
        lost = [name for name in dict.fromkeys(n for n, files in zip(names, found) if not files)]
        if any(not name or "://" in name or "\0" in name for name in lost):
            return {}
        taken = {match.path for files in found for match in files}
        folders = {part.lower() for name in names for part in parts_of(name)[:-1]} if lost else set()
        # Where the folders differ from row to row, the last part alone does not say which file is meant.
        one_place = len({posixpath.dirname(name.replace("\\", "/")) for name in lost if is_elsewhere(name)}) == 1
        by_end: dict[str, Match] = {}
        tried = 0
        for name in lost:
            parts = parts_of(name)
            tried += is_elsewhere(name) or len(parts) > 1
            there, end = self._tree.longest_end(parts, 1 if one_place and is_elsewhere(name) else 2)
            if not there:
                continue
            path = there[0].split("/")
            asked, has = roles_of("/".join(parts[:-1])), roles_of("/".join(path[:-1]))
            if len(there) > 1 or there[0] in taken or (asked and has and not asked & has):
                return {}
            above = "/".join(path[-end - 1 : -end]).lower()
            if above in folders and above not in map(str.lower, parts):
                continue  # it lies in a folder of which the table has other images
            taken.add(there[0])
            by_end[name] = Match("/".join(path[:-end]), "/".join(path[-end:]), ELSEWHERE)
        return by_end if len(by_end) * 2 > tried else {}

    def _shown(self, base: str) -> str:
        """A folder as the user sees it: from the data folder, `.` being that itself."""
        shown = os.path.relpath(self.root / base, self.data)
        return str(self.root / base) if shown.startswith("..") else shown

    def _flag_of(self, base: str) -> str:
        shown = self._shown(base)
        return f"--images '{self.root}'" if shown == "." else f"--images {shown}"

    def _likely(self) -> str:
        return next((name for name in ("data", "images") if (self.root / name).is_dir()), "")

    def _notes(
        self, names: Sequence[str], found: Sequence[tuple[Match, ...]], matches: Sequence[Match | None]
    ) -> Iterator[str]:
        for how, words in READ_AS.items():
            rows = [(name, match) for name, match in zip(names, matches) if match and match.how == how]
            if rows:
                name, match = rows[0]
                yield f"{len(rows):,} image names {words}, e.g. {name} -> {self._shown(match.path)}."
        bases = ({match.base for match in files} - {own.base} for files, own in zip(found, matches) if own)
        for base, n in sorted(Counter(base for others in bases for base in others).items()):
            yield f"The folder {self._shown(base)} also has files of {n:,} of these names; they are not used."

    def _outside(self, names: list[str], table: str) -> str:
        quoted = listed([f"'{name}'" for name in names])
        text = f"{len(names)} of the images of {table} lie outside {self.root}: {quoted}; "
        if any("://" in name for name in names):
            return text + "they are web addresses: download the images, or take another column: --image-column NAME"
        tail = posixpath.basename(names[0].replace("\\", "/"))
        there = self._tree.files.get(key(tail))
        if there:
            one_folder = len({posixpath.dirname(name.replace("\\", "/")) for name in names}) == 1
            return text + (
                f"a file {tail} lies in {self._shown(posixpath.dirname(there[0]))}: write the paths from the data folder on"
                + (", or the file names alone" if one_folder else "")
            )
        beside = self.data / names[0]
        if not os.path.isabs(names[0]) and os.path.isfile(beside):
            return (
                text
                + f"if these files are the right ones, name their folder: --images '{os.path.normpath(beside.parent)}'"
            )
        return text + (
            "a table may only name images below its own folder, or below --images FOLDER: correct these rows, take them "
            "out, or name the folder that holds them"
        )

    def where(self) -> str:
        """Where images were looked for, in words."""
        folders = {posixpath.dirname(p) for found in self._tree.files.values() for p in found} - {""}
        shown = ", ".join(sorted(folders)[:5]) + (", ..." if len(folders) > 5 else "")
        return f"{self.root}" + (f" and the folders below it ({shown})" if folders else "")


def _ending_of(matches: Sequence[Match | None]) -> str:
    """The most common ending of the files whose names have none in the table."""
    endings = Counter(posixpath.splitext(match.name)[1] for match in matches if match and match.how == ENDING)
    return endings.most_common(1)[0][0] if endings else ""


def _chosen(data: Path, folder: str) -> Path:
    found = {path.resolve(): None for path in (data / folder, Path(folder)) if path.is_dir()}
    if len(found) > 1:
        raise InputError(
            f"--images {folder}: there are two such folders, from the data folder and from here; name one by its whole path: "
            + " or ".join(f"--images '{path}'" for path in found)
        )
    if found:
        return next(iter(found))
    if any(path.is_file() for path in (data / folder, Path(folder))):
        raise InputError(
            f"--images {folder}: this is a file, and a folder is wanted: name the folder that holds the images; the table is "
            "given with --data"
        )
    there = sorted(p.name for p in data.iterdir() if p.is_dir()) if data.is_dir() else []
    raise InputError(
        f"--images {folder}: no such folder, neither here nor in {data}; there are: {listed(there) or 'none'}"
    )

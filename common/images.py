"""Where the images lie that a table names: the folder, the file, and how the name had to be read."""

import ntpath
import os
import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from unicodedata import normalize
from urllib.parse import unquote

import numpy as np

from common.errors import MOST_LISTED, InputError, listed
from common.folders import choose, roles_of
from common.near_misses import NOT_THERE, NearMisses
from common.places import ends, is_below, key, real, walk, why_closed

# Endings that are looked for where a table leaves them out; every one is also found in upper case.
SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".avif", ".jp2")
AS_WRITTEN, SLASHES, CASE, ENDING, PREFIX = "as written", "slashes", "case", "ending", "prefix"
ESCAPED, ACCENTS, ELSEWHERE = "escaped", "accents", "elsewhere"
READ_AS = {
    SLASHES: "have Windows' backslashes, read as slashes",
    CASE: "differ from the file's name in upper and lower case",
    ENDING: "have no ending, which was found on the disk",
    PREFIX: "begin with the name of the data folder itself",
    ESCAPED: "are written as in a web address (%20 for a space)",
    ACCENTS: "have accents in another Unicode form than the file's name",
    ELSEWHERE: "are paths of another place; their files were found by the ends of these paths, each of which is there once",
}
AMBIGUOUS = frozenset({"?"})


def is_image_name(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


@dataclass(frozen=True)
class Found:
    """A name of a table on the disk: the file's path below each folder that has it, and how the name had to be read."""

    bases: tuple[str, ...]  # folders, from the root; "" is the root itself
    name: str  # from any of them, as on the disk
    how: str


@dataclass(frozen=True)
class Located:
    """Row i of ids and paths is name i."""

    ids: np.ndarray  # str [n]: from the image folder, as on the disk where the file was found
    paths: np.ndarray  # str [n], absolute
    folders: tuple[str, ...]  # from the data folder
    missing: dict[str, str]  # path -> why it is not there
    notes: tuple[str, ...]
    looked_in: str = ""  # where, in words; "" where nothing is missing


class Images:
    """The files below one folder. The tree is walked once, and only where a name is not a path from the folder itself."""

    def __init__(self, root: Path, chosen: str = ""):
        """chosen: the folder that the user names, seen from `root` or from here. InputError where it is none."""
        self.data = Path(root).resolve()
        self.root = _chosen(self.data, chosen).resolve() if chosen else self.data
        self._flag = chosen
        self._own = self.data.name + "/"
        self._whole = (
            Images(root) if self.root != self.data else None
        )  # for tables that the chosen folder is not meant for
        self._known: dict[str, Found | None] = {}

    def find(self, name: str) -> Found | None:
        """The file that a table names, in any folder below the root. ValueError where the name points out of it, InputError
        where several files are as near to it."""
        if name not in self._known:
            self._known[name] = self._find(name)
        return self._known[name]

    def holds(self, name: str) -> bool:
        return bool(self.files(name)) or (self._whole is not None and self._whole.holds(name))

    def files(self, name: str) -> frozenset[str]:
        """The paths of the files that have the name; AMBIGUOUS where several come near it."""
        try:
            found = self.find(name)
        except ValueError:
            return frozenset()
        except InputError:
            return AMBIGUOUS
        return frozenset(posixpath.join(base, found.name) for base in found.bases) if found else frozenset()

    def _find(self, name: str) -> Found | None:
        relative = self._relative(name)
        if os.path.isfile(f"{self.root}/{relative}"):
            return Found(("",), relative, AS_WRITTEN)
        if self._whole is not None:  # a path from the data folder into the one that the user names
            inside = os.path.relpath(f"{self.data}/{relative}", self.root)
            if not inside.startswith("..") and os.path.isfile(f"{self.root}/{inside}"):
                return Found(("",), inside, AS_WRITTEN)
        slashed = posixpath.normpath(relative.replace("\\", "/"))
        tries = [(relative, AS_WRITTEN)] + ([(slashed, SLASHES)] if slashed != relative else [])
        tries += [(slashed[len(self._own) :], PREFIX)] if slashed.startswith(self._own) else []
        tries += [(unquote(slashed), ESCAPED)] if "%" in slashed else []
        for text, how in tries:
            found = self._below(text, how)
            if found:
                return found
        return None

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

    def _below(self, relative: str, how: str) -> Found | None:
        """The file of that relative path in some folder, exactly so written if there is one, else in another case, else with
        an ending that the table leaves out. InputError where several spellings are as near."""
        wanted = key(relative)
        named = [p for p in self.tree.get(posixpath.basename(wanted), ()) if ends(key(p), wanted)]
        exact = [p for p in named if ends(p, relative)]
        if exact:
            return Found(tuple(p[: -len(relative) - 1] for p in exact), relative, how)
        if named:
            same = [p for p in named if ends(normalize("NFC", p), normalize("NFC", relative))]
            return self._one(same or named, relative, how if how != AS_WRITTEN else ACCENTS if same else CASE)
        if is_image_name(relative):
            return None
        stems = [p for p in self._stems.get(posixpath.basename(wanted), ()) if ends(key(p).rsplit(".", 1)[0], wanted)]
        stems = [p for p in stems if ends(p.rsplit(".", 1)[0], relative)] or stems
        return self._one(stems, relative, ENDING if how == AS_WRITTEN else how) if stems else None

    def _one(self, paths: Sequence[str], relative: str, how: str) -> Found:
        """The folders of files that are all the same relative path. InputError where they differ in case or endings."""
        depth = relative.count("/") + 1
        split = [("/".join(p.split("/")[:-depth]), "/".join(p.split("/")[-depth:])) for p in paths]
        if len({rest for _, rest in split}) == 1:
            return Found(tuple(base for base, _ in split), split[0][1], how)
        what = (
            "has no ending, and there are files with several" if how == ENDING else "has several files that come near"
        )
        bases = sorted({base for base, _ in split})
        folders = " or ".join(f"--images {self._shown(base)}" for base in bases if base) if len(bases) > 1 else ""
        raise InputError(
            f"'{relative}' {what}: {listed(sorted(paths))}; write one of these names into the table"
            + (f", or name one folder: {folders}" if folders else "")
        )

    @cached_property
    def tree(self) -> dict[str, list[str]]:
        """Lower-case file name -> paths from the root."""
        tree: dict[str, list[str]] = {}
        for path in walk(self.root):
            tree.setdefault(key(path.rsplit("/", 1)[-1]), []).append(path)
        return tree

    @cached_property
    def _stems(self) -> dict[str, list[str]]:
        """Lower-case name without its ending -> paths, of images alone."""
        stems: dict[str, list[str]] = {}
        for name, paths in self.tree.items():
            if is_image_name(name):
                stems.setdefault(name.rsplit(".", 1)[0], []).extend(paths)
        return stems

    def locate(self, names: Sequence[str], role: str = "", table: str = "the table") -> Located:
        """Every name's file. InputError where a name leads out of the folder, or several folders have the names and none is
        the one that the table means (docs/data.md has the rule)."""
        if self._whole and not self._is_meant(names, role):
            located = self._whole.locate(names, role, table)
            note = f"--images {self._flag} is not used for {table}: its images are in {listed(list(located.folders))}."
            return replace(located, notes=(note, *located.notes))
        found, outside = self._found_of(names)
        if outside:
            raise InputError(self._outside(outside, table))
        chosen = choose([item.bases if item else () for item in found], role, table, self._shown)
        main = Counter(base for base in chosen if base is not None).most_common(1)
        likely = main[0][0] if main else self._likely()
        endings = Counter(
            posixpath.splitext(item.name)[1] for item in found if item and item.how == ENDING
        ).most_common(1)
        near = None
        ids, paths, missing, there = [], [], {}, set()
        for name, item, base in zip(names, found, chosen):
            relative = item.name if item else self._relative(name)
            if not item and endings and not is_image_name(relative):
                relative += endings[0][0]  # as those that are there
            path = os.path.join(self.root, likely if base is None else base, relative)
            ids.append(relative)
            paths.append(path)
            if item is not None and os.path.exists(path):
                there.add(os.path.dirname(path))
            elif item is not None:
                missing[path] = why_closed(path)
            elif len(missing) < MOST_LISTED:
                near = near or NearMisses(self.tree, SUFFIXES)
                missing[path] = near.reason(relative)
            else:
                missing[path] = NOT_THERE
        folders = tuple(sorted(self._shown(folder) for folder in there))
        notes = tuple(self._notes(found, chosen))
        return Located(
            np.array(ids, str), np.array(paths, str), folders, missing, notes, self.where() if missing else ""
        )

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

    def _found_of(self, names: Sequence[str]) -> tuple[list[Found | None], list[str]]:
        """What the names are on the disk, and those that lead out of the folder."""
        found: list[Found | None] = []
        outside = []
        for name in names:
            try:
                found.append(self.find(name))
            except ValueError:
                found.append(None)
                outside.append(name)
        by_end = self._by_ends([name for name, item in zip(names, found) if item is None], found)
        if by_end:
            return [item or by_end[name] for name, item in zip(names, found)], []
        return found, outside

    def _by_ends(self, names: list[str], found: list[Found | None]) -> dict[str, Found]:
        """The files of paths of another place: those that end as these paths do, where each is there once, no two are the
        same, and none lies in the folder of another part of the data; else nothing."""
        taken = {path for item in found if item for path in (posixpath.join(base, item.name) for base in item.bases)}
        by_end: dict[str, Found] = {}
        for name in dict.fromkeys(names):
            parts = [part for part in posixpath.normpath(name.replace("\\", "/")).split("/") if part not in ("", "..")]
            elsewhere = os.path.isabs(name) or name.startswith("..") or bool(ntpath.splitdrive(name)[0])
            same_name = self.tree.get(key(parts[-1]), []) if parts and "://" not in name else []
            for n in range(len(parts), 0 if elsewhere else 1, -1):
                end = "/".join(parts[-n:])
                there = [path for path in same_name if ends(path, end)]
                if there:
                    break
            else:
                return {}
            asked, has = roles_of("/".join(parts[:-1])), roles_of(posixpath.dirname(there[0]))
            if len(there) > 1 or there[0] in taken or (asked and has and not asked & has):
                return {}
            taken.add(there[0])
            by_end[name] = self._one(there, end, ELSEWHERE)
        return by_end

    def _shown(self, base: str) -> str:
        """A folder as the user sees it: from the data folder, `.` being that itself."""
        shown = os.path.relpath(self.root / base, self.data)
        return str(self.root / base) if shown.startswith("..") else shown

    def _likely(self) -> str:
        return next((name for name in ("data", "images") if (self.root / name).is_dir()), "")

    def _notes(self, found: list[Found | None], chosen: list[str | None]) -> Iterator[str]:
        for how, words in READ_AS.items():
            rows = [i for i, item in enumerate(found) if item and item.how == how]
            if rows:
                yield f"{len(rows):,} image names {words}, e.g. {found[rows[0]].name}."  # type: ignore[union-attr]
        others = Counter(b for item, base in zip(found, chosen) if item for b in item.bases if b != base)
        for base, n in sorted(others.items()):
            yield f"The folder {self._shown(base)} also has files of {n:,} of these names; they are not used."

    def _outside(self, names: list[str], table: str) -> str:
        quoted = listed([f"'{name}'" for name in names])
        text = f"{len(names)} of the images of {table} lie outside {self.root}: {quoted}; "
        if any("://" in name for name in names):
            return text + "they are web addresses: download the images, or take another column: --image-column NAME"
        tail = posixpath.basename(names[0].replace("\\", "/"))
        there = self.tree.get(key(tail))
        if there:
            return text + (
                f"a file {tail} lies in {self._shown(posixpath.dirname(there[0]))}: write the paths from the data folder on, "
                "or the file names alone"
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
        folders = {posixpath.dirname(p) for found in self.tree.values() for p in found} - {""}
        shown = ", ".join(sorted(folders)[:5]) + (", ..." if len(folders) > 5 else "")
        return f"{self.root}" + (f" and the folders below it ({shown})" if folders else "")


def _chosen(data: Path, folder: str) -> Path:
    found = {path.resolve(): None for path in (data / folder, Path(folder)) if path.is_dir()}
    if len(found) > 1:
        raise InputError(
            f"--images {folder}: there are two such folders, from the data folder and from here; name one by its whole path: "
            + " or ".join(f"--images '{path}'" for path in found)
        )
    if found:
        return next(iter(found))
    there = sorted(p.name for p in data.iterdir() if p.is_dir()) if data.is_dir() else []
    raise InputError(
        f"--images {folder}: no such folder, neither here nor in {data}; there are: {listed(there) or 'none'}"
    )

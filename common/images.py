"""Where the images lie that a table names: the folder, the file, and why one is not there."""

import ntpath
import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import MOST_LISTED, InputError, listed
from common.folders import choose

# Endings that are looked for where a table leaves them out; every one is also found in upper case.
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".avif", ".jp2")
NOT_THERE = "no such file"
AS_WRITTEN, SLASHES, CASE, ENDING, PREFIX = "as written", "slashes", "case", "ending", "prefix"
READ_AS = {
    SLASHES: "have Windows' backslashes, read as slashes",
    CASE: "differ from the file's name in upper and lower case",
    ENDING: "have no ending, which was found on the disk",
    PREFIX: "begin with the name of the data folder itself",
}


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
        """chosen: the folder that the user names, seen from here or from `root`. InputError where it is none."""
        self.data = Path(root).resolve()
        self.root = _chosen(self.data, chosen).resolve() if chosen else self.data
        self._tree: dict[str, list[str]] | None = None  # lower-case file name -> paths from the root
        self._stems: dict[str, list[str]] = {}  # lower-case name without its ending -> paths, of images alone
        self._known: dict[str, Found | None] = {}

    def find(self, name: str) -> Found | None:
        """The file that a table names, in any folder below the root. ValueError where the name points out of it."""
        if name not in self._known:
            self._known[name] = self._find(name)
        return self._known[name]

    def holds(self, name: str) -> bool:
        try:
            return self.find(name) is not None
        except ValueError:
            return False

    def _find(self, name: str) -> Found | None:
        relative = self._relative(name)
        if self._is_file(relative):
            return Found(("",), relative, AS_WRITTEN)
        slashed = posixpath.normpath(relative.replace("\\", "/"))
        tries = [(relative, AS_WRITTEN)] + ([(slashed, SLASHES)] if slashed != relative else [])
        own = self.data.name + "/"
        tries += [(slashed[len(own) :], PREFIX)] if slashed.startswith(own) else []
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
                if Path(os.path.normpath(name)).is_relative_to(parent):
                    return os.path.relpath(name, self.root)
            real = os.path.realpath(os.path.dirname(name))
            if Path(real).is_relative_to(self.root):
                return os.path.join(os.path.relpath(real, self.root), os.path.basename(name))
            raise ValueError(name)
        if ntpath.splitdrive(name)[0] or "://" in name:
            raise ValueError(name)
        relative = posixpath.normpath(name)
        if posixpath.normpath(name.replace("\\", "/")).split("/")[0] == "..":
            outside = os.path.normpath(self.data / relative)
            if self.root == self.data or not Path(outside).is_relative_to(self.root):
                raise ValueError(name)
            return os.path.relpath(outside, self.root)  # the user named a folder that holds it
        return relative

    def _is_file(self, relative: str) -> bool:
        try:
            return os.path.isfile(self.root / relative)
        except ValueError:
            return False

    def _below(self, relative: str, how: str) -> Found | None:
        """The file of that relative path in some folder, exactly so written if there is one, else in another case, else with
        an ending that the table leaves out."""
        wanted = relative.lower()
        named = [p for p in self.tree.get(posixpath.basename(wanted), ()) if _ends(p.lower(), wanted)]
        exact = [p for p in named if _ends(p, relative)]
        if exact:
            return _found(exact, relative, how)
        if named:
            return _found(named, relative, CASE if how == AS_WRITTEN else how)
        if is_image_name(relative):
            return None
        stems = [
            p for p in self._stems.get(posixpath.basename(wanted), ()) if _ends(p.lower().rsplit(".", 1)[0], wanted)
        ]
        endings = {posixpath.splitext(p)[1] for p in stems}
        if len(endings) > 1 and len({e.lower() for e in endings}) > 1:
            raise InputError(
                f"'{relative}' has no ending, and there are files with several: {listed(sorted(stems))}; write the ending "
                "into the table, or name one folder: --images FOLDER"
            )
        return _found(stems, relative, ENDING if how == AS_WRITTEN else how) if stems else None

    @property
    def tree(self) -> dict[str, list[str]]:
        if self._tree is None:
            self._tree = {}
            for path in walk(self.root):
                name = posixpath.basename(path).lower()
                self._tree.setdefault(name, []).append(path)
                if is_image_name(name):
                    self._stems.setdefault(name.rsplit(".", 1)[0], []).append(path)
        return self._tree

    def locate(self, names: Sequence[str], role: str = "", table: str = "the table") -> Located:
        """Every name's file. InputError where a name leads out of the folder, or several folders have the names and none is
        the one that the table means (docs/data.md has the rule)."""
        found: list[Found | None] = []
        outside = []
        for name in names:
            try:
                found.append(self.find(name))
            except ValueError:
                outside.append(name)
        if outside:
            raise InputError(self._outside(outside, table))
        chosen = choose([item.bases if item else () for item in found], role, table, self._shown)
        main = Counter(base for base in chosen if base is not None).most_common(1)
        likely = main[0][0] if main else self._likely()
        endings = Counter(
            posixpath.splitext(item.name)[1] for item in found if item and item.how == ENDING
        ).most_common(1)
        ids, paths, missing = [], [], {}
        for name, item, base in zip(names, found, chosen):
            relative = item.name if item else self._relative(name)
            if not item and endings and not is_image_name(relative):
                relative += endings[0][0]  # as those that are there
            path = str(self.root / (likely if base is None else base) / relative)
            ids.append(relative)
            paths.append(path)
            if item is None:
                missing[path] = self._why_missing(relative) if len(missing) < MOST_LISTED else NOT_THERE
        there = {os.path.dirname(path) for path, item in zip(paths, found) if item}
        folders = tuple(sorted(self._shown(folder) for folder in there))
        notes = tuple(self._notes(found, chosen))
        return Located(
            np.array(ids, str), np.array(paths, str), folders, missing, notes, self.where() if missing else ""
        )

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
        there = self.tree.get(tail.lower())
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

    def _why_missing(self, relative: str) -> str:
        """What the disk has that comes near."""
        name = posixpath.basename(relative)
        stem, ending = posixpath.splitext(name)
        stem = stem if is_image_name(name) else name
        near = self.tree.get(name.lower(), [])
        if near:
            return f"no such file; there is {near[0]}, but the table's path has other folders"
        other = self._stems.get(stem.lower(), [])
        if other:
            return f"no such file; there is {other[0]}, which has another ending than '{ending}'"
        if stem.isdigit():
            padded = [p for s, found in self._numbers().get(int(stem), {}).items() if s != stem for p in found]
            if padded:
                return f"no such file; there is {padded[0]}: did a program take the leading zeros?"
        longer = self._beginning(stem)
        if longer:
            return f"no such file; {len(longer)} files begin with its name, such as {longer[0]}"
        return NOT_THERE

    def _numbers(self) -> dict[int, dict[str, list[str]]]:
        if not hasattr(self, "_by_number"):
            self._by_number: dict[int, dict[str, list[str]]] = {}
            for stem, found in self._stems.items():
                if stem.isascii() and stem.isdigit():
                    self._by_number.setdefault(int(stem), {})[stem] = found
        return self._by_number

    def _beginning(self, stem: str) -> list[str]:
        """Images whose names begin with the stem and a separator, such as id_red.png."""
        if not hasattr(self, "_by_prefix"):
            self._by_prefix: dict[str, list[str]] = {}
            for longer, found in self._stems.items():
                for cut in re.finditer(r"[_\-. ]", longer):
                    self._by_prefix.setdefault(longer[: cut.start()], []).extend(found)
        return sorted(self._by_prefix.get(stem.lower(), []))

    def where(self) -> str:
        """Where images were looked for, in words."""
        folders = {posixpath.dirname(p) for found in self.tree.values() for p in found} - {""}
        shown = ", ".join(sorted(folders)[:5]) + (", ..." if len(folders) > 5 else "")
        return f"{self.root}" + (f" and the folders below it ({shown})" if folders else "")


def walk(root: Path) -> Iterator[str]:
    """Every file below the root as a path from it, sorted by folder; links are followed, each folder once. Hidden files and
    folders, and what a Mac's zip adds, are no images."""
    seen: set[tuple[int, int]] = set()
    for folder, below, files in os.walk(root, followlinks=True):
        stat = os.stat(folder)
        if (stat.st_dev, stat.st_ino) in seen:
            below.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        below[:] = sorted(name for name in below if not name.startswith(".") and name != "__MACOSX")
        relative = os.path.relpath(folder, root)
        for name in sorted(files):
            if not name.startswith("."):
                yield name if relative == "." else f"{relative}/{name}"


def _chosen(data: Path, folder: str) -> Path:
    for path in (Path(folder), data / folder):
        if path.is_dir():
            return path
    there = sorted(p.name for p in data.iterdir() if p.is_dir()) if data.is_dir() else []
    raise InputError(
        f"--images {folder}: no such folder, neither here nor in {data}; there are: {listed(there) or 'none'}"
    )


def _ends(path: str, wanted: str) -> bool:
    return path == wanted or path.endswith("/" + wanted)


def _found(paths: Iterable[str], relative: str, how: str) -> Found:
    """The folders of files that are all the same relative path; where case or ending differ, of those like the first."""
    depth = relative.count("/") + 1
    split = [("/".join(p.split("/")[:-depth]), "/".join(p.split("/")[-depth:])) for p in paths]
    name = split[0][1]
    return Found(tuple(base for base, rest in split if rest == name), name, how)

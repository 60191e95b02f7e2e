"""Paths below a folder: every file, and which of them a name may mean that is written a little differently."""

import ntpath
import os
import posixpath
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

# Endings that are looked for where a table leaves them out; every one is also found in upper case.
SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".avif", ".jp2")
AS_WRITTEN, ACCENTS, CASE, ENDING = "as written", "accents", "case", "ending"


def is_image_name(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


class Match(NamedTuple):
    """A file that a name of a table may mean."""

    base: str  # the folder from which the name leads to the file; from the root, "" is the root itself
    name: str  # from that folder, as on the disk
    how: str  # how the table's name had to be read

    @property
    def path(self) -> str:
        """From the root."""
        return posixpath.join(self.base, self.name)


class Tree:
    """The files below a folder by their names. The folder is walked once, and only where that is needed."""

    def __init__(self, root: Path):
        self._root = root

    @cached_property
    def files(self) -> dict[str, list[str]]:
        """Lower-case file name -> paths from the root."""
        files: dict[str, list[str]] = {}
        for path in walk(self._root):
            files.setdefault(key(path.rsplit("/", 1)[-1]), []).append(path)
        return files

    @cached_property
    def _stems(self) -> dict[str, list[str]]:
        """Lower-case name without its ending -> paths, of images alone."""
        stems: dict[str, list[str]] = {}
        for name, paths in self.files.items():
            if is_image_name(name):
                stems.setdefault(name.rsplit(".", 1)[0], []).extend(paths)
        return stems

    def matches(self, relative: str, how: str = AS_WRITTEN) -> tuple[Match, ...]:
        """The file of that relative path in every folder that has one. In each folder the nearest spelling counts: exactly so
        written, else in another Unicode form, else in another case, else with an ending that the table leaves out. A folder
        has several where none of them is nearer. how: what was done to the name before."""
        wanted, depth = key(relative), relative.count("/") + 1
        name = posixpath.basename(wanted)
        near = [(_spelling(path, relative), path) for path in self.files.get(name, ()) if ends(key(path), wanted)]
        if not is_image_name(relative):
            stems = [(path.rsplit(".", 1)[0], path) for path in self._stems.get(name, ())]
            near += [(3 + _spelling(stem, relative), path) for stem, path in stems if ends(key(stem), wanted)]
        nearest: dict[str, tuple[int, list[Match]]] = {}
        for far, path in sorted(near):
            parts = path.split("/")
            base = "/".join(parts[:-depth])
            least, matches = nearest.setdefault(base, (far, []))
            if far == least:
                read = how if how != AS_WRITTEN else _READ[far]
                matches.append(Match(base, "/".join(parts[-depth:]), read))
        return tuple(match for _, matches in nearest.values() for match in matches)

    def longest_end(self, parts: Sequence[str], least: int) -> tuple[list[str], int]:
        """The files that end in as many of the parts as any does, and how many that is."""
        same_name = self.files.get(key(parts[-1]), []) if parts else []
        for n in range(len(parts), least - 1, -1):
            there = [path for path in same_name if ends(key(path), key("/".join(parts[-n:])))]
            if there:
                return there, n
        return [], 0


_READ = (AS_WRITTEN, ACCENTS, CASE, ENDING, ENDING, ENDING)


def _spelling(path: str, relative: str) -> int:
    """0: the path ends exactly as the other one, 1: in another Unicode form, 2: in another case."""
    if ends(path, relative):
        return 0
    return 1 if ends(normalize("NFC", path), normalize("NFC", relative)) else 2


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


def key(text: str) -> str:
    """Equal for names that differ in case, or in the Unicode form of their accents."""
    return text.lower() if text.isascii() else normalize("NFC", text).lower()


def ends(path: str, wanted: str) -> bool:
    return path == wanted or path.endswith("/" + wanted)


def is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


@lru_cache(maxsize=1024)
def real(folder: str) -> str:
    return os.path.realpath(folder)


def why_closed(path: str) -> str:
    """Why a file cannot be opened that its folder lists."""
    if os.path.islink(path):
        return f"it is a link to {os.readlink(path)}, which is not there"
    return "its folder gives no access to it"


def parts_of(name: str) -> list[str]:
    return [part for part in posixpath.normpath(name.replace("\\", "/")).split("/") if part not in ("", ".", "..")]


def is_elsewhere(name: str) -> bool:
    """Whether a path does not begin in the data folder."""
    return os.path.isabs(name) or name.startswith("..") or bool(ntpath.splitdrive(name)[0])

"""Paths below a folder: every file, and when two names are the same but for case or accents."""

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from unicodedata import normalize


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

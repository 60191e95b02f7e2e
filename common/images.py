"""Where a data set's images lie, and which names no table may use for them."""

import os
from collections import Counter
from pathlib import Path

from common.errors import InputError, listed
from common.types import Dataset


def find_folder(root: Path, first: str) -> str:
    """The folder below `root` that holds the image `first`: root itself, data, images, or the only one that has it.

    Where none has it: root/data or root/images if there is one, so that a message names the likely place.
    """
    likely = [root, root / "data", root / "images"]
    others = [f for f in sorted(root.glob("*")) if f.is_dir() and f not in likely] if root.is_dir() else []
    below = [f for f in sorted((root / "images").glob("*")) if f.is_dir()] if (root / "images").is_dir() else []
    for folder in (*likely, *others, *below):
        if not _leaves(first) and (folder / first).is_file():
            return str(folder.resolve())
    return str(next((f for f in likely[1:] if f.is_dir()), root).resolve())


def _leaves(image: str) -> bool:
    """Whether a name in a table points out of the data folder."""
    return os.path.isabs(image) or os.path.normpath(image).split(os.sep)[0] == ".." or "\0" in image


def check_names(dataset: Dataset) -> None:
    """InputError that lists every ImageID that leaves the data folder, and every one that stands there twice."""
    for what, ids in (("", dataset.ids), (" test", dataset.test_ids)):
        outside = [f"'{i}'" for i in ids.tolist() if _leaves(i)]
        if outside:
            raise InputError(
                f"{len(outside)} of the{what} images of '{dataset.name}' lie outside {dataset.folder}: {listed(outside)}; "
                "a table may only name images below its own folder: correct these rows, or take them out"
            )
        twice = [f"'{i}' ({n} rows)" for i, n in Counter(ids.tolist()).items() if n > 1]
        if twice:
            raise InputError(
                f"{len(twice)} of the{what} images of '{dataset.name}' stand in several rows: {listed(twice)}; an image "
                "in both splits would flatter every score: keep one row for each, with all its labels"
            )

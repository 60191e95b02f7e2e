"""Where a data set's images lie, and which names no table may use for them."""

import itertools
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from common.errors import InputError, listed
from common.types import Dataset

LOOKED_FOR = 20  # images, to find the folder: the first one may be missing


def find_folder(root: Path, images: Iterable[str]) -> str:
    """The folder below `root` that holds most of the images: root itself, data, images, or another one.

    Where none has any: root/data or root/images if there is one, so that a message names the likely place.
    """
    likely = [root, root / "data", root / "images"]
    others = [f for f in sorted(root.glob("*")) if f.is_dir() and f not in likely] if root.is_dir() else []
    below = [f for f in sorted((root / "images").glob("*")) if f.is_dir()] if (root / "images").is_dir() else []
    wanted = [image for image in itertools.islice(images, LOOKED_FOR) if not _leaves(image)]
    found = {folder: sum(os.path.isfile(folder / image) for image in wanted) for folder in (*likely, *others, *below)}
    best = max(found, key=lambda folder: found[folder])  # of equals the first
    return str((best if found[best] else next((f for f in likely[1:] if f.is_dir()), root)).resolve())


def paths_of(root: Path, ids: np.ndarray) -> np.ndarray:
    """Where each image lies, in the folder that `find_folder` finds."""
    folder = find_folder(root, ids.tolist()) if len(ids) else ""
    return np.array([str(Path(folder) / image) for image in ids.tolist()], str)


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
        twice = [f"'{i}' ({n} rows)" for i, n in Counter(map(os.path.normpath, ids.tolist())).items() if n > 1]
        if twice:
            raise InputError(
                f"{len(twice)} of the{what} images of '{dataset.name}' stand in several rows: {listed(twice)}; an image "
                "in both splits would flatter every score: keep one row for each, with all its labels"
            )

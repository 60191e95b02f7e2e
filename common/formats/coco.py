"""COCO's instances: a JSON file of images, annotations and categories, and a folder of images."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import InputError, listed
from common.images import paths_of
from common.types import Dataset

LOOKS_LIKE = (
    "an instances .json file, or a folder with one (also in annotations/), and the images in a folder beside it"
)
TEST_FILES = ("instances_test*.json", "image_info_test*.json", "test.json")


def table_of(path: Path) -> Path | None:
    """The instances file that `path` is or holds; the training one where there are several."""
    if path.is_file():
        return path if path.suffix == ".json" else None
    for folder in (path / "annotations", path):
        for pattern in ("instances_train*.json", "train.json", "instances*.json"):
            found = [f for f in sorted(folder.glob(pattern)) if f not in _tests(folder)]
            if found:
                return found[0]
    return None


def recognises(path: Path) -> bool:
    return table_of(path) is not None


def read(path: Path) -> Dataset:
    """Every image, with a class wherever it has an annotation of it, in the order of the file's images.

    InputError that lists all annotations of images or categories that the file does not have.
    """
    table = table_of(path)
    if table is None:
        raise InputError(f"no instances file at '{path}'; looked for: {LOOKS_LIKE}")
    content = _load(table, ("images", "annotations", "categories"))
    root = table.parent.parent if table.parent.name == "annotations" else table.parent
    try:
        categories = sorted(content["categories"], key=lambda c: c["id"])
        ids = np.array([str(image["file_name"]) for image in content["images"]])
        row = {image["id"]: i for i, image in enumerate(content["images"])}
        column = {category["id"]: i for i, category in enumerate(categories)}
        twice = _twice("image", content["images"]) + _twice("category", categories)
        names = tuple(str(category["name"]) for category in categories)
        pairs = [(a["image_id"], a["category_id"], a.get("id", "?")) for a in content["annotations"]]
        tests = [t for t in _tests(table.parent) if t != table]
        unlabelled = _load(tests[0], ("images",))["images"] if tests else []
        test_ids = np.array([str(image["file_name"]) for image in unlabelled], str)
        wrong = [f"annotation {a}: image {i}, category {c}" for i, c, a in pairs if i not in row or c not in column]
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{table} (or its test file) is not in COCO's form: {type(error).__name__} {error}; expected {_FORM}"
        ) from None
    if twice:
        raise InputError(f"{table} has ids that stand there twice: {listed(twice)}; give each its own")
    if not len(ids) or not names:
        raise InputError(f"{table} has {len(ids)} images and {len(names)} categories; at least one of each is needed")
    if wrong:
        raise InputError(f"{table} has annotations of images or categories that it lacks: {listed(wrong)}; mend it")
    labels = np.zeros((len(ids), len(names)), np.uint8)
    labels[[row[i] for i, _, _ in pairs], [column[c] for _, c, _ in pairs]] = 1
    return Dataset(
        name=root.resolve().name, folder=str(root.resolve()), ids=ids, paths=paths_of(root, ids), labels=labels,
        class_names=names, captions=("",) * len(ids), default_side=224,
        test_ids=test_ids, test_paths=paths_of(root, test_ids),
    )  # fmt: skip


_FORM = (
    '{"images": [{"id", "file_name"}], "annotations": [{"image_id", "category_id"}], "categories": [{"id", "name"}]}'
)


def _twice(what: str, items: list[dict[str, Any]]) -> list[str]:
    return [f"{what} {name} ({n} times)" for name, n in Counter(item["id"] for item in items).items() if n > 1]


def _tests(folder: Path) -> list[Path]:
    return [f for pattern in TEST_FILES for f in sorted(folder.glob(pattern))]


def _load(table: Path, wanted: tuple[str, ...]) -> dict[str, Any]:
    try:
        content = json.loads(table.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{table} is not JSON: {error}") from None
    lists = isinstance(content, dict) and all(isinstance(content.get(key), list) for key in wanted)
    if not lists:
        raise InputError(f"{table} lacks a list of {', '.join(wanted)}; expected {_FORM}")
    return content

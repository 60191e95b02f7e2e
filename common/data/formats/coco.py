"""COCO's instances: a JSON file of images, annotations and categories, and a folder of images."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from common.core.dataset import Dataset, Reading
from common.core.errors import InputError, listed
from common.core.settings import NO_OPTIONS, ReadOptions
from common.data.folders import role_of
from common.data.images import Images, Located
from common.data.tables.columns import no_columns
from common.data.tables.files import Tables, only_one, several, several_fit, tables_of
from common.data.tables.raw import from_json, read_text

LOOKS_LIKE = (
    "an instances .json file, or a folder with one (also in annotations/, or _annotations.coco.json in train/), and the "
    "images in a folder beside it"
)
TRAIN_FILES = ("instances_train*.json", "train*.json", "instances_default.json", "_annotations.coco.json", "result.json",
               "instances_val*.json", "instances*.json")  # fmt: skip
TEST_FILES = ("instances_test*.json", "image_info_test*.json", "test*.json")
VALIDATION_FILES = ("instances_val*.json", "val*.json")
LISTS = ("images", "annotations", "categories")
ENDS = 1_000_000  # bytes at either end of a file that may show its lists: a large one is not read whole to find out
_FORM = (
    '{"images": [{"id", "file_name"}], "annotations": [{"image_id", "category_id"}], "categories": [{"id", "name"}]}'
)


def is_table(file: Path) -> bool:
    return file.suffix.lower() == ".json"


def tables(path: Path) -> Tables | None:
    """The instances file that `path` is or holds, the training one where there are several, and those of the other parts.
    InputError where several could be the one of a part."""
    if path.is_file():
        return _with_others(path, named=True) if is_table(path) else None
    for folder in (path / "annotations", path):
        for pattern in TRAIN_FILES:
            tests = _matching(folder, TEST_FILES)
            found = [f for f in sorted(folder.glob(pattern)) if f not in tests and _is_instances(f)]
            if len(found) > 1:
                raise several_fit(role_of(found[0].stem) or "train", found, path)
            if found:
                return _with_others(found[0])
    parts = tables_of(path, lambda f: is_table(f) and f.parent != path and _is_instances(f))
    if parts:
        return parts
    alone = [f for folder in (path / "annotations", path) for f in sorted(folder.glob("*.json")) if _is_instances(f)]
    return Tables(alone[0]) if len(alone) == 1 else None


def _is_instances(file: Path) -> bool:
    """Whether the file's name says so, or its beginning: other programs' JSON is not read whole to find out."""
    if file.name.startswith("."):
        return False
    if any(file.match(pattern) for pattern in TRAIN_FILES + TEST_FILES):
        return True
    with open(file, "rb") as stream:
        head = stream.read(ENDS)
        stream.seek(max(0, file.stat().st_size - ENDS))
        return any(f'"{key}"'.encode() in head + stream.read() for key in LISTS)


def _matching(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    return [f for pattern in patterns for f in sorted(folder.glob(pattern)) if not f.name.startswith(".")]


def _with_others(table: Path, named: bool = False) -> Tables:
    """An instances file, and the validation and the test file beside one of training data. named: the user named it; then none
    of several that fit another part is taken."""

    def other(role: str, patterns: tuple[str, ...]) -> Path | None:
        fitting = next(filter(None, ([f for f in _matching(table.parent, (p,)) if f != table] for p in patterns)), [])
        left = [f for f in fitting if _year(f) == _year(table)] or fitting
        return only_one(role, left, table, named)

    role = role_of(table.stem)
    validation = other("val", VALIDATION_FILES) if role == "train" else None
    test = other("test", TEST_FILES) if role in ("train", "") else None
    every = dict.fromkeys(_matching(table.parent, TRAIN_FILES + VALIDATION_FILES + TEST_FILES))
    return Tables(table, validation, test, tuple(f for f in every if f not in (table, validation, test)))


def _year(file: Path) -> str:
    """What follows the word for its part in a file's name: 2017 of instances_val2017.json."""
    return re.split("train|val|test", file.stem, maxsplit=1)[-1]


def recognises(path: Path) -> bool:
    return tables(path) is not None


def read(path: Path, options: ReadOptions = NO_OPTIONS) -> Dataset:
    """Every image, with a class wherever it has an annotation of it, in the order of the file's images.

    InputError that lists all annotations of images or categories that the file does not have.
    """
    no_columns("coco", options)
    found = tables(path)
    if found is None:
        there = several(path, is_table)
        raise InputError(
            f"no instances file at '{path}'; looked for: {LOOKS_LIKE}"
            + (f"; there are {listed(there)}" if there else "")
        )
    content = _load(found.train, LISTS, options)
    names, labels, classes = _instances(found.train, content)
    root = found.train.parent.parent if found.train.parent.name == "annotations" else found.train.parent
    folder = path if path.is_dir() else root
    located = _located(root, names, found.train, options)
    in_validation, notes = np.empty(0, bool), [_objects_note(content)]
    if options.split == "given":
        located, labels, in_validation = _with_validation(found, root, located, labels, classes, options)
    elif found.validation:
        notes.append(f"{found.validation.name} is not used: --split given takes it as the validation split.")
    if found.others:
        notes.append(f"Tables that are not used: {listed([file.name for file in found.others])}.")
    labels, classes, more = _without_group(labels, classes, content)
    tests = _tests(found.test, root, options)
    reading = Reading(
        format="coco", table=found.train.relative_to(folder).as_posix() if found.train.is_relative_to(folder) else found.train.name,
        image_column="file_name", image_folders=located.folders, label_form="annotations", label_columns=("categories",),
        notes=(*notes, *more, *located.notes),
    )  # fmt: skip
    return Dataset(
        name=root.resolve().name if root != folder or path.is_file() else folder.resolve().name, folder=str(root.resolve()),
        ids=located.ids, paths=located.paths, labels=labels, class_names=classes, captions=("",) * len(located.ids),
        default_side=224, test_ids=tests.ids, test_paths=tests.paths, missing=located.missing | tests.missing,
        looked_in=located.looked_in or tests.looked_in, uses_images_flag=located.from_chosen or tests.from_chosen,
        in_validation=in_validation, reading=reading,
    )  # fmt: skip


def _tests(table: Path | None, root: Path, options: ReadOptions) -> Located:
    """The images to predict: those of the test file, where there is one."""
    if not table:
        return Located(np.empty(0, str), np.empty(0, str), (), {}, ())
    names = _file_names(table, _load(table, ("images",), options))
    return _located(_root(table, root), names, table, options)


def _root(table: Path, root: Path) -> Path:
    """Where the images of another part lie: beside its own file, where each part has a folder."""
    return root if table.parent.name == "annotations" else table.parent


def _located(root: Path, names: list[str], table: Path, options: ReadOptions) -> Located:
    return Images(root, options.images).locate(names, role_of(table.stem) or role_of(table.parent.name), table.name)


def _objects_note(content: dict[str, Any]) -> str:
    crowds = sum(1 for annotation in content["annotations"] if annotation.get("iscrowd"))
    return f"An image has every class that one of its annotations has (annotations of crowds, which count too: {crowds:,})."


def _with_validation(
    found: Tables, root: Path, located: Located, labels: np.ndarray, classes: tuple[str, ...], options: ReadOptions
) -> tuple[Located, np.ndarray, np.ndarray]:
    """The rows of both files, and which are validation. InputError where there is no such file, or its classes are others."""
    if not found.validation:
        raise InputError(
            f"--split given: there is no validation file beside {found.train}; looked for {', '.join(VALIDATION_FILES)}; take "
            "--split random"
        )
    names, more, theirs = _instances(found.validation, _load(found.validation, LISTS, options))
    if theirs != classes:
        raise InputError(f"{found.validation} has other categories than {found.train.name}; give both the same")
    other = _located(_root(found.validation, root), names, found.validation, options)
    both = Located(
        np.concatenate([located.ids, other.ids]), np.concatenate([located.paths, other.paths]),
        tuple(dict.fromkeys(located.folders + other.folders)), located.missing | other.missing, located.notes + other.notes,
        located.looked_in or other.looked_in, located.from_chosen or other.from_chosen,
    )  # fmt: skip
    return both, np.concatenate([labels, more]), np.repeat([False, True], [len(labels), len(more)])


def _instances(table: Path, content: dict[str, Any]) -> tuple[list[str], np.ndarray, tuple[str, ...]]:
    """The images' names, their labels and the classes of an instances file."""
    names = _file_names(table, content)
    try:
        categories = sorted(content["categories"], key=lambda c: c["id"])
        row = {image["id"]: i for i, image in enumerate(content["images"])}
        column = {category["id"]: i for i, category in enumerate(categories)}
        twice = _twice("image", content["images"]) + _twice("category", categories)
        unnamed = [f"category {c['id']}: {c['name']!r}" for c in categories if not _is_text(c["name"])]
        classes = tuple(str(category["name"]) for category in categories)
        pairs = [(a["image_id"], a["category_id"], a.get("id", "?")) for a in content["annotations"]]
        wrong = [f"annotation {a}: image {i}, category {c}" for i, c, a in pairs if i not in row or c not in column]
        texts = {*map(str, row)} | {*map(str, column)}
        as_text = any(str(i) in texts and str(c) in texts for i, c, _ in pairs if i not in row or c not in column)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(_other_form(table, error)) from None
    if twice:
        raise InputError(f"{table} has ids that stand there twice: {listed(twice)}; give each its own")
    if unnamed:
        raise InputError(f"{table} has categories whose name is no text, or an empty one: {listed(unnamed)}; name them")
    if not len(names) or not classes:
        raise InputError(
            f"{table} has {len(names)} images and {len(classes)} categories; at least one of each is needed"
        )
    if wrong:
        why = " (some ids are texts in one list and numbers in the other: write them alike)" if as_text else ""
        raise InputError(
            f"{table} has annotations of images or categories that it lacks{why}: {listed(wrong)}; mend it"
        )
    labels = np.zeros((len(names), len(classes)), np.uint8)
    labels[[row[i] for i, _, _ in pairs], [column[c] for _, c, _ in pairs]] = 1
    return names, labels, classes


def _without_group(
    labels: np.ndarray, classes: tuple[str, ...], content: dict[str, Any]
) -> tuple[np.ndarray, tuple[str, ...], list[str]]:
    """Without the first category where it is the group of all others and no image has it, as Roboflow writes it; a note."""
    groups = {str(c.get("supercategory")) for c in content["categories"] if str(c["name"]) != classes[0]}
    if len(classes) < 3 or labels[:, 0].any() or groups != {classes[0]}:
        return labels, classes, []
    return labels[:, 1:], classes[1:], [f"The category '{classes[0]}' is the group of all others and no class."]


def _file_names(table: Path, content: dict[str, Any]) -> list[str]:
    try:
        lacking = [str(image.get("id", "?")) for image in content["images"] if not _is_text(image.get("file_name"))]
        if lacking and any(image.get("coco_url") for image in content["images"]):
            raise InputError(
                f"{table} is in COCO's form without file_name: {len(lacking)} images have a coco_url alone (as LVIS has); add to each image its "
                'file_name, such as "train2017/000000000009.jpg"'
            )
        if lacking:
            raise InputError(
                f"{table} has images whose file_name is missing, empty or no text: {listed([f'image {i}' for i in lacking])}; write "
                "the name of its file to each"
            )
        return [image["file_name"] for image in content["images"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(_other_form(table, error)) from None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _other_form(table: Path, error: Exception) -> str:
    return f"{table} is not in COCO's form: {type(error).__name__} {error}; expected {_FORM}"


def _twice(what: str, items: list[dict[str, Any]]) -> list[str]:
    return [f"{what} {name} ({n} times)" for name, n in Counter(item["id"] for item in items).items() if n > 1]


def _load(table: Path, wanted: tuple[str, ...], options: ReadOptions) -> dict[str, Any]:
    text, _ = read_text(table, options.encoding)
    try:
        content = from_json(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{table} is not JSON that can be read: {error}") from None
    lists = isinstance(content, dict) and all(isinstance(content.get(key), list) for key in wanted)
    if not lists:
        raise InputError(f"{table} lacks a list of {', '.join(wanted)}; expected {_FORM}")
    return content

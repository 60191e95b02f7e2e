"""Pascal VOC: Annotations/*.xml with the objects of each image, and the images in JPEGImages."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from common.core.dataset import Dataset, Reading
from common.core.errors import InputError, listed
from common.core.settings import NO_OPTIONS, ReadOptions
from common.data.images import Images, is_image_name
from common.data.tables.columns import no_columns
from common.data.tables.files import check_unused
from common.data.tables.raw import read_text

LOOKS_LIKE = (
    "a folder with Annotations/*.xml (an <object><name> for each object) and the images in JPEGImages or beside it"
)
MOST_BYTES = 10_000_000  # of one annotation


def _annotations(path: Path) -> list[Path]:
    for folder in (path / "Annotations", path / "annotations", path):
        found = [f for f in sorted(folder.glob("*.xml")) if not f.name.startswith(".")] if folder.is_dir() else []
        if found:
            return found
    return []


def recognises(path: Path) -> bool:
    return bool(_annotations(path))


def read(path: Path, options: ReadOptions = NO_OPTIONS) -> Dataset:
    """An image for each annotation, with the classes of its objects, `difficult` ones too. InputError that lists the files
    which cannot be read."""
    no_columns("voc", options)
    check_unused("voc", options, "encoding", why=" (an XML file names its own)")
    files = _annotations(path)
    if not files:
        raise InputError(f"no annotations at '{path}'; looked for: {LOOKS_LIKE}")
    parts, notes = _author_split(path, options, {file.stem for file in files})
    if parts:
        notes.append(f"Images in neither train.txt nor val.txt, which are left out: {len(files) - len(parts):,}.")
        files = [file for file in files if file.stem in parts]
    names, objects = _all_of(files)
    classes = sorted({name for found in objects for name in found})
    place = {name: c for c, name in enumerate(classes)}
    labels = np.zeros((len(files), len(classes)), np.uint8)
    for i, found in enumerate(objects):
        labels[i, [place[name] for name in found]] = 1
    located = Images(path, options.images).locate(names, "", f"{files[0].parent.name}/")
    in_validation = np.array([parts[file.stem] for file in files], bool) if parts else np.empty(0, bool)
    reading = Reading(
        format="voc", table=f"{files[0].parent.relative_to(path).as_posix()}/*.xml", image_column="filename",
        image_folders=located.folders, label_form="annotations", label_columns=("object/name",),
        notes=("An image has every class of its objects, difficult and truncated ones too.", *located.notes, *notes),
    )  # fmt: skip
    return Dataset(
        name=path.resolve().name, folder=str(path.resolve()), ids=located.ids, paths=located.paths, labels=labels,
        class_names=tuple(classes), captions=("",) * len(files), default_side=224, missing=located.missing,
        looked_in=located.looked_in, uses_images_flag=located.from_chosen,
        in_validation=in_validation, reading=reading,
    )  # fmt: skip


def _all_of(files: list[Path]) -> tuple[list[str], list[list[str]]]:
    """The image's name of each annotation, and its objects' names. InputError that lists those which cannot be read."""
    names, objects, wrong = [], [], []
    for file in files:
        try:
            name, found = _annotation(file)
        except (ElementTree.ParseError, ValueError, LookupError) as error:
            wrong.append(f"{file.name} ({error})")
            continue
        names.append(name)
        objects.append(found)
    if wrong:
        raise InputError(
            f"{files[0].parent} has annotations that cannot be read: {listed(wrong)}; mend them, or take them out"
        )
    return names, objects


def _annotation(file: Path) -> tuple[str, list[str]]:
    """The image's name and its objects' names. Entities are refused: a few bytes can stand for gigabytes."""
    data = file.read_bytes()
    if len(data) > MOST_BYTES or b"<!ENTITY" in data:
        raise ValueError("larger than 10 MB, or with entities of its own")
    root = ElementTree.fromstring(data)
    name = (root.findtext("filename") or "").strip()
    found = [(item.findtext("name") or "").strip() for item in root.iter("object")]
    if root.tag != "annotation" or not all(found):
        raise ValueError("expected <annotation> with <filename> and an <object><name> for each object")
    return name or file.stem, found


def _author_split(path: Path, options: ReadOptions, annotated: set[str]) -> tuple[dict[str, bool], list[str]]:
    """Annotated image -> whether it validates, by ImageSets/Main/train.txt and val.txt; notes. InputError where they are asked
    for and not there, name an image twice, or name none that has an annotation. annotated: the names of the annotations
    without their ending."""
    lists = [path / "ImageSets" / "Main" / name for name in ("train.txt", "val.txt")]
    there = all(file.is_file() for file in lists)
    if options.split != "given":
        return {}, ["ImageSets/Main is not used: --split given takes its train.txt and val.txt."] if there else []
    if not there:
        raise InputError("--split given: no ImageSets/Main/train.txt and val.txt; take --split random")
    train, validation = ({_stem(name, annotated) for name in _first_words(file)} for file in lists)
    if both := sorted(train & validation):
        raise InputError(
            f"--split given: train.txt and val.txt of {lists[0].parent} both name {len(both)} images: {listed(both)}; take each "
            "out of one of them"
        )
    for file, names in zip(lists, (train, validation)):
        if not names & annotated:
            example = f" ('{min(names)}', say)" if names else ""
            raise InputError(
                f"--split given: {file} names no image that has an annotation{example}; take --split random"
            )
    lacking = sorted((train | validation) - annotated)
    text = f"Names in train.txt or val.txt that have no annotation and are left out: {len(lacking):,}, such as"
    notes = [f"{text} {lacking[0]}."] if lacking else []
    return {name: name in validation for name in (train | validation) & annotated}, notes


def _first_words(file: Path) -> list[str]:
    return [line.split()[0] for line in read_text(file)[0].splitlines() if line.split()]


def _stem(name: str, annotated: set[str]) -> str:
    """A name as its annotation has it: lists may give it with the image's ending."""
    return name if name in annotated or not is_image_name(name) else Path(name).stem

"""Small inputs with the traits of real bug reports, drawn by the tests. Each says what is right; docs/data.md has the rules."""

import codecs
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

N = 10  # images of most cases
KINDS = {".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".bmp": "BMP"}


@dataclass(frozen=True)
class Read:
    """The reading that is right: classes, positives, where the first image lies, and words of the printed reading."""

    classes: tuple[str, ...]
    positives: tuple[int, ...] | None = None
    first: str = ""  # path of the first image, from the case's folder
    says: tuple[str, ...] = ()
    images: int = N
    tests: int = 0
    flags: tuple[tuple[str, object], ...] = ()  # of ReadOptions


@dataclass(frozen=True)
class Refused:
    """Words that the message must have."""

    says: tuple[str, ...]
    flags: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True)
class Case:
    name: str
    draw: Callable[[Path], None]
    right: Read | Refused
    at: str = ""  # what is given for --data, from the case's folder


def picture(path: Path, colour: tuple[int, int, int] = (200, 30, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 10), colour).save(path, KINDS.get(path.suffix.lower(), "PNG"))


def pictures(folder: Path, names: Iterable[str], colour: tuple[int, int, int] | None = None) -> None:
    for i, name in enumerate(names):
        picture(folder / name, colour or (20 * i % 256, 90, 200))


def written(path: Path, text: str, encoding: str = "utf-8", mark: bytes = b"") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(mark + text.encode(encoding))


def table(header: str, row: Callable[[int], str], name: str = "train.csv", images: str = "images/{}.jpg", n: int = N,
          encoding: str = "utf-8", mark: bytes = b"") -> Callable[[Path], None]:  # fmt: skip
    """A drawing of a table with a row for each of n images."""

    def draw(folder: Path) -> None:
        pictures(folder, (images.format(i) for i in range(n)))
        written(folder / name, header + "\n" + "".join(row(i) + "\n" for i in range(n)), encoding, mark)

    return draw


def labels(i: int) -> str:
    return "cat;dog" if i % 2 else "dog"


def bits(i: int, sign: str = ",") -> str:
    return f"{i % 2}{sign}{(i + 1) % 2}"


def coco(name: str = "annotations/instances_train.json", folder: str = "train", mark: bytes = b"", n: int = N,
         images: Callable[[int], dict] | None = None, annotations: list | None = None,
         categories: list | None = None) -> Callable[[Path], None]:  # fmt: skip
    """A drawing of an instances file: categories 7 dog, 3 cat; image i is a cat where i is even."""

    def draw(where: Path) -> None:
        pictures(where, (f"{folder}/{i:06}.jpg" for i in range(n)))
        content = {
            "images": [(images or (lambda i: {"id": i, "file_name": f"{i:06}.jpg"}))(i) for i in range(n)],
            "annotations": annotations if annotations is not None
            else [{"id": i, "image_id": i, "category_id": 3 + 4 * (i % 2)} for i in range(n)],
            "categories": categories or [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}],
        }  # fmt: skip
        written(where / name, json.dumps(content), mark=mark)

    return draw


def both(*drawings: Callable[[Path], None]) -> Callable[[Path], None]:
    def draw(folder: Path) -> None:
        for drawing in drawings:
            drawing(folder)

    return draw


def file(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: written(folder / name, text)


def images_at(pattern: str, n: int = N, colour: tuple[int, int, int] | None = None) -> Callable[[Path], None]:
    return lambda folder: pictures(folder, (pattern.format(i) for i in range(n)), colour)


RED, GREEN, BLUE = (250, 0, 0), (0, 250, 0), (0, 0, 250)
CAT_DOG, BOM = ("cat", "dog"), codecs.BOM_UTF8
LISTS = Read(CAT_DOG, (5, 10), "images/0.jpg")
MATRIX = Read(CAT_DOG, (5, 5), "images/0.jpg")

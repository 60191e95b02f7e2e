"""The embedded data set: JPEG scenes of 18 glyphs, drawn on first use, in the competition's form and oddities."""

import contextlib
import math
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from common.core.dataset import Dataset
from common.core.errors import InputError
from common.core.files import cache_folder, write_text
from common.core.settings import NO_OPTIONS, ReadOptions
from common.data.formats import comp5329
from common.data.tables.columns import no_columns

LOOKS_LIKE = "the word 'demo': drawn on first use, needs no download"
IMAGES = 1000
SIDE = 64  # pixels: EfficientNet-Lite0 gets .73 of the way from prior to oracle at the 95th percentile, VGG19 trains in minutes
SEED = 5329
VERSION = 1  # raise it when the drawing changes: older caches are then not used
LABELS = [*range(1, 12), *range(13, 20)]  # 20 outputs of which 0 and 12 never occur, as in the competition
GLYPHS = (
    "stripes disc rings checks star cross triangle dots zigzag arrow ladder crescent hexagon flower spiral frame bars "
    "heart"
).split()
COMMON = 0.75  # label 1 is in 3 of 4 images, as in the competition (22,797 of 30,000)
TAIL = 0.8  # frequency of the others: rank ** -TAIL
FOLLOWS = 0.5  # a further label is the first one's partner in half of the cases: co-occurrence
CELL = SIDE // 2  # glyphs lie in a 2 x 2 grid, so that none hides another


def recognises(path: Path) -> bool:
    return str(path) == "demo"


def draw_labels(rng: np.random.Generator) -> list[int]:
    """1 to 4 labels of one scene."""
    rest = LABELS[1:]
    weights = np.arange(1, len(rest) + 1) ** -TAIL
    common = rng.random() < COMMON
    extra = rng.choice(3, p=[0.55, 0.33, 0.12]) if common else 1 + rng.choice(3, p=[0.6, 0.3, 0.1])
    chosen: list[int] = []
    while len(chosen) < extra:
        partner = rest[(rest.index(chosen[0]) ^ 1) % len(rest)] if chosen else None
        label = partner if partner and rng.random() < FOLLOWS else int(rng.choice(rest, p=weights / weights.sum()))
        if label not in chosen:
            chosen.append(label)
    return ([1] if common else []) + chosen


def _polygon(n: int, inner: float = 1.0, turn: float = -math.pi / 2) -> list[tuple[float, float]]:
    points = n if inner == 1.0 else 2 * n
    return [
        ((inner if i % 2 and inner != 1.0 else 1) * math.cos(turn + 2 * math.pi * i / points),
         (inner if i % 2 and inner != 1.0 else 1) * math.sin(turn + 2 * math.pi * i / points))
        for i in range(points)
    ]  # fmt: skip


def glyph(name: str, size: int) -> Image.Image:
    """A mask (mode L) of `size` pixels a side."""
    big = size * 4
    mask = Image.new("L", (big, big))
    draw = ImageDraw.Draw(mask)
    u = big / 2

    def at(points: list[tuple[float, float]], scale: float = 0.95) -> list[tuple[float, float]]:
        return [(u + scale * u * x, u + scale * u * y) for x, y in points]

    def box(r: float) -> list[float]:
        return [u - r * u, u - r * u, u + r * u, u + r * u]

    wide = max(2, big // 12)
    if name == "stripes":
        for i in range(-8, 8):
            draw.line(at([(i / 4 - 1, -1), (i / 4 + 1, 1)]), fill=255, width=wide)
    elif name == "disc":
        draw.ellipse(box(0.9), fill=255)
    elif name == "rings":
        for r in (0.95, 0.6, 0.25):
            draw.ellipse(box(r), outline=255, width=wide)
    elif name == "checks":
        for i in range(4):
            for j in range(i % 2, 4, 2):
                draw.rectangle([i * big / 4, j * big / 4, (i + 1) * big / 4, (j + 1) * big / 4], fill=255)
    elif name == "star":
        draw.polygon(at(_polygon(5, 0.4)), fill=255)
    elif name == "cross":
        draw.rectangle([u - u / 3, 0, u + u / 3, big], fill=255)
        draw.rectangle([0, u - u / 3, big, u + u / 3], fill=255)
    elif name == "triangle":
        draw.polygon(at(_polygon(3)), fill=255)
    elif name == "dots":
        for i in range(4):
            for j in range(4):
                x, y = (i + 0.5) * big / 4, (j + 0.5) * big / 4
                draw.ellipse([x - big / 12, y - big / 12, x + big / 12, y + big / 12], fill=255)
    elif name == "zigzag":
        for y in (-0.6, 0.0, 0.6):
            line = [(-1 + i / 3, y + (0.25 if i % 2 else -0.25)) for i in range(7)]
            draw.line(at(line), fill=255, width=wide, joint="curve")
    elif name == "arrow":
        draw.polygon(at([(-1, -0.3), (0.1, -0.3), (0.1, -0.8), (1, 0), (0.1, 0.8), (0.1, 0.3), (-1, 0.3)]), fill=255)
    elif name == "ladder":
        for x in (-0.6, 0.6):
            draw.line(at([(x, -1), (x, 1)]), fill=255, width=wide)
        for y in (-0.75, -0.25, 0.25, 0.75):
            draw.line(at([(-0.6, y), (0.6, y)]), fill=255, width=wide)
    elif name == "crescent":
        draw.ellipse(box(0.95), fill=255)
        draw.ellipse([u * 0.55, u * 0.1, u * 2.2, u * 1.75], fill=0)
    elif name == "hexagon":
        draw.polygon(at(_polygon(6)), outline=255, width=wide * 2)
    elif name == "flower":
        for x, y in _polygon(6):
            cx, cy = u + 0.6 * u * x, u + 0.6 * u * y
            draw.ellipse([cx - u / 3, cy - u / 3, cx + u / 3, cy + u / 3], outline=255, width=wide)
    elif name == "spiral":
        turn = [(t / 60 * math.cos(t / 3), t / 60 * math.sin(t / 3)) for t in range(60)]
        draw.line(at(turn), fill=255, width=wide, joint="curve")
    elif name == "frame":
        draw.rectangle(box(0.9), outline=255, width=wide * 2)
    elif name == "bars":
        for i in range(4):
            draw.rectangle([i * big / 4, 0, i * big / 4 + big / 8, big], fill=255)
    elif name == "heart":
        curve = [i * math.pi / 40 for i in range(80)]
        shape = [
            (math.sin(t) ** 3, -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 16)
            for t in curve
        ]
        draw.polygon(at(shape), fill=255)
    return mask.resize((size, size), Image.Resampling.LANCZOS)


def scene(rng: np.random.Generator, labels: list[int]) -> Image.Image:
    """Soft noise with a glyph per label; colours say nothing about the labels."""
    base = rng.uniform(60, 196, 3)
    noise = rng.normal(0, 28, (6, 6, 3)) + base
    ground = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    cells = rng.permutation(4)
    for label, cell in zip(labels, cells):
        size = int(rng.integers(round(CELL * 0.75), CELL))
        x = cell % 2 * CELL + int(rng.integers(0, CELL - size + 1))
        y = cell // 2 * CELL + int(rng.integers(0, CELL - size + 1))
        away = 1 if base.mean() < 128 else -1
        colour = np.clip(base + away * rng.uniform(60, 150, 3), 0, 255).astype(int)
        mask = glyph(GLYPHS[LABELS.index(label)], size).rotate(float(rng.uniform(-12, 12)), Image.Resampling.BILINEAR)
        ground.paste(tuple(int(c) for c in colour), (x, y), mask)
    return ground


def caption(rng: np.random.Generator, labels: list[int]) -> str:
    """Words with the competition's oddities: quotes that are not escaped, and now and then a line break."""
    words = [GLYPHS[LABELS.index(label)] for label in labels]
    if rng.random() < 0.02:
        words[0] = f'"{words[0]}"'
    return "A picture of " + " and ".join(words) + ("\nand nothing else." if rng.random() < 0.01 else ".")


def draw(folder: Path, images: int = IMAGES) -> None:
    """Write train.csv and data/N.jpg; the same bytes on every machine with the same Pillow."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    table = [comp5329.HEADER]
    for i in range(images):
        rng = np.random.default_rng([SEED, i])
        labels = draw_labels(rng)
        scene(rng, labels).save(folder / "data" / f"{i}.jpg", quality=90)
        order = rng.permutation(labels)
        table.append(f'{i}.jpg,{" ".join(map(str, order))},"{caption(rng, labels)}"')
    write_text(folder / "train.csv", "\n".join(table) + "\n")


def read(path: Path, options: ReadOptions = NO_OPTIONS) -> Dataset:
    """The 1,000 scenes, drawn into the cache on first use. InputError for a folder: they are drawn, not read."""
    if not recognises(path):
        raise InputError(f"--format demo draws its own images and reads none from '{path}'; take --data demo")
    no_columns("demo", options)
    folder = cache_folder() / f"demo-{IMAGES}x{SIDE}-v{VERSION}"
    if not (folder / "train.csv").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        drawn = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".demo-"))
        try:
            draw(drawn)
            if not (folder / "train.csv").exists():
                shutil.rmtree(folder, ignore_errors=True)  # what a prune that was stopped left
            with contextlib.suppress(OSError):  # another run was first, with the same bytes
                drawn.rename(folder)
        finally:
            shutil.rmtree(drawn, ignore_errors=True)
    data = comp5329.read(folder, name="demo")
    names = tuple(GLYPHS[LABELS.index(c)] if c in LABELS else f"unused_{c}" for c in range(comp5329.CLASSES))
    return replace(data, class_names=names, default_side=SIDE)

"""How long it takes to read labels and to plan, without decoding an image."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from common.cli.options import positive
from common.cli.parser import Options, Parser
from common.core.specs import PlanSpec
from common.data.formats import csv
from common.data.plan import make_plan
from common.data.stratify import iterative_split
from common.report.output import Output

ABOUT = "a plan of 1,000,000 images: at most 10 s; an iterative split of 30,000: 5 s; 300 label columns: 20 s"
LIMITS_S = {"plan": 10.0, "split": 5.0, "columns": 20.0}
FREQUENCIES = np.linspace(0.01, 0.145, 20)  # 1.55 labels an image, as in the COMP5329 table


def drawn(images: int) -> np.ndarray:
    """uint8 [images, 20]: independent labels, which form far more label sets than a real table has."""
    return (np.random.default_rng(0).random((images, 20), np.float32) < FREQUENCIES).astype(np.uint8)


def plan(images: int) -> None:
    make_plan(drawn(images), PlanSpec(seed=0, balance="oversample"), 2)


def split(images: int) -> None:
    iterative_split(drawn(images), images // 5, np.random.default_rng(0))


def columns(images: int) -> None:
    """A table with a column for each of 300 classes. Comparing each column with all others took minutes."""
    header = "image," + ",".join(f"c{k}" for k in range(300))
    lines = [f"{i}.jpg," + ",".join(str(int((i + k) % 7 == 0)) for k in range(300)) for i in range(images)]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "train.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
        csv.read(Path(folder))


TASKS: dict[str, tuple[Callable[[int], None], int]] = {
    "plan": (plan, 1_000_000),
    "split": (split, 30_000),
    "columns": (columns, 2_000),
}


def add_flags(parser: Parser) -> None:
    parser.add_argument("--repeats", type=positive, default=3, help="the fastest counts: other work only adds time")


def run(options: Options, output: Output) -> int:
    kept = True
    for name, (task, images) in TASKS.items():
        seconds = []
        for _ in range(options.repeats):
            start = time.perf_counter()
            task(images)
            seconds.append(time.perf_counter() - start)
        output.show_line(f"{name} of {images:,} images: {min(seconds):.2f} s; limit {LIMITS_S[name]:g} s")
        kept = kept and min(seconds) <= LIMITS_S[name]
    return int(not kept)

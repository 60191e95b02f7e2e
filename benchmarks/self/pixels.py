"""How near filling the pixel store comes to the single-core speed of Pillow times the cores."""

import tempfile
import time
from pathlib import Path

import numpy as np

from common.decode import decode
from common.loading import format_of
from common.machine import cores
from common.parser import Parser
from common.pixels import fill

ABOUT = "filling the pixel store: at least 90 % of cores x single-core Pillow"
LIMIT = 0.9


def single_core(paths: list[str], side: int) -> float:
    """Images/s of the decoder alone, on one core, nothing written."""
    start = time.perf_counter()
    for path in paths:
        decode(path, side)
    return len(paths) / (time.perf_counter() - start)


def main(arguments: list[str]) -> int:
    parser = Parser(prog="run_bench.py self pixels", description=ABOUT)
    parser.add_argument("--data", default="demo", help="a folder, or demo")
    parser.add_argument("--image-size", type=int, default=None)
    parser.add_argument(
        "--images",
        type=int,
        default=10_000,
        help="the data's rows are repeated up to so many; where their pixels exceed what the system holds before it "
        "writes to disk (Linux: 10 %% of the memory), the disk is measured too",
    )
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error("--repeats is at least 1")
    path = Path(options.data)
    data = format_of(path).read(path)
    side = options.image_size or data.default_side
    # The same images again and again: starting the workers must not be what is measured.
    many = data.paths[np.arange(options.images) % len(data)]
    sample = many[: min(options.images // 4, 2000)].tolist()
    single_core(sample, side)  # the files come from the disk once, outside the clock
    shares = []
    for _ in range(options.repeats):
        alone = single_core(sample, side)
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            fill(data.name, many, side, Path(folder), lambda text: None, lambda done, total: None)
            rate = options.images / (time.perf_counter() - start)
        alone = (alone + single_core(sample, side)) / 2
        shares.append(rate / (cores() * alone))
        print(f"{rate:,.0f} images/s filled, {alone:,.0f} a core decoded: {shares[-1]:.0%} of {cores()} cores")
    middle = float(np.median(shares))
    print(f"median {middle:.0%} ({min(shares):.0%} to {max(shares):.0%}); limit {LIMIT:.0%}")
    return int(middle < LIMIT)

"""How near filling the pixel store comes to the single-core speed of Pillow times the cores, and how fast it is read back."""

import tempfile
import time
from pathlib import Path

import numpy as np

from common.cli.options import positive
from common.cli.parser import Options, Parser
from common.core.errors import InputError
from common.core.machine import cores
from common.core.registry import format_of
from common.data.chunk_store import ChunkStore
from common.data.decode import ImageError, decode
from common.data.pixel_store import fill, hash_contents
from common.report.output import Output

ABOUT = "filling the pixel store: at least 90 % of cores x single-core Pillow; reading it: 3,000 images/s"
LIMIT, READ = 0.9, 3000.0
BATCH = 32


def single_core(paths: list[str], side: int) -> float:
    """Images/s of the decoder alone, on one core, nothing written."""
    start = time.perf_counter()
    for path in paths:
        try:
            decode(path, side)
        except ImageError as error:
            raise InputError(f"{path}: {error}; take other --data, or mend it") from error
    return len(paths) / (time.perf_counter() - start)


def read_back(folder: Path, order: np.ndarray) -> float:
    """Images/s of a pass over the store in that order, a batch at a time; the system has the file in its memory."""
    store, start = ChunkStore(folder), time.perf_counter()
    for at in range(0, len(order), BATCH):
        store.read(order[at : at + BATCH])
    return len(order) / (time.perf_counter() - start)


def add_flags(parser: Parser) -> None:
    parser.add_argument("--data", default="demo", help="a folder, or demo")
    parser.add_argument("--image-size", type=positive, default=None)
    parser.add_argument(
        "--images",
        type=positive,
        default=10_000,
        help="the data's rows are repeated up to so many; where their pixels exceed what the system holds before it "
        "writes to disk (Linux: 10 %% of the memory), the disk is measured too",
    )
    parser.add_argument("--repeats", type=positive, default=3)


def run(options: Options, output: Output) -> int:
    path = Path(options.data)
    data = format_of(path).read(path)
    side = options.image_size or data.default_side
    # The same images again and again: starting the workers must not be what is measured.
    many = data.paths[np.arange(options.images) % len(data)]
    sample = many[: min(max(1, options.images // 4), 2000)].tolist()
    single_core(sample, side)  # the files come from the disk once, outside the clock
    shares, reads = [], []
    for _ in range(options.repeats):
        alone = single_core(sample, side)
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            fill(Path(folder), many, hash_contents(many), side)
            rate = options.images / (time.perf_counter() - start)
            reads.append(read_back(Path(folder), np.random.default_rng(0).permutation(options.images)))
        alone = (alone + single_core(sample, side)) / 2
        shares.append(rate / (cores() * alone))
        output.show_line(
            f"{rate:,.0f} images/s filled, {alone:,.0f} a core decoded: {shares[-1]:.0%} of {cores()} cores; {reads[-1]:,.0f} read back"
        )
    middle = float(np.median(shares))
    output.show_line(f"median {middle:.0%} ({min(shares):.0%} to {max(shares):.0%}); limit {LIMIT:.0%}")
    output.show_line(f"read back: median {np.median(reads):,.0f} images/s; limit {READ:,.0f}")
    return int(middle < LIMIT or np.median(reads) < READ)

"""How time and memory grow with the number of images: plan, balance, scores, reading the pixel store."""

import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from common.analysis.scores import at_percentile
from common.cli.options import positive
from common.cli.parser import Options, Parser
from common.core.errors import InputError
from common.core.formatting import size_text
from common.core.specs import Plan, PlanSpec
from common.data.balance import audit
from common.data.chunk_store import Rows
from common.data.plan import make_plan
from common.report.output import Output

ABOUT = "plan, balance, scores and store reading from 1,000 to 1,000,000 images: time and memory grow at most as n^1.1"
LIMIT = 1.1  # an exponent; n log n is 1.07 between a thousand and a million
READING = "reading a store"  # of pixels or features: both read their rows so
FLAT = {
    READING: 0.1
}  # exponents of memory where nothing is kept of what was read; elsewhere the tables themselves grow
SIZES = (1_000, 10_000, 100_000, 1_000_000)
CLASSES, SIDE, BATCH = 20, 8, 1024  # the store's images are tiny: what grows is how many there are


def tasks(n: int, folder: Path) -> dict[str, Callable[[], object]]:
    """What is measured, on n synthetic rows whose labels are about as rare as COCO's."""
    rng = np.random.default_rng(0)
    rarity = np.geomspace(0.4, 0.01, CLASSES)
    labels = (rng.random((n, CLASSES)) < rarity).astype(np.uint8)
    scores, everything = rng.random((n, CLASSES), np.float32), np.arange(n)
    pixels = folder / f"{n}.u8"
    with open(pixels, "wb") as stream:
        stream.truncate(n * SIDE * SIDE * 3)
    store, order = Rows(pixels, "uint8", (SIDE, SIDE, 3)), rng.permutation(n)

    def planned(**how: Any) -> Plan:
        return make_plan(labels, PlanSpec(seed=0, **how), 2, everything, everything[:0])

    plan = planned(balance="oversample")

    def read() -> None:
        for at in range(0, n, BATCH):
            store.read(order[at : at + BATCH])

    return {
        "plan and orders": planned,
        "plan, oversampled": lambda: planned(balance="oversample"),
        "plan, undersampled": lambda: planned(balance="undersample"),
        "plan, iterative split": lambda: planned(split="iterative"),
        "audit of the balance": lambda: audit(labels, plan.train_rows, plan.visits),
        "scores at one percentile": lambda: at_percentile(scores, labels, 95.0),
        READING: read,
    }


def add_flags(parser: Parser) -> None:
    parser.add_argument("--sizes", nargs="+", type=positive, default=SIZES, help="at least two, growing")
    parser.add_argument("--repeats", type=positive, default=3, help="the fastest counts: other work only adds time")


def run(options: Options, output: Output) -> int:
    sizes = sorted(set(options.sizes))
    if len(sizes) < 2 or sizes[0] < 100:
        raise InputError("--sizes are at least two, of 100 and more; see run_bench.py self scale --help")
    seconds: dict[str, list[float]] = {}
    peaks: dict[str, list[int]] = {}
    for n in sizes:
        with tempfile.TemporaryDirectory() as folder:
            for name, task in tasks(n, Path(folder)).items():
                took = []
                for _ in range(options.repeats):
                    began = time.perf_counter()
                    task()
                    took.append(time.perf_counter() - began)
                tracemalloc.start()  # apart: it slows what it traces
                task()
                peaks.setdefault(name, []).append(tracemalloc.get_traced_memory()[1])
                tracemalloc.stop()
                seconds.setdefault(name, []).append(min(took))
        output.show_line(f"{n:,} images done")
    output.show_line(
        "\n| what | " + " | ".join(f"s at {n:,}" for n in sizes) + f" | exponent | memory at {sizes[-1]:,} | exponent |"
    )
    output.show_line("| --- |" + " --- |" * (len(sizes) + 3))
    worst, kept = 0.0, True
    for name, took in seconds.items():
        # Of the two largest: below, what does not grow with n counts.
        times, memory = (float(np.log(x[-1] / x[-2]) / np.log(sizes[-1] / sizes[-2])) for x in (took, peaks[name]))
        limit = FLAT.get(name, LIMIT)
        worst, kept = max(worst, times, memory if limit == LIMIT else 0.0), kept and times <= LIMIT and memory <= limit
        cells = " | ".join(f"{s:.4f}" for s in took)
        output.show_line(f"| {name} | {cells} | {times:.2f} | {size_text(peaks[name][-1])} | {memory:.2f} |")
    flat = ", ".join(f"of the memory of {name} {limit:g}" for name, limit in FLAT.items())
    output.show_line(f"\nlargest exponent {worst:.2f}; limit {LIMIT:g}, {flat}")
    return int(not kept)

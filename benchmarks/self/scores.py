"""How long one percentile table over 1,000,000 images takes."""

import time

import numpy as np

from common.analysis.scores import at_percentile
from common.cli.options import positive
from common.cli.parser import Options, Parser
from common.report.output import Output

ABOUT = "1,000,000 x 20 scores to one percentile table: at most 5 s"
LIMIT_S = 5.0


def add_flags(parser: Parser) -> None:
    parser.add_argument("--rows", type=positive, default=1_000_000)
    parser.add_argument("--repeats", type=positive, default=5)


def run(options: Options, output: Output) -> int:
    rng = np.random.default_rng(0)
    scores = rng.random((options.rows, 20), np.float32)
    labels = (rng.random((options.rows, 20), np.float32) < 0.08).astype(np.uint8)
    seconds = []
    for _ in range(options.repeats):
        start = time.perf_counter()
        at_percentile(scores, labels, 95.0)
        seconds.append(time.perf_counter() - start)
    middle = float(np.median(seconds))
    output.show_line(
        f"{options.rows:,} x 20: {middle:.2f} s (median of {len(seconds)}, {min(seconds):.2f} to {max(seconds):.2f}); limit {LIMIT_S:g} s"
    )
    return int(middle > LIMIT_S)

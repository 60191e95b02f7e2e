"""How long the command line takes to answer `--help`, in a process of its own."""

import subprocess
import sys
import time

from common.cli.options import positive
from common.cli.parser import Options, Parser
from common.core.files import PROJECT
from common.report.output import Output

ABOUT = "run_bench.py --help, from start to exit: at most 0.5 s"
LIMIT_S = 0.5


def help_s() -> float:
    """Seconds from the start of the process to its end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, PROJECT / "run_bench.py", "--help"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def add_flags(parser: Parser) -> None:
    parser.add_argument("--repeats", type=positive, default=5, help="the fastest counts: other work only adds time")


def run(options: Options, output: Output) -> int:
    seconds = [help_s() for _ in range(options.repeats)]
    output.show_line(
        f"--help: {min(seconds):.2f} s (fastest of {len(seconds)}, slowest {max(seconds):.2f}); limit {LIMIT_S:g} s"
    )
    return int(min(seconds) > LIMIT_S)

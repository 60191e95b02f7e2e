"""The frozen pass, by framework: the tuned lane's against a plain one in bfloat16, and against the machine's peak."""

from collections.abc import Sequence

import numpy as np

from common.cli.options import positive
from common.cli.parser import Options, Parser
from common.core import registry
from common.core.errors import InputError
from common.core.formatting import config_text
from common.core.machine import cores
from common.core.settings import Settings
from common.core.specs import BuildSpec, Job
from common.process.question import ask
from common.process.questions import FROZEN_PASS, FrozenPass
from common.report.output import Output
from common.run.jobs import list_jobs
from frameworks.contract import UNCHANGED

ABOUT = "the frozen pass, tuned: at least 80 % of the machine's peak, or twice a plain bfloat16 pass"
SHARE, TIMES = 0.8, 2.0
TWICE = (
    "efficientnet_lite0",
)  # its depthwise layers do little arithmetic on each value, and reach no such share: the second limit is theirs
JOBS = ("efficientnet_lite0/head", "resnet50:v1/last-block", "resnet50:v1/head", "vgg19/head")  # model/what trains
TRAINED = ("head", "last-block")  # what may train, that something is frozen
CLASSES = 20
HEAD = "| row | frozen | plain bfloat16, 64 at once | tuned | times | way | GFLOP an image | GFLOP/s | of the peak | MB an image | of a copy |"

Answers = dict[tuple[str, str], list[FrozenPass]]  # (row, what is frozen) -> what each repeat found


def add_flags(parser: Parser) -> None:
    parser.add_argument("--frameworks", nargs="+", default=registry.real())
    parser.add_argument("--jobs", nargs="+", default=JOBS, metavar="MODEL/TRAINED", help=f"default: {' '.join(JOBS)}")
    parser.add_argument("--image-size", type=positive, default=224)
    parser.add_argument("--images", type=positive, default=64, help="kept in memory")
    parser.add_argument("--repeats", type=positive, default=3)


def run(options: Options, output: Output) -> int:
    found: Answers = {}
    jobs = jobs_of(options.frameworks, options.jobs)
    for _ in range(options.repeats):
        for job, trained in jobs:
            row = (f"{job.framework} {job.model}", f"not {trained}")
            spec = BuildSpec(model=job.model, classes=CLASSES, side=options.image_size, preprocessing=UNCHANGED,
                             train=trained, learning_rate=1e-3)  # fmt: skip
            answer = ask(job.framework, FROZEN_PASS, cores(), spec=spec, images=options.images)
            found.setdefault(row, []).append(answer)
            for tried in answer.tried:
                output.show_line(f"{row[0]}: {tried}")
    output.show_line(
        f"\nmedians of {options.repeats} (lowest to highest); images/s of the fastest call, as the peak is"
    )
    text, kept = judged(found)
    output.show_line(text)
    return int(not kept)


def jobs_of(frameworks: Sequence[str], wanted: Sequence[str]) -> list[tuple[Job, str]]:
    """Each framework that has the model, with what trains of it: the rest is frozen."""
    for job in wanted:
        if job.partition("/")[2] not in TRAINED:
            raise InputError(f"--jobs: {job!r} is not MODEL/TRAINED; TRAINED is {' or '.join(TRAINED)}, e.g. {JOBS[0]}")
    return [
        (job, trained)
        for model, trained in (each.partition("/")[::2] for each in wanted)
        for job in list_jobs(Settings(frameworks=tuple(frameworks), models=(model,)))[0]
    ]


def judged(found: Answers) -> tuple[str, bool]:
    """The table, and whether every row keeps its limit. The peak of a precision is the best that any answer saw."""
    peaks: dict[str, float] = {}
    for answer in (a for answers in found.values() for a in answers):
        precision = str(answer.config["precision"])
        peaks[precision] = max(peaks.get(precision, 0.0), answer.peak)
    lines, short = [HEAD, "|" + " --- |" * HEAD.count(" | ") + " --- |"], []
    for (row, frozen), answers in found.items():
        last = answers[-1]
        tuned = [a.tuned for a in answers]
        times = [a.tuned / a.bare for a in answers]
        shares = [a.tuned * a.gflop / peaks[str(a.config["precision"])] for a in answers]
        kept = np.median(times) >= TIMES if row.split()[-1] in TWICE else np.median(shares) >= SHARE
        short += [] if kept else [f"{row} ({frozen})"]
        cells = (
            row, frozen, f"{np.median([a.bare for a in answers]):.1f}", _spread(tuned, ".1f"), _spread(times, ".2f"),
            config_text(last.config), f"{last.gflop:.2f}", f"{np.median(tuned) * last.gflop:.0f}", _spread(shares, ".0%"),
            f"{last.moved_mb:.1f}", _spread([a.tuned * a.moved_mb / 1e3 / a.copied_gb_s for a in answers], ".0%"),
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    lines.append(
        f"limit: {SHARE:.0%} of the peak" + "".join(f"; of {model} {TIMES:g} times the plain pass" for model in TWICE)
        + (f"; not kept by: {', '.join(short)}" if short else "")
    )  # fmt: skip
    lines += [f"peak in {precision}: {value:.0f} GFLOP/s" for precision, value in peaks.items()]
    lines.append(
        "MB an image: what the convolutions write and read again, in 16 bits. of a copy: that, a second, over what all cores "
        "read and write that copy as much as a micro batch moves in a layer"
    )
    return "\n".join(lines), not short


def _spread(values: list[float], form: str) -> str:
    return f"{np.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"

"""The frozen pass, by framework: the tuned lane's against a plain one in bfloat16, and against the machine's peak."""

import numpy as np

from common import loading, select
from common.child import ask
from common.machine import cores
from common.parser import Parser
from common.types import BuildSpec, Settings, way_words
from frameworks.contract import UNCHANGED

ABOUT = "the frozen pass, tuned: at least 80 % of the machine's peak, or twice a plain bfloat16 pass"
SHARE, TIMES = 0.8, 2.0
JOBS = ("efficientnet_lite0/head", "resnet50:v1/last-block", "resnet50:v1/head", "vgg19/head")  # model/what trains
CLASSES = 20


def main(arguments: list[str]) -> int:
    parser = Parser(prog="run_bench.py self frozen", description=ABOUT)
    parser.add_argument("--frameworks", nargs="+", default=loading.real())
    parser.add_argument("--jobs", nargs="+", default=JOBS, metavar="MODEL/TRAINED", help=f"default: {' '.join(JOBS)}")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--images", type=int, default=64, help="kept in memory")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    if min(options.image_size, options.images, options.repeats) < 1:
        parser.error("every number is at least 1")
    wanted = [job.partition("/")[::2] for job in options.jobs]
    jobs = [
        (job, trained)
        for model, trained in wanted
        for job in select.jobs(Settings(frameworks=tuple(options.frameworks), models=(model,)))[0]
    ]
    found: dict[tuple[str, str], list[dict]] = {}
    for _ in range(options.repeats):
        for job, trained in jobs:
            spec = BuildSpec(model=job.model, classes=CLASSES, side=options.image_size, preprocessing=UNCHANGED,
                             train=trained, learning_rate=1e-3)  # fmt: skip
            label = (f"{job.framework} {job.model}", f"not {trained}")
            answer = ask(job.framework, "frozen_pass", cores(), spec=spec.model_dump(), images=options.images)
            found.setdefault(label, []).append(answer)
            for said in answer["tried"]:
                print(f"{label[0]}: {way_words(said['way'])}: {_outcome(said)}", flush=True)
    peaks: dict[str, float] = {}
    for answer in (a for answers in found.values() for a in answers):
        precision = answer["way"]["precision"]
        peaks[precision] = max(peaks.get(precision, 0.0), answer["peak"])
    print(f"\nmedians of {options.repeats} (lowest to highest); images/s of the fastest call, as the peak is")
    print(
        "| row | frozen | plain bfloat16, 64 at once | tuned | times | way | GFLOP an image | GFLOP/s | of the peak |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    missed = 0
    for (row, frozen), answers in found.items():
        last = answers[-1]
        tuned = [a["tuned"] for a in answers]
        times = [a["tuned"] / a["bare"] for a in answers]
        shares = [a["tuned"] * a["gflop"] / peaks[a["way"]["precision"]] for a in answers]
        missed += np.median(shares) < SHARE and np.median(times) < TIMES
        bare = float(np.median([a["bare"] for a in answers]))
        print(
            f"| {row} | {frozen} | {bare:.1f} | {_spread(tuned, '.1f')} | {_spread(times, '.2f')} | {way_words(last['way'])} | "
            f"{last['gflop']:.2f} | {np.median(tuned) * last['gflop']:.0f} | {_spread(shares, '.0%')} |"
        )
    print(*(f"peak in {precision}: {value:.0f} GFLOP/s" for precision, value in peaks.items()), sep="\n")
    return int(missed > 0)


def _outcome(said: dict) -> str:
    if "images_per_s" not in said:
        return said.get("skipped") or f"failed: {said['failed']}"
    return f"{said['images_per_s']:.1f} images/s, built in {said['build_s']:.1f} s"


def _spread(values: list[float], form: str) -> str:
    return f"{np.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"

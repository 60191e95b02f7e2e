"""What a training step costs over its forward pass, by framework: the backward pass of everything, measured."""

import numpy as np

from common.cli.options import positive
from common.cli.parser import Options, Parser
from common.core import registry
from common.core.machine import cores
from common.core.settings import Settings
from common.core.specs import BuildSpec
from common.process.question import ask
from common.process.questions import STEP_SECONDS
from common.report.output import Output
from common.run.jobs import list_jobs
from frameworks.contract import UNCHANGED

ABOUT = "the forward pass and a training step of everything, from one batch in memory, in turn (no limit)"
MODELS = ("resnet50:v1.5", "resnext50_32x4d")  # alike but for the grouped convolutions
CLASSES = 20


def add_flags(parser: Parser) -> None:
    parser.add_argument("--frameworks", nargs="+", default=registry.real())
    parser.add_argument("--models", nargs="+", default=MODELS, help=f"default: {' '.join(MODELS)}")
    parser.add_argument("--image-size", type=positive, default=224)
    parser.add_argument("--batch-size", type=positive, default=8)
    parser.add_argument("--steps", type=positive, default=2, help="batches of a pass, of which the second is measured")
    parser.add_argument("--repeats", type=positive, default=3)


def run(options: Options, output: Output) -> int:
    settings = Settings(frameworks=tuple(options.frameworks), models=tuple(options.models), formulas="matched")
    jobs, notes = list_jobs(settings)
    for note in notes:
        output.show_line(note)
    seconds: dict[str, list[dict[str, float]]] = {}
    for _ in range(options.repeats):
        for job in jobs:
            spec = BuildSpec(model=job.model, classes=CLASSES, side=options.image_size, preprocessing=UNCHANGED,
                             train="all", learning_rate=1e-3, formulas="matched")  # fmt: skip
            label = f"{job.framework} {job.model}"
            size = {"images": options.batch_size, "steps": options.steps}
            seconds.setdefault(label, []).append(ask(job.framework, STEP_SECONDS, cores(), spec=spec, **size))
            forward, step = (seconds[label][-1][what] for what in ("forward", "step"))
            output.show_line(f"{label}: forward {forward:.3f} s, step {step:.3f} s")
    output.show_line(
        f"\nmedians of {options.repeats}, {options.batch_size} images at {options.image_size} pixels, seconds"
    )
    output.show_line("| row | forward | training step | the rest of it: backward, optimiser | of the forward pass |")
    output.show_line("| --- | --- | --- | --- | --- |")
    for label, found in seconds.items():
        forward, step = (float(np.median([f[what] for f in found])) for what in ("forward", "step"))
        output.show_line(
            f"| {label} | {forward:.3f} | {step:.3f} | {step - forward:.3f} | {(step - forward) / forward:.1f} x |"
        )
    return 0

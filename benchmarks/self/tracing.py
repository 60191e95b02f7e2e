"""What taking steps apart costs: seconds of a tiny step with and without it, over a step of the lightest trial here."""

from typing import Any

from common.cli.options import positive
from common.cli.parser import Options, Parser
from common.core import registry
from common.core.machine import cores
from common.core.specs import BuildSpec, ModelSpec
from common.process.question import Question, ask
from common.process.questions import STEP_SECONDS, TRACING_SECONDS
from common.report.output import Output
from frameworks.contract import UNCHANGED

ABOUT = "telling a step's parts apart over the step, of the lightest trial here: at most 1 %"
LIMIT = 0.01
MODEL = ModelSpec(name="efficientnet_lite0")
TINY = {"images": 1, "steps": 60}  # at 32 pixels: a few milliseconds, in which a tenth of one can be seen


def share(framework: str, side: int, times: int, output: Output) -> float:
    """Both in one process, in turn: two processes differed by a millisecond a step."""

    def asked(question: Question[dict[str, float]], side: int, **how: Any) -> dict[str, float]:
        spec = BuildSpec(model=MODEL, classes=20, side=side, preprocessing=UNCHANGED, train="head", learning_rate=1e-3)
        return ask(framework, question, cores(), spec=spec, **how)

    tiny, usual = (
        asked(TRACING_SECONDS, 32, times=times, **TINY),
        asked(STEP_SECONDS, side, images=32, steps=4)["step"],
    )
    cost = max(tiny["apart"] - tiny["whole"], 0.0)
    output.show_line(
        f"{framework} {MODEL}: {1000 * tiny['apart']:.2f} ms a tiny step, {1000 * tiny['whole']:.2f} not taken apart; of a step "
        f"of 32 images at {side} pixels, {1000 * usual:.0f} ms, the difference is {cost / usual:.2%}; limit {LIMIT:.0%}"
    )
    return cost / usual


def add_flags(parser: Parser) -> None:
    parser.add_argument("--frameworks", nargs="+", default=registry.real(MODEL.name))
    parser.add_argument("--image-size", type=positive, default=64)
    parser.add_argument("--repeats", type=positive, default=20, help="passes of each, of which the fastest counts")


def run(options: Options, output: Output) -> int:
    shares = [
        share(registry.framework_info(f).NAME, options.image_size, options.repeats, output) for f in options.frameworks
    ]
    return int(max(shares) > LIMIT)

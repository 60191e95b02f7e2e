"""What taking steps apart costs: seconds of a tiny step with and without it, over a step of the lightest trial here."""

from common import loading
from common.child import ask
from common.machine import cores
from common.parser import Parser
from common.types import BuildSpec, ModelSpec
from frameworks.contract import UNCHANGED

ABOUT = "telling a step's parts apart over the step, of the lightest trial here: at most 1 %"
LIMIT = 0.01
MODEL = ModelSpec(name="efficientnet_lite0")
TINY = {"images": 1, "steps": 60}  # at 32 pixels: a few milliseconds, in which a tenth of one can be seen
USUAL = {"images": 32, "steps": 2}


def share(framework: str, side: int, repeats: int) -> float:
    """The fastest of the repeats each, taken in turn: other work only adds time."""

    def step(side: int, **how: int | bool) -> float:
        spec = BuildSpec(model=MODEL, classes=20, side=side, preprocessing=UNCHANGED, train="head", learning_rate=1e-3)
        return ask(framework, "step_seconds", cores(), spec=spec.model_dump(), **how)["step"]

    pairs = [[step(32, takes_apart=on, **TINY) for on in (True, False)] for _ in range(repeats)]
    told, plain = (min(took) for took in zip(*pairs))
    usual = step(side, **USUAL)
    cost = max(told - plain, 0.0)
    print(
        f"{framework} {MODEL}: {1000 * told:.2f} ms a tiny step, {1000 * plain:.2f} not taken apart; of a step of {USUAL['images']} "
        f"images at {side} pixels, {1000 * usual:.0f} ms, the difference is {cost / usual:.2%}; limit {LIMIT:.0%}",
        flush=True,
    )
    return cost / usual


def main(arguments: list[str]) -> int:
    parser = Parser(prog="run_bench.py self tracing", description=ABOUT)
    having = [c.NAME for c in loading.framework_cards().values() if MODEL.name in c.MODELS and c.DEFAULT_MODELS]
    parser.add_argument("--frameworks", nargs="+", default=having)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    if min(options.image_size, options.repeats) < 1:
        parser.error("every number is at least 1")
    shares = [share(loading.framework_card(f).NAME, options.image_size, options.repeats) for f in options.frameworks]
    return int(max(shares) > LIMIT)

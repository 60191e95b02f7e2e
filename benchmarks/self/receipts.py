"""What the receipts cost: seconds of a batch's receipt over seconds of a training step."""

import tempfile
from pathlib import Path

import numpy as np

from common.analysis.records import read_trial
from common.cli.options import positive, several
from common.cli.parser import Options, Parser
from common.core import registry
from common.core.callbacks import silent
from common.core.errors import InputError
from common.core.settings import Settings
from common.core.specs import BuildSpec
from common.process.question import ask
from common.process.questions import RECEIPT_SECONDS
from common.report.output import Output
from common.report.progress import Silent
from common.run.prepare import make_run
from common.run.runner import run_trial

ABOUT = "a step's receipt over the step, of the lightest trial here: at most 1 %"
LIMIT = 0.01
MODEL = "efficientnet_lite0"  # its head trains 15 to 40 times as many images a second as a ResNet's last block


def share(framework: str, options: Options, output: Output) -> float:
    """Median step of the later epochs; the receipt as a call of its own, its way to the device and back included."""
    with tempfile.TemporaryDirectory() as parent:
        settings = Settings(
            frameworks=(framework,), models=(MODEL,), epochs=options.epochs, data=options.data,
            image_size=options.image_size, results_dir=parent, name="receipts", device="cpu",
        )  # fmt: skip
        run, _, (spec,) = make_run(settings, silent, silent)
        folder = Path(run) / "trials" / spec.name
        run_trial(folder, spec, Silent())
        record = read_trial(folder, str(run))
        if record.status != "ok":
            raise InputError(f"{framework}: {record.reason}")
    batch = spec.recipe.batch_size
    step = float(np.median([epoch.train_s / -(-epoch.images // batch) for epoch in record.epochs[1:]]))
    build = BuildSpec(
        model=spec.model, classes=spec.feed.classes, side=spec.feed.image_side, train=spec.recipe.train,
        preprocessing=spec.weights.preprocessing, learning_rate=spec.recipe.learning_rate,
    )  # fmt: skip
    seconds = ask(framework, RECEIPT_SECONDS, spec.process.threads, spec=build, images=batch)
    output.show_line(
        f"{framework} {spec.model}, {batch} images at {spec.feed.image_side} pixels: receipt {1000 * seconds:.2f} ms, "
        f"step {1000 * step:.1f} ms: {seconds / step:.2%}; limit {LIMIT:.0%}"
    )
    return seconds / step


def add_flags(parser: Parser) -> None:
    parser.add_argument("--frameworks", nargs="+", default=registry.real(MODEL))
    parser.add_argument("--data", default="demo")
    parser.add_argument("--image-size", type=positive, default=None)
    parser.add_argument("--epochs", type=several, default=4, help="the first is left out")


def run(options: Options, output: Output) -> int:
    shares = [share(registry.framework_info(name).NAME, options, output) for name in options.frameworks]
    return int(max(shares) > LIMIT)

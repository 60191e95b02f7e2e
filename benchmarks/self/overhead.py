"""The harness against a bare loop that imports nothing of it: the same model, batches and order, in turn."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from common.analysis.records import read_trial
from common.cli.options import positive, several
from common.cli.parser import Options, Parser
from common.core import registry
from common.core.callbacks import silent
from common.core.errors import InputError
from common.core.files import PROJECT
from common.core.settings import Settings
from common.core.specs import TrialSpec
from common.data.chunk_store import FILE, ChunkStore
from common.process.spawn import environment
from common.report.output import Output
from common.report.progress import Silent
from common.run.prepare import make_run
from common.run.runner import run_trial

ABOUT = "epoch time in the harness over a bare loop's, in turn: at most 2 % more"
LIMIT = 1.02


def bare_seconds(spec: TrialSpec, run: Path, folder: str) -> list[float]:
    """Seconds of each epoch of the folder's bare.py on the trial's own files."""
    store = ChunkStore(run / spec.feed.pixels)
    job = {
        "pixels": str((store.folder / FILE).resolve()), "images": store.record.rows, "side": spec.feed.image_side,
        "classes": spec.feed.classes, "labels": str(run / spec.feed.labels), "plan": str(run / spec.feed.plan),
        "weights": str((run / spec.weights.path).resolve()), "batch_size": spec.recipe.batch_size,
        "learning_rate": spec.recipe.learning_rate, "threads": spec.process.threads,
    }  # fmt: skip
    (run / "job.json").write_text(json.dumps(job), encoding="utf-8")
    script = PROJECT / folder.replace(".", "/") / "bare.py"
    variables = environment(spec.process.threads, spec.process.device)
    answer = subprocess.run([sys.executable, script, run / "job.json"], capture_output=True, text=True, env=variables)
    if answer.returncode:
        raise InputError(f"{script.name} failed: {answer.stderr[-2000:]}")
    return json.loads(answer.stdout.splitlines()[-1])["seconds"]


def compare(framework: str, options: Options, output: Output) -> float:
    """Median over the repeats of harness / bare, each the fastest epoch after the first of its process.

    Other work on the machine only adds time, and epochs of one process differed by 20 % and more: the fastest is the
    one least disturbed (Chen and Revels 2016, arXiv:1608.04295).
    """
    info = registry.framework_info(framework)
    ratios = []
    with tempfile.TemporaryDirectory() as parent:
        settings = Settings(
            frameworks=(framework,), models=(info.BARE,), epochs=options.epochs, data=options.data,
            image_size=options.image_size, limit=options.limit, results_dir=parent, name="overhead", device="cpu",
            weights=("auto" if info.BARE in info.MODELS else "random",),
        )  # fmt: skip
        run, _, (spec,) = make_run(settings, silent, silent)
        for _ in range(options.repeats):
            folder = run / "trials" / spec.name
            run_trial(folder, spec, Silent())
            record = read_trial(folder, str(run))
            if record.status != "ok":
                raise InputError(f"{framework}: {record.reason}")
            ours = min(epoch.train_s for epoch in record.epochs[1:])
            bare = min(bare_seconds(spec, run, info.__name__)[1:])
            ratios.append(ours / bare)
            output.show_line(
                f"{framework} {info.BARE}: {ours:.2f} s an epoch in the harness, {bare:.2f} s bare: {ratios[-1]:.3f}"
            )
    middle = float(np.median(ratios))
    output.show_line(
        f"{framework}: median ratio {middle:.3f} ({min(ratios):.3f} to {max(ratios):.3f}); limit {LIMIT:g}"
    )
    return middle


def add_flags(parser: Parser) -> None:
    parser.add_argument(
        "--frameworks", nargs="+", default=[c.NAME for c in registry.framework_infos().values() if c.BARE]
    )
    parser.add_argument("--data", default="demo")
    parser.add_argument("--image-size", type=positive, default=None)
    parser.add_argument("--limit", type=positive, default=None)
    parser.add_argument("--epochs", type=several, default=8, help="the first is left out")
    parser.add_argument("--repeats", type=positive, default=5, help="pairs, in turn")


def run(options: Options, output: Output) -> int:
    medians = [compare(registry.framework_info(name).NAME, options, output) for name in options.frameworks]
    return int(max(medians) > LIMIT)

"""The CHILD: carries out one trial from start to end, and writes what happens as events.

    python -m common.trial.worker results/<run>/trials/<trial>

repeats that trial alone, in its folder.
"""

import os
import sys
import time
import traceback
from pathlib import Path

from common.core.errors import InputError, readable
from common.core.events import Born, Done, Events, Failed, Ready, last
from common.core.files import read_json
from common.core.locks import hold, use_cache
from common.core.registry import framework_info
from common.core.results import Tuning
from common.core.specs import TrialSpec
from common.data.decode import ImageError
from common.data.feed import changed_images
from common.process import ranks
from common.process.spawn import RESUME, STARTED, die_with_parent, environment
from common.process.trial_files import clear
from common.trial import ceilings, checkpoint, tuning
from common.trial.driver import Trial
from common.trial.equality_gate import check_equality
from common.trial.failures import reason

AFTER_S = 1.0  # a rank whose failure is the cause of this one's has failed by then


def run(folder: Path, resume: bool) -> int:
    """Carry out the trial in `folder` (spec.json), from its last checkpoint where it may. 0: done; 1: failed, with
    the reason as an event."""
    born = float(os.environ[STARTED])
    events = Events(ranks.said(folder, ranks.rank()))
    events.write(Born(at=born))
    try:
        spec = TrialSpec.model_validate(read_json(folder / "spec.json"))
        if framework_info(spec.framework).PARALLEL == "ranks" and ranks.rank() == 0:
            words = [str(folder), *([RESUME] if resume else [])]
            ranks.start_others(folder, words, spec.process.devices, lambda why: events.write(Failed(reason=why)))
        trial, tuned = Trial(folder, spec, events), None
        if spec.lane == "tuned":
            tuned = tuning.prepare(trial, last(folder / "events.jsonl", Tuning) or Tuning())
        if resume:
            trial.done = checkpoint.load(folder, trial.adapter, trial.model)
        best = trial.done.best_loss if trial.done.epoch else None
        events.write(Ready(start_s=time.time() - born, done_epochs=trial.done.epoch, best_loss=best))
        for epoch in range(trial.done.epoch + 1, spec.recipe.epochs + 1):
            trial.epoch(epoch)
        finish(trial, tuned)
    except Exception as error:
        traceback.print_exc()
        changed = ""
        if isinstance(error, ImageError) and spec.feed.files:  # a loader's worker wraps it into a traceback
            changed = changed_images(folder.parent.parent / spec.feed.files)
        # What it died of, and not of what it heard.
        lost = ranks.lost(folder, AFTER_S if ranks.several() else 0.0)
        events.write(Failed(reason=lost or changed or reason(error)))
        return 1
    return 0


def finish(trial: Trial, tuned: Tuning | None) -> None:
    """Predict with the best weights, and compare the tuned lane with the default lane. tuned: None in the default lane."""
    logits, prediction_s, test_s = trial.predict_best()
    peak = trial.adapter.peak_device_bytes()  # of the trial, not of what its gate takes
    if tuned:
        check_equality(trial, tuned, logits)
    ranks.done()
    lived_s = time.time() - float(os.environ[STARTED])
    trial.events.write(Done(
        prediction_s=prediction_s, test_s=test_s, writing_s=trial.writing_s, lived_s=lived_s, peak_device_bytes=peak,
    ))  # fmt: skip
    if trial.spec.ceilings:  # after the trial: neither its time nor its memory
        trial.events.write(ceilings.measured(trial))
    trial.keep(checkpoint.remove, trial.folder)


def main(arguments: list[str]) -> int:
    folders = [Path(a) for a in arguments if a != RESUME]
    if len(folders) != 1 or not (folders[0] / "spec.json").is_file():
        what = f"{folders[0] / 'spec.json'} is not there; " if len(folders) == 1 else ""
        print(f"{what}usage: python -m common.trial.worker results/<run>/trials/<trial>", file=sys.stderr)
        return 2
    folder = folders[0].resolve()
    if "FRAMEWORK_BENCH_CHILD" in os.environ:
        die_with_parent()
        return run(folder, RESUME in arguments)
    # Repeated alone: what is left of the earlier try goes; threads and device are set as the parent would.
    try:
        hold(folder.parent.parent, through_exec=True)  # not while its run is running
        use_cache(through_exec=True)
        with readable(f"{folder / 'spec.json'}"):
            process = TrialSpec.model_validate(read_json(folder / "spec.json")).process
    except InputError as error:
        print(f"common.trial.worker: error: {error}", file=sys.stderr)
        return 2
    clear(folder)
    (folder / "log.txt").unlink(missing_ok=True)
    variables = environment(process.threads, process.device) | {"FRAMEWORK_BENCH_CHILD": str(os.getppid())}
    os.execve(sys.executable, [sys.executable, "-m", "common.trial.worker", str(folder)], variables)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

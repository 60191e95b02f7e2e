"""Trials on this machine, one at a time."""

import time
from pathlib import Path

from rich.console import Console

from common.core.results import QuietWait
from common.core.specs import ProcessSpec, TrialSpec
from common.process.quiet import wait_for_quiet
from common.report.progress import Display
from common.run.parent_record import finished
from common.run.runner import run_trial

ABOUT = "on this machine, one trial at a time"
NO_WAIT = ""


def check(process: ProcessSpec, address: str) -> None:
    """Nothing: this machine is there."""


def run_trials(folder: Path, specs: list[TrialSpec], console: Console, resume: bool = False, address: str = "") -> None:
    """Every trial in a process of its own, one at a time; a failed one does not stop the others, nor does an error
    of the harness while it watches one.

    KeyboardInterrupt ends the running child with all that it started, records it, and is raised again. resume: a
    finished trial is left as it is, any other goes on after its last finished epoch. address: of no meaning here.
    With --wait-for-quiet each trial is held first; Ctrl-C meanwhile leaves its folder as it is.
    """
    display, took_s = Display(console), []
    for number, spec in enumerate(specs, start=1):
        trial = folder / "trials" / spec.name
        display.begin(spec, number, len(specs))
        if resume and finished(trial, spec):
            display.reused(spec)
        else:
            waited = _quiet(spec, display)
            began = time.monotonic()
            run_trial(trial, spec, display, resume, waited=waited)
            took_s.append(time.monotonic() - began)
        display.others(took_s, len(specs) - number)


def _quiet(spec: TrialSpec, display: Display) -> QuietWait | None:
    """Hold the trial as --wait-for-quiet asks; None where it does not."""
    limit_s, began = spec.process.wait_for_quiet_s, time.monotonic()
    if not limit_s:
        return None
    try:
        waited = wait_for_quiet(limit_s, spec.process.threads, display.waiting)
    except KeyboardInterrupt:
        display.finish("interrupted", "stopped while it waited for a quiet machine", time.monotonic() - began)
        raise
    display.waited(waited)
    return waited

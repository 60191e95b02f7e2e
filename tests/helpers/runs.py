"""Runs in the background, which tests watch, stop and compare."""

import os
import subprocess
import sys
import time

import numpy as np
import psutil

from common.core.events import Step, of_kind, read_events
from tests.helpers.project import PROJECT

FAST = (
    "--frameworks", "fake", "--limit", "600", "--image-size", "32", "--epochs", "4", "--learning-rate", "200",
)  # fmt: skip


TRIAL = "01-fake-logistic-head-seed0"


def logits(run, trial=TRIAL):
    with np.load(run / "trials" / trial / "logits.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


def arguments(parent, *more):
    return [*FAST, *more, "--results-dir", str(parent), "--name", "run"]


def command(parent, *more):
    return [sys.executable, str(PROJECT / "run_bench.py"), *arguments(parent, *more)]


def begin(parent, fault, *more):
    """A run in the background, with a fault of the fake framework asked for."""
    variables = os.environ | {"FRAMEWORK_BENCH_FAULT": fault}
    return subprocess.Popen(
        command(parent, *more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=variables
    )


def wait_until(there):
    limit = time.monotonic() + 60
    while not there():
        assert time.monotonic() < limit
        time.sleep(0.02)


def in_epoch(run, epoch, trial=TRIAL):
    """Whether the trial has said that it is in the middle of this epoch."""
    events = read_events(run / "trials" / trial / "events.jsonl")
    return any(e.phase == "train" and e.epoch == epoch and e.step >= 2 for e in of_kind(events, Step))


def stop(child, number):
    children = psutil.Process(child.pid).children(recursive=True)
    child.send_signal(number)
    output = child.communicate(timeout=60)[0]
    assert not psutil.wait_procs(children, timeout=10)[1]
    return output

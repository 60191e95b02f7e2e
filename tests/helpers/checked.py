"""Runs that are held against a baseline, and copies of them that were tampered with."""

import shutil

import numpy as np

TRIAL = "01-fake-logistic-head-seed0"


def flags(folder, name, *more):
    return ("--frameworks", "fake", "--limit", "600", "--image-size", "32", "--epochs", "6", "--learning-rate", "200",
            "--results-dir", folder, "--name", name, *more)  # fmt: skip


def tampered(good, name, change):
    """A copy of the good run with other logits."""
    run = good / name
    shutil.copytree(good / "good", run)
    file = run / "trials" / TRIAL / "logits.npz"
    with np.load(file) as arrays:
        changed = {key: change(arrays[key].copy()) for key in arrays.files}
    np.savez(file, **changed)
    return run

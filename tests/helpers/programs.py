"""Run Python programs that import a framework in processes of their own, on the CPU."""

import os
import subprocess
import sys

from tests.helpers.project import PROJECT


def environment() -> dict[str, str]:
    """The variables of such a process: the project can be imported, and no GPU is seen."""
    return os.environ | {"PYTHONPATH": str(PROJECT), "CUDA_VISIBLE_DEVICES": ""}


def output(*arguments, **options) -> str:
    """What Python prints with these arguments; the test fails where it ends with an error. options: of subprocess.run."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment(), **options)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout

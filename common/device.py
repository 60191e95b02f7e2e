"""One device for all trials of a run."""

import shutil
from pathlib import Path

from common.child import ask
from common.errors import InputError


def choose(asked: str, frameworks: list[str]) -> tuple[str, list[str]]:
    """'cpu' or 'cuda', and notes. `auto` takes the GPU only if every framework sees it: otherwise the rows would
    compare a GPU with a CPU. InputError where cuda was asked for and a framework lacks it."""
    if asked == "cpu" or (asked == "auto" and not _nvidia()):
        return "cpu", []
    for framework in dict.fromkeys(frameworks):
        try:
            ask(framework, "environment", device="cuda")
        except InputError as error:
            if asked == "cuda":
                raise InputError(f"--device cuda: {error}") from error
            return "cpu", [f"all trials run on the CPU, one device for all: {error}"]
    return "cuda", []


def _nvidia() -> bool:
    return shutil.which("nvidia-smi") is not None or Path("/dev/nvidia0").exists()

"""One device for all trials of a run, and words about the machine."""

import os
import platform
import shutil
from pathlib import Path

import psutil

from common.child import ask
from common.errors import InputError
from common.files import size_text


def choose(asked: str, frameworks: list[str]) -> tuple[str, list[str]]:
    """'cpu' or 'cuda', and notes. `auto` takes the GPU only if every framework sees it: otherwise the rows would
    compare a GPU with a CPU. InputError where cuda was asked for and a framework lacks it."""
    if asked == "cpu" or (asked == "auto" and not _nvidia()):
        return "cpu", []
    for framework in dict.fromkeys(frameworks):
        try:
            ask(framework, "environment", device="cuda", on="cuda")
        except InputError as error:
            if asked == "cuda":
                raise InputError(f"--device cuda: {error}") from error
            return "cpu", [f"all trials run on the CPU, one device for all: {error}"]
    return "cuda", []


def _nvidia() -> bool:
    return shutil.which("nvidia-smi") is not None or Path("/dev/nvidia0").exists()


def cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, str]:
    """Words for the environment table; nothing that names this very machine."""
    return {
        "processor": _processor(),
        "cores": str(cores()),
        "memory": size_text(psutil.virtual_memory().total),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()

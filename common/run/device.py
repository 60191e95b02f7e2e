"""One kind of device for all trials of a run, and whether several may take part in one."""

import shutil
from pathlib import Path

from common.core import registry
from common.core.errors import InputError
from common.core.settings import Settings
from common.core.specs import Device, Job
from common.process.question import ask
from common.process.questions import ENVIRONMENT


def choose(asked: str, frameworks: list[str]) -> tuple[Device, list[str]]:
    """'cpu' or 'cuda', and notes. `auto` takes the GPU only if every framework sees it: otherwise the rows would
    compare a GPU with a CPU. InputError where cuda was asked for and a framework lacks it."""
    if asked == "cpu" or (asked == "auto" and not _nvidia()):
        return "cpu", []
    for framework in dict.fromkeys(frameworks):
        try:
            ask(framework, ENVIRONMENT, device="cuda")
        except InputError as error:
            if asked == "cuda":
                raise InputError(f"--device cuda: {error}") from error
            return "cpu", [f"all trials run on the CPU, one device for all: {error}"]
    return "cuda", []


def _nvidia() -> bool:
    return shutil.which("nvidia-smi") is not None or Path("/dev/nvidia0").exists()


def check_several(settings: Settings, jobs: list[Job]) -> None:
    """InputError where trials are to run on several devices and cannot."""
    most = max(settings.devices)
    if most == 1:
        return
    able = [name for name, info in registry.framework_infos().items() if info.PARALLEL]
    if lacking := [f for f in dict.fromkeys(job.framework for job in jobs) if f not in able]:
        raise InputError(
            f"--devices {most}: {', '.join(lacking)} trains on one device here; several are for {', '.join(able)}"
        )
    if settings.lanes != ("default",) or settings.ceilings:
        raise InputError(
            f"--devices {most} is for the default lane, without ceilings; leave out --lane tuned and --ceilings"
        )
    if settings.batch_size < most:
        raise InputError(
            f"--devices {most}: a batch of {settings.batch_size} has not an image for each; take a larger --batch-size"
        )

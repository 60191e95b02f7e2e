"""The machine in words and cores."""

import contextlib
import os
import platform
import subprocess
from functools import cache
from pathlib import Path

import psutil

from common.core.cgroups import quota
from common.core.formatting import size_text

OMP = "OMP_NUM_THREADS"


def cores() -> int:
    """The cores to compute on where nobody asks for a number: those allowed, or OMP_NUM_THREADS where that is fewer."""
    return min(filter(None, (cores_allowed(), _omp_threads())))


def cores_allowed() -> int:
    """The cores of the affinity mask, or of a container's CPU quota where that is less: whole ones, at least one."""
    group = quota()
    return min(_mask(), max(1, int(group.cores))) if group else _mask()


def limits() -> dict[str, str]:
    """What leaves this process fewer cores than its affinity mask has, for the environment table."""
    group, threads, found = quota(), _omp_threads(), {}
    if group and group.cores < _mask():
        found["CPU quota"] = f"{group.cores:.3g} of {_mask()} cores, set by the control group"
    if threads and threads < cores_allowed():
        found[OMP] = str(threads)
    return found


def limits_note(threads: int | None = None) -> str:
    """The same in a sentence, before anything runs; "" where nothing limits the process. threads: those asked for."""
    group, found = quota(), limits()
    why = [f"its control group has a CPU quota of {group.cores:.3g} cores"] if group and "CPU quota" in found else []
    why += [f"{OMP} is {found[OMP]}"] if OMP in found and not threads else []
    if not why:
        return ""
    n = threads or cores()
    asked = "--threads asks for that" if threads else "--threads N asks for another number"
    slow = "; less than one core means that every thread has to wait" if group and group.cores < 1 else ""
    return (
        f"Trials compute with {n} thread{'s' if n > 1 else ''} ({asked}); this process may use {_mask()} "
        f"core{'s' if _mask() > 1 else ''}, but {' and '.join(why)}{slow}."
    )


def usable_cpus() -> tuple[int, ...] | None:
    """The numbers of the cores that this process may use. None where a quota gives it less time than these have."""
    count = psutil.cpu_count() or 1
    mine = _cpus()
    if cores_allowed() < len(mine) or not mine or mine[-1] >= count:
        return None
    return tuple(mine)


def _cpus() -> list[int]:
    """The numbers of the cores in the affinity mask."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def _mask() -> int:
    return len(_cpus())


def _omp_threads() -> int | None:
    """OMP_NUM_THREADS, of which a list names the outermost level first; None where it is no number of threads."""
    first = os.environ.get(OMP, "").split(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else None


def machine() -> dict[str, str]:
    """Words for the environment table; nothing that names this very machine."""
    return {
        "processor": _processor(),
        "cores": str(cores_allowed()),
        **limits(),
        "memory": size_text(psutil.virtual_memory().total),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **_gpus(),
    }


@cache
def what_counts() -> dict[str, str]:
    """Of the machine, what makes its seconds those of another: processor, cores, GPUs."""
    return {name: words for name, words in machine().items() if name in ("processor", "cores", "GPU")}


def _gpus() -> dict[str, str]:
    """Their names, from the driver's own tool: the harness's own process imports no framework."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        words = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        said = subprocess.run(words, capture_output=True, text=True, timeout=10, check=True).stdout
        return {"GPU": ", ".join(line.strip() for line in said.splitlines())} if said.strip() else {}
    return {}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()

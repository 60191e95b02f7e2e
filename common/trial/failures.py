"""Why a trial failed, in words that name the way out where the cause is the machine's."""

import re
import shutil

from common.core.errors import InputError
from common.core.formatting import size_text
from common.data.decode import ImageError
from common.trial.stopwatch import Lie

NO_MEMORY = re.compile(r"out of memory|can't allocate memory|\bOOM\b")  # as the frameworks' own errors say it
# As torch says it: of the file that a loader worker hands a batch over in, and of a worker that wrote past the end of it.
# A GPU kernel's "shared memory" is another: what Triton runs out of (OutOfResources).
NO_SHARED_MEMORY = re.compile(r"/dev/shm|</torch_|Bus error")
NO_GPU_RESOURCE = re.compile(r"out of resource", re.IGNORECASE)
SHARED = "/dev/shm"
LONGEST = 2000
WORKERS_OWN = "Original Traceback (most recent call last)"  # torch puts a worker's traceback into its error's text


def reason(error: Exception) -> str:
    """The failed trial's reason: the error's own words, led by the cause and the flag that avoids it where it is known."""
    plain = isinstance(error, InputError | ImageError | Lie | FloatingPointError)
    text = str(error) if plain else f"{type(error).__name__}: {error}"
    last = text.strip().splitlines()[-1] if text.strip() else type(error).__name__
    if not plain and NO_SHARED_MEMORY.search(text) and not NO_GPU_RESOURCE.search(text):
        return (
            f"shared memory is too small: the loader's worker processes hand their batches over in {SHARED}"
            f"{_shared_size()}; take --workers 0, a smaller --batch-size or --image-size, or give a container more "
            f"(docker run --shm-size 1g) ({last[:300]})"
        )
    if isinstance(error, MemoryError) or NO_MEMORY.search(text):
        return f"out of memory; a smaller --batch-size or --image-size may help ({text.strip()[:300]})"
    return (f"in a loader worker: {last}" if WORKERS_OWN in text else text.strip())[:LONGEST]


def _shared_size() -> str:
    try:
        disk = shutil.disk_usage(SHARED)
    except OSError:
        return ""
    return f", which has {size_text(disk.total)}"

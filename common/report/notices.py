"""What the terminal shows about other processes on the machine, as whole sentences: what happened, and what to do."""

import time

import psutil

from common.core.formatting import time_text
from common.core.machine import usable_cpus
from common.core.results import QUIET_LOOK_S, QUIET_LOOKS, QuietWait, Seen, Waiting

UNSEEN = "no process that can be seen from here: perhaps another container or virtual machine"


def contention_text(seen: Seen) -> str:
    """For the terminal, while the trial runs."""
    since = time.strftime("%H:%M:%S", time.localtime(seen.began))
    where = f" (epoch {seen.epoch})" if seen.epoch else ""
    return (
        f"Since {since}{where} other processes have used {_cores(seen.cores)}, most of it by {seen.process or UNSEEN}. "
        "Times measured meanwhile are too long, and the report flags them. "
        "End the other processes, or run again with --wait-for-quiet."
    )


def waiting_text(now: Waiting) -> str:
    """A line now and then, where there is no bar."""
    return (
        f"Waiting for a quiet machine: other processes use {_cores(now.cores)}, most of it by {now.process or UNSEEN}. The trial "
        f"begins in {time_text(now.left_s)} at the latest."
    )


def waited_text(wait: QuietWait) -> str:
    """What came of --wait-for-quiet, before the trial begins."""
    if wait.cores is None:
        return (
            "What other processes use cannot be measured here (under a CPU quota, for example), so --wait-for-quiet does not "
            "wait. Make sure that nothing else runs."
        )
    if wait.quiet:
        return f"The machine is quiet; the trial begins after {time_text(wait.waited_s)}."
    return (
        f"The machine is not quiet after {time_text(wait.waited_s)}: in its last {QUIET_LOOK_S * QUIET_LOOKS:g} s other "
        f"processes used up to {_cores(wait.cores)}. The trial begins all the same, and its row says so. "
        "End the other processes, or give --wait-for-quiet more seconds."
    )


def _cores(cores: float) -> str:
    """What others use, measured on the cores that this process may use: an affinity can leave it some of them."""
    count, usable = psutil.cpu_count() or 1, usable_cpus()
    if usable and len(usable) < count:
        return f"{cores:.1f} of the {len(usable)} cores that this run may use"
    return f"{cores:.1f} of this machine's {count} cores"

"""The PARENT holds a trial until other processes leave the machine alone (--wait-for-quiet)."""

import time
from collections import deque
from collections.abc import Callable

from common.core.results import CONTENDED, QUIET_LOOK_S, QUIET_LOOKS, QuietWait, Waiting
from common.process.cpu_contention import Busiest, Neighbours

QUIET_CORES = 0.2  # a machine on which others use more is not quiet, however many threads the trial has


def wait_for_quiet(
    limit_s: float, threads: int, tell: Callable[[Waiting], None], measure: Callable[[], Neighbours] = Neighbours
) -> QuietWait:
    """Return once others have used at most QUIET_CORES, or the share of `threads` from which the report flags an epoch, for
    QUIET_LOOKS looks; or when `limit_s` is over; or at once where it cannot be known what others use. What they use is, where
    the machine is not quiet, the most of the last QUIET_LOOKS looks: the last one alone may be calm."""
    began, limit = time.monotonic(), min(QUIET_CORES, CONTENDED * threads)
    last: deque[float] = deque(maxlen=QUIET_LOOKS)
    while True:
        since, busiest = measure(), Busiest()
        time.sleep(QUIET_LOOK_S)
        cores, waited_s = since.cores(), time.monotonic() - began
        if cores is None:
            return QuietWait(waited_s=waited_s, limit_s=limit_s, quiet=False, cores=None)
        last.append(cores)
        quiet = len(last) == QUIET_LOOKS and max(last) <= limit
        if quiet or waited_s >= limit_s:
            return QuietWait(waited_s=waited_s, limit_s=limit_s, quiet=quiet, cores=cores if quiet else max(last))
        if cores > limit:
            tell(Waiting(cores, busiest.words(), waited_s, limit_s - waited_s))

"""What goes wrong in real life, planted: each fault is a model of the fake framework."""

import os
import signal
import threading
import time
from collections.abc import Callable

FAULTY_STEP = 3


def crash() -> None:
    raise RuntimeError("planted: the third step crashed")


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang() -> None:
    time.sleep(3600)


def linger() -> None:
    threading.Thread(target=hang).start()  # no daemon: the process waits for it
    crash()


def pause(epoch: int, step: int) -> None:
    """Stop for long in the middle of an epoch where FRAMEWORK_BENCH_PAUSE=EPOCH:STEP says so: time to be killed in."""
    if os.environ.get("FRAMEWORK_BENCH_PAUSE") == f"{epoch}:{step}":
        hang()


AT_STEP: dict[str, Callable[[], None]] = {"crash": crash, "kill": kill, "hang": hang, "linger": linger}

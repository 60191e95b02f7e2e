"""What goes wrong in real life, planted: a model of the fake framework each, or asked for by a variable."""

import os
import signal
import threading
import time
from collections.abc import Callable

import psutil

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


def wait() -> None:
    """Long enough to change something around a trial that then goes on."""
    time.sleep(3)


def pause() -> None:
    """Long enough to be killed in the middle of."""
    time.sleep(0.3)


def exhaust() -> None:
    """Take memory until there is none. The limit is this process's own, so that the machine is spared."""
    import resource

    limit = psutil.Process().memory_info().vms + 200 * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    taken = []
    while True:
        taken.append(bytearray(2**24))


AT_STEP: dict[str, Callable[[], None]] = {"crash": crash, "kill": kill, "hang": hang, "linger": linger}
ASKED: dict[str, Callable[[], None]] = {"hang": hang, "wait": wait, "pause": pause, "exhaust": exhaust}


def asked(place: str) -> None:
    """The fault of FRAMEWORK_BENCH_FAULT=FAULT@PLACE at that place: "2:3" (epoch, step), "save:2" (a half-written
    checkpoint of epoch 2), "features" (each batch of them). Not a model, so that the same trial can be taken up again without it."""
    fault, _, where = os.environ.get("FRAMEWORK_BENCH_FAULT", "").partition("@")
    if where == place:
        ASKED[fault]()

"""The guard of quick tests: it fails a test that starts a process, imports a framework, or uses the network or shared data."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

import pytest

PROCESS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system"}
NETWORK = {"socket.connect", "socket.getaddrinfo"}
FRAMEWORKS = {"torch", "torchvision", "timm", "tensorflow", "keras", "jax", "ray", "mlflow"}
SHARED = "tests.shared"  # raised by tests/helpers/project.py
POOL = "tests.multiprocessing"  # raised below: Python audits no process that multiprocessing spawns

_running: str | None = None  # the quick test that runs now
_faults: list[str] = []


def _fault(event: str, arguments: tuple) -> str | None:
    """What a quick test must not do, or None where the event is harmless."""
    if event in PROCESS or event == POOL:
        return "starts a process"
    if event in NETWORK:
        return "uses the network"
    if event == SHARED:
        return "needs shared data"
    if event == "import" and (name := arguments[0].partition(".")[0]) in FRAMEWORKS:
        return f"imports {name}"
    return None


def _message(fault: str) -> str:
    return (
        f"{_running} {fault}, which no quick test may do. Let it, or the fixture that does so, request the fixture `not_quick`, "
        "or avoid it."
    )


def _hook(event: str, arguments: tuple) -> None:
    if _running is not None and (fault := _fault(event, arguments)):
        _faults.append(_message(fault))
        pytest.fail(_faults[-1])


@contextmanager
def guarded(test: str) -> Iterator[None]:
    """Watch one quick test with its fixtures."""
    global _running
    before, _running = (_running, _faults[:]), test
    _faults.clear()
    try:
        yield
    finally:
        _running, _faults[:] = before


def check() -> None:
    """Fail the test where the guard has fired."""
    if _faults:
        pytest.fail(_faults[0])


def _audited(self: BaseProcess) -> None:
    sys.audit(POOL)
    _start(self)


_start, BaseProcess.start = BaseProcess.start, _audited
sys.addaudithook(_hook)

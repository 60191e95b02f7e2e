"""run_bench.py with arguments, as a user calls it: in this process, or in one of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from typing import IO

import run_bench
from tests.helpers.project import PROJECT

TIMEOUT_S = 600
STOPPED = 130  # the exit code after Ctrl-C


def in_own_process(*arguments, timeout=TIMEOUT_S, **options) -> subprocess.CompletedProcess:
    """options: of subprocess.run."""
    command = [sys.executable, str(PROJECT / "run_bench.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, **options)


def in_process(*arguments, env=None, cwd=None) -> subprocess.CompletedProcess:
    """The same result without another interpreter, which takes 1 to 3 s to import pandas and the like. Trials and decoding
    still run in processes of their own. env: all variables; cwd: the working folder."""
    words = [*map(str, arguments)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with _as_new_process(env, cwd), _time_limit(), _streams(out, err):
            code = _exit_code(words)
        if code == STOPPED:
            raise KeyboardInterrupt  # a person stopped the tests: no test signals this process
        out.seek(0), err.seek(0)
        return subprocess.CompletedProcess(words, code, out.read().decode(), err.read().decode())


def _exit_code(words: list[str]) -> int:
    """What the interpreter would make of main's result."""
    try:
        return run_bench.main(words)
    except Exception:
        traceback.print_exc()
        return 1


@contextlib.contextmanager
def _as_new_process(env, cwd) -> Iterator[None]:
    """Variables, working folder and caches as a new process has them, and as before afterwards."""
    before, folder, main = dict(os.environ), os.getcwd(), sys.modules["__main__"]
    for name, module in list(sys.modules.items()):
        if name.startswith(("common.", "frameworks.", "benchmarks.")):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()
    try:
        _set_variables(before if env is None else env)
        os.chdir(cwd or folder)
        sys.modules["__main__"] = run_bench  # what multiprocessing imports in the processes that it spawns
        yield
    finally:
        sys.modules["__main__"] = main
        os.chdir(folder)
        _set_variables(before)


def _set_variables(variables) -> None:
    if variables != dict(os.environ):
        os.environ.clear()
        os.environ.update(variables)


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    """TimeoutError after TIMEOUT_S, as a call in a process of its own has it."""

    def over(number: int, frame: object) -> None:
        raise TimeoutError(f"run_bench.py took more than {TIMEOUT_S} s")

    handler = signal.signal(signal.SIGALRM, over)
    signal.alarm(TIMEOUT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)


@contextlib.contextmanager
def _streams(out: IO[bytes], err: IO[bytes]) -> Iterator[None]:
    """Write both standard streams to files, at the file descriptors: children write there too."""
    sys.stdout.flush(), sys.stderr.flush()
    outside = os.dup(1), os.dup(2)
    os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
    stdout = open(1, "w", encoding="utf-8", closefd=False)
    stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    try:
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            yield
    finally:
        stdout.close(), stderr.close()
        for number, kept in zip((1, 2), outside):
            os.dup2(kept, number)
            os.close(kept)

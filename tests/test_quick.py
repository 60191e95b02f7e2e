"""The guard of quick tests fires on what they must not do and names the way out."""

import contextlib
import multiprocessing
import os
import socket
import subprocess
import sys

import pytest

from tests.helpers import quick
from tests.helpers.project import PROJECT, shared


def process():
    subprocess.run([sys.executable, "-c", "pass"])


def shell():
    os.system("true")


def spawned():
    multiprocessing.get_context("spawn").Process(target=print).start()


def network():
    socket.create_connection(("127.0.0.1", 9))


def framework():
    __import__("torch")


def data():
    shared("data")


def caught():
    """As code under test may: what Popen raises is no reason for it to stop."""
    with contextlib.suppress(BaseException):
        process()


@pytest.mark.parametrize(
    ("act", "fault"),
    [
        (process, "starts a process"),
        (shell, "starts a process"),
        (spawned, "starts a process"),
        (caught, "starts a process"),
        (network, "uses the network"),
        (framework, "imports torch"),
        (data, "needs shared data"),
    ],
)
def test_the_guard_fires(monkeypatch, act, fault):
    monkeypatch.delitem(sys.modules, "torch", raising=False)  # of a test before this one
    with (
        quick.guarded("this test"),
        pytest.raises(pytest.fail.Exception, match=f"this test {fault}.*request .*not_quick"),
    ):
        act()
        quick.check()


def test_the_guard_passes_what_is_pure(tmp_path):
    with quick.guarded("this test"):
        (tmp_path / "x").write_text("x")
        quick.check()


OUTER = """
import subprocess
import sys

import pytest


@pytest.fixture
def run(not_quick):
    return lambda: subprocess.run([sys.executable, "-c", "pass"], check=True)


def test_that_requests_it_through_a_fixture(run):
    run()


def test_that_forgot_it():
    subprocess.run([sys.executable, "-c", "pass"])


def test_that_is_pure():
    pass
"""


@pytest.mark.usefixtures("not_quick")
def test_the_marker_follows_fixtures(tmp_path):
    (tmp_path / "test_made_up.py").write_text(OUTER)

    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "tests.conftest",
        "-m",
        "quick",
        tmp_path,
    ]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert "1 failed, 1 passed, 1 deselected" in done.stdout
    assert "test_that_forgot_it starts a process, which no quick test may do" in done.stdout

"""A process that competes for the cores."""

import subprocess
import sys

import psutil
import pytest

BURN = f"nice -n 19 {sys.executable} -c 'while True: pass' >&- 2>&- & echo $!"


@pytest.fixture
def busy_process(not_quick):
    """A process that computes and is nobody's child here: its shell has ended. Its niceness spares the test's own processes."""
    pid = int(subprocess.run(["sh", "-c", BURN], stdout=subprocess.PIPE).stdout)
    yield pid
    psutil.Process(pid).kill()

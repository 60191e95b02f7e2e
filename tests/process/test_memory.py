"""Memory is that of the process and its workers, counted once."""

import subprocess
import sys
import time

import pytest

from common.process.memory import PeakMemory, in_use, method
from common.process.spawn import end

MIB = 2**20
# A parent that holds 200 MB, forks a worker that touches 300 MB of its own and reads the parent's, then waits.
WORKER = """
import multiprocessing, sys, time
mine = bytearray(b"x" * 200_000_000)
def work():
    own = bytearray(b"y" * 300_000_000)
    sum(mine[::4096])
    print("ready", flush=True)
    time.sleep(60)
multiprocessing.get_context("fork").Process(target=work, daemon=True).start()
time.sleep(60)
"""


@pytest.fixture
def pair(not_quick):
    child = subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE, text=True, start_new_session=True)
    yield child
    end(child)


@pytest.mark.skipif(method() != "PSS", reason="PSS is Linux's")
def test_a_workers_memory_counts_and_shared_pages_count_once(pair):
    alone = in_use(pair.pid)
    assert pair.stdout.readline() == "ready\n"
    both = in_use(pair.pid)
    assert both - 200e6 > 280e6  # the worker's 300 MB show
    assert both < 200e6 + 300e6 + 60 * MIB  # and the parent's 200 MB are not counted again
    assert alone < both


def test_the_peak_is_followed_from_outside(pair):
    memory = PeakMemory(pair.pid)
    pair.stdout.readline()
    time.sleep(1)
    assert memory.stop() > 480e6

"""What the tests share: an own cache, the command line as a user calls it, and the real images where they lie."""

import os
import subprocess
from contextlib import nullcontext

import pytest

from tests.helpers import command_line, quick
from tests.helpers.project import shared


@pytest.hookimpl(tryfirst=True)  # before pytest deselects by marker
def pytest_collection_modifyitems(items):
    """Every test is quick unless it is slow or requests `not_quick`, itself or through another fixture."""
    for item in items:
        if "not_quick" not in item.fixturenames and not item.get_closest_marker("slow"):
            item.add_marker("quick")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    with quick.guarded(item.nodeid) if item.get_closest_marker("quick") else nullcontext():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Fail a quick test even where the code under test caught the guard's exception."""
    result = yield
    quick.check()
    return result


@pytest.fixture(scope="session")
def not_quick():
    """Requested by each test and fixture that starts a process, imports a framework, needs the network or shared data, or
    takes more than a second: `pytest -m quick` leaves out every test that requests it, also indirectly."""


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Nothing is read from or left in the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["FRAMEWORK_BENCH_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def cli():
    """run_bench.py with arguments, in this process; for quick tests, in which it starts none."""
    return command_line.in_process


@pytest.fixture(scope="session")
def bench(not_quick, cli):
    """run_bench.py with arguments, in this process; trials have their own."""
    return cli


@pytest.fixture(scope="session")
def bench_process(not_quick):
    """run_bench.py with arguments in a process of its own, where that matters: encodings and variables that Python reads at
    its start, signals, locks between processes, Ray and MLflow."""
    return command_line.in_own_process


@pytest.fixture
def small_disk(not_quick, tmp_path):
    """An own file system of 4 MiB; the test skips where none may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture(scope="session")
def real_images(not_quick):
    return shared("data/comp5329")


@pytest.fixture(scope="session")
def real_labels(not_quick):
    return shared("data/comp5329-labels")


@pytest.fixture(scope="session")
def real_weights(not_quick):
    return shared("weights")

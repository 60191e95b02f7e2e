"""What the tests share: an own cache, the command line as a user calls it, and the real images where they lie."""

import os
import subprocess
import sys

import pytest

from tests.helpers.project import PROJECT, shared


def pytest_addoption(parser):
    """Of contract.py, which run_bench.py check-adapter runs."""
    parser.addoption("--framework", default="fake", help="whose adapter contract.py tests")
    parser.addoption("--model", default="", help="the model to test it with")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Nothing is read from or left in the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["FRAMEWORK_BENCH_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def bench():
    """run_bench.py with arguments, as a user calls it."""

    def call(*arguments, **options):
        command = [sys.executable, str(PROJECT / "run_bench.py"), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=600, **options)

    return call


@pytest.fixture
def small_disk(tmp_path):
    """An own file system of 4 MiB; the test skips where none may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture(scope="session")
def real_images():
    return shared("data/comp5329")


@pytest.fixture(scope="session")
def real_labels():
    return shared("data/comp5329-labels")


@pytest.fixture(scope="session")
def real_weights():
    return shared("weights")

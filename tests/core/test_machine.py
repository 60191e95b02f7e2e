"""How many cores a run takes: affinity, a container's quota in either form of control groups, OMP_NUM_THREADS."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.core import machine
from common.core.cgroups import Quota, quota
from tests.helpers.project import PROJECT

MASK = len(os.sched_getaffinity(0))
V1 = "30 24 0:26 {root} {point} rw,relatime - cgroup cgroup rw,cpu,cpuacct\n31 24 0:27 / /memory rw - cgroup cgroup rw,memory\n"
V2 = "30 24 0:26 {root} {point} rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


@pytest.fixture
def tree(tmp_path):
    """A made-up /proc/self and hierarchy. limits: text of the quota's file (v2), or quota and period (v1), by group."""

    def call(groups, mounts, limits, root="/"):
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc" / "cgroup").write_text(groups)
        (tmp_path / "proc" / "mountinfo").write_text(
            mounts.format(root=root, point=str(tmp_path / "cpu x").replace(" ", "\\040"))
        )
        for group, text in limits.items():
            folder = tmp_path / "cpu x" / group
            folder.mkdir(parents=True, exist_ok=True)
            if isinstance(text, str):
                (folder / "cpu.max").write_text(text)
            else:
                (folder / "cpu.cfs_quota_us").write_text(f"{text[0]}\n")
                (folder / "cpu.cfs_period_us").write_text(f"{text[1]}\n")
        found = quota(tmp_path / "proc")
        return found and (found.cores, str(found.folder.relative_to(tmp_path / "cpu x")))

    return call


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"a/b": "50000 100000\n"}, (0.5, "a/b")),
        ({"a/b": "max 100000\n", "a": "150000 100000\n"}, (1.5, "a")),  # a parent's counts
        ({"a/b": "400000 100000\n", "a": "150000 100000\n"}, (1.5, "a")),
        ({"a/b": "100000 100000\n", "a": "150000 100000\n", "": "max 100000"}, (1.0, "a/b")),
        ({"a/b": "max 100000\n"}, None),
        ({"a/b": "max\n", "a": "nonsense", "": ""}, None),
        ({}, None),
    ],
)
def test_version_2(tree, limits, expected):
    assert tree("0::/a/b\n", V2, limits) == expected


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"a/b": (50000, 100000)}, (0.5, "a/b")),
        ({"a/b": (-1, 100000), "a": (250000, 100000)}, (2.5, "a")),
        ({"a/b": (-1, 100000)}, None),
        ({"a/b": (50000, 0)}, None),
    ],
)
def test_version_1(tree, limits, expected):
    assert tree("4:memory:/m\n2:cpu,cpuacct:/a/b\n1:name=systemd:/a\n0::/\n", V1, limits) == expected


@pytest.mark.parametrize("group", ["/docker/0a1b", "/docker/0a1b/inner", "/elsewhere", "/../other"])
def test_in_a_container_the_mount_shows_its_group_alone(tree, group):
    """Without a namespace of its own the group is named as the host sees it."""
    below = "inner" if group.endswith("inner") else ""
    assert tree(f"0::{group}\n", V2, {below: "50000 100000"}, root="/docker/0a1b") == (0.5, below or ".")


def test_where_there_are_no_control_groups(tree, tmp_path):
    assert quota(tmp_path / "nowhere") is None
    assert tree("", "", {}) is None


def test_what_is_no_control_group_file_is_none(tree):
    assert tree("nonsense\n\n0\n0:\n", "short line\n1 2 3 - x\n" + V2, {"": "50000 100000"}) is None


@pytest.mark.parametrize(
    ("allowed", "omp", "cores", "words"),
    [
        (None, "", MASK, ""),
        (0.5, "", 1, "its control group has a CPU quota of 0.5 cores; less than one core means"),
        (1.9, "", 1, "its control group has a CPU quota of 1.9 cores."),
        (MASK + 2.0, "", MASK, ""),
        (None, "1", 1, "OMP_NUM_THREADS is 1"),
        (None, "1,4", 1, "OMP_NUM_THREADS is 1"),
        (None, str(MASK + 8), MASK, ""),
        (None, "many", MASK, ""),
        (None, "0", MASK, ""),
        (0.5, "7", 1, "its control group has"),
    ],
)
@pytest.mark.skipif(MASK < 2, reason="needs two cores")
def test_cores_and_what_is_said_of_them(monkeypatch, allowed, omp, cores, words):
    monkeypatch.setattr(machine, "quota", lambda: Quota(allowed, Path("/x")) if allowed else None)
    monkeypatch.setenv("OMP_NUM_THREADS", omp)
    assert machine.cores() == cores
    said = machine.limits_note()
    assert words in said and bool(said) == bool(words)
    assert not said or said.startswith(f"Trials compute with {cores} thread")
    assert bool(machine.limits()) == bool(words)


def test_threads_that_are_asked_for_are_taken(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(machine, "quota", lambda: None)
    assert machine.limits_note(4) == ""
    monkeypatch.setattr(machine, "quota", lambda: Quota(0.5, Path("/x")))
    assert machine.limits_note(4).startswith(
        "Trials compute with 4 threads (--threads asks for that); this process may use"
    )


def test_omp_num_threads_reaches_the_trials(bench, tmp_path):
    words = ("--frameworks", "fake", "--limit", "40", "--image-size", "32", "--epochs", "1", "--results-dir", tmp_path)
    done = bench(*words, "--name", "run", env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "run" / "results.md").read_text(encoding="utf-8")
    spec = next((tmp_path / "run" / "trials").glob("*/spec.json")).read_text(encoding="utf-8")
    assert '"threads": 1' in spec
    if MASK > 1:
        assert "| OMP_NUM_THREADS | 1 |" in text
        assert "OMP_NUM_THREADS is 1" in " ".join(done.stdout.split())
        assert done.stdout.index("Trials compute with") < done.stdout.index("trial 1 of 1")


@pytest.fixture
def half_a_core():
    """A control group of version 1 with half a core, as `docker run --cpus 0.5` makes it, to put a process in."""
    folder = Path("/sys/fs/cgroup/cpu/framework-bench-test")
    try:
        folder.mkdir()
        (folder / "cpu.cfs_period_us").write_text("100000")
        (folder / "cpu.cfs_quota_us").write_text("50000")
    except OSError as error:
        pytest.skip(f"needs the right to make a control group of version 1: {error}")
    yield folder / "cgroup.procs"
    folder.rmdir()


@pytest.mark.usefixtures("not_quick")
def test_a_real_quota_counts(half_a_core):
    code = "from common.core.machine import cores, limits; print(cores(), limits())"
    inside = f"import os, sys; open({str(half_a_core)!r}, 'w').write(str(os.getpid())); {code}"
    done = subprocess.run([sys.executable, "-c", inside], capture_output=True, text=True, cwd=PROJECT)
    assert done.stdout.startswith("1 {'CPU quota': '0.5 of "), done.stdout + done.stderr

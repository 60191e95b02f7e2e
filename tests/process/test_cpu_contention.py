"""What other processes take of the machine is seen; what the trial's own workers take is not theirs; what is unknown is None."""

import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest

from common.core import machine
from common.core.machine import usable_cpus
from common.process import cpu_contention
from common.process.cpu_contention import Busiest, Neighbours

BURN = [sys.executable, "-c", "while True: pass"]
SECONDS = 2.0

measurable = pytest.mark.skipif(usable_cpus() is None, reason="what others use cannot be measured here")


def seen():
    """Cores of others in the next seconds."""
    before = Neighbours()
    time.sleep(SECONDS)
    return before.cores()


def tried():
    quiet, child = seen(), subprocess.Popen(BURN)
    try:
        own = seen()
    finally:
        child.kill()
        child.wait()
    # Started by a shell that ends at once, it is nobody's child here.
    command = f"{sys.executable} -c 'while True: pass' >&- 2>&- & echo $!"
    pid = int(subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE).stdout)
    try:
        return quiet, own, seen()
    finally:
        psutil.Process(pid).kill()


@pytest.mark.usefixtures("not_quick")
@measurable
def test_a_process_beside_it_is_seen_and_a_worker_is_its_own():
    found = [tried()]
    while not (alone := found[-1][2] > max(found[-1][:2]) + 0.4) and len(found) < 4:  # this machine may have other work
        found.append(tried())
    saturated = all(quiet > len(usable_cpus()) - 0.3 for quiet, _, _ in found)
    if saturated and not alone:
        pytest.skip("other work keeps every core of this machine busy, so that one more process cannot be seen")
    assert alone, found


class Machine:
    """A machine with cores of its own clock, of which every number is set by the test."""

    def __init__(self, monkeypatch, own=0.0, cpus=(0, 1), count=2, quota=None):
        self.busy, self.own, self.now = [0.0] * count, own, 0.0
        times = type("times", (), {"_asdict": lambda each: {"user": each.s, "idle": 99.0, "iowait": 5.0, "guest": 9.0}})

        def every(percpu):
            assert percpu
            made = [times() for _ in self.busy]
            for each, seconds in zip(made, self.busy):
                each.s = seconds
            return made

        me = SimpleNamespace(pid=1, cpu_times=lambda: (self.own, 0.0, 0.0, 0.0, 7.0), children=lambda recursive: [])
        monkeypatch.setattr(cpu_contention.psutil, "cpu_times", every)
        monkeypatch.setattr(cpu_contention.psutil, "cpu_count", lambda: count)
        monkeypatch.setattr(cpu_contention.psutil, "Process", lambda: me)
        monkeypatch.setattr(machine.os, "sched_getaffinity", lambda pid: set(cpus), raising=False)
        monkeypatch.setattr(machine, "cores_allowed", lambda: quota or len(cpus))
        monkeypatch.setattr(cpu_contention.time, "monotonic", lambda: self.now)

    def seen(self, *busy, own=0.0, wall=10.0):
        before = Neighbours()
        self.busy, self.own = [a + b for a, b in zip(self.busy, busy)], self.own + own
        self.now += wall
        return before.cores()


def test_what_the_trial_itself_uses_is_not_the_others(monkeypatch):
    machine = Machine(monkeypatch)
    assert machine.seen(0.0, 0.0) == 0.0
    assert machine.seen(10.0, 4.0, own=10.0) == pytest.approx(0.4)
    assert machine.seen(10.0, 9.9, own=19.95) == 0.0  # ticks are counted a little apart
    assert machine.seen(1.0, 1.0, wall=0.0) is None


def test_of_a_cpuset_only_its_own_cores_count(monkeypatch):
    """Another job on the other cores of a large machine takes nothing from this one."""
    machine = Machine(monkeypatch, cpus=(2, 3), count=4)
    assert machine.seen(10.0, 10.0, 10.0, 0.0, own=10.0) == pytest.approx(0.0)
    assert machine.seen(0.0, 0.0, 10.0, 5.0, own=10.0) == pytest.approx(0.5)


def test_it_is_not_known_under_a_quota_or_where_the_system_counts_nothing(monkeypatch):
    assert Machine(monkeypatch, quota=1).seen(10.0, 10.0) is None
    assert Machine(monkeypatch, cpus=(0, 7), count=2).seen(10.0, 10.0) is None  # numbers that the system does not list
    assert Machine(monkeypatch).seen(0.0, 0.0, own=20.0) is None  # its own time is not in the machine's

    def hidden(*of, **more):
        raise PermissionError("/proc/stat")

    machine = Machine(monkeypatch)
    monkeypatch.setattr(cpu_contention.psutil, "cpu_times", hidden)
    monkeypatch.setattr(cpu_contention.psutil, "process_iter", hidden)
    assert machine.seen(1.0, 1.0) is None and Busiest().words() == ""  # and no trial fails of it


@pytest.mark.usefixtures("not_quick")
@measurable
def test_an_ended_worker_of_a_worker_does_not_become_the_others():
    """Its seconds move to the process that waited for it."""
    code = (
        "import subprocess, sys, time; print(flush=True); input();"
        "subprocess.run([sys.executable, '-c', 'import time\\nt = time.process_time() + 1\\nwhile time.process_time() < t: pass']);"
        "print(flush=True); input()"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        child.stdout.readline()
        before = cpu_contention._own_s()
        print(file=child.stdin, flush=True)
        child.stdout.readline()
        assert cpu_contention._own_s() - before > 0.9
    finally:
        child.kill()
        child.wait()


def test_the_busiest_process_is_named_and_never_ones_own(monkeypatch):
    def listed(**seconds):
        found = {
            pid: SimpleNamespace(pid=int(pid[1:]), info={"name": pid, "cpu_times": (s, 0.0)})
            for pid, s in seconds.items()
        }
        monkeypatch.setattr(cpu_contention.psutil, "process_iter", lambda fields: found.values())

    own = SimpleNamespace(pid=1, children=lambda recursive: [SimpleNamespace(pid=2)])
    monkeypatch.setattr(cpu_contention.psutil, "Process", lambda: own)
    listed(p1=0.0, p2=0.0, p3=100.0, p4=0.0)
    before = Busiest()
    listed(p1=9.0, p2=9.0, p3=100.5, p4=2.0, p5=1.0)
    assert before.words() == "process 4 (p4)"
    listed(p1=20.0, p3=100.0)
    assert before.words() == ""  # those that can be seen did nothing
    listed()
    assert before.words() == ""


def test_a_number_of_threads_hides_nothing(monkeypatch):
    """A trial's own process has this variable set: it is no quota."""
    known = usable_cpus()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert usable_cpus() == known

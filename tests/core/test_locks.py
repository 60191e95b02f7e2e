"""Locks: alone or shared, waited for, and released when their scope ends."""

import subprocess
import sys

import pytest

from common.core import locks
from common.core.errors import InputError
from common.core.locks import FolderLock, cache_to_itself, hold, is_held, lock_scope, use_cache
from tests.helpers.project import PROJECT


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FRAMEWORK_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_one_holds_it_alone_or_several_share_it(tmp_path):
    first, second = FolderLock(tmp_path / "f" / "lock"), FolderLock(tmp_path / "f" / "lock")
    shared = [FolderLock(tmp_path / "f" / "lock", shared=True) for _ in range(2)]
    assert not is_held(first.file)
    assert first.acquire() and is_held(first.file)
    assert not second.acquire() and not shared[0].acquire()
    first.release()
    assert shared[0].acquire() and shared[1].acquire() and not second.acquire()
    for lock in shared:
        lock.release()
    assert second.acquire()
    second.release()


def test_who_waits_gets_it_once_it_is_released(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "POLL_S", 0.01)
    first, second, waited = FolderLock(tmp_path / "lock"), FolderLock(tmp_path / "lock"), []
    assert first.acquire()

    def waiting(waited_s):
        waited.append(waited_s)
        if len(waited) == 2:
            first.release()

    second.wait(waiting)
    assert waited == pytest.approx([0.0, 0.01]) and is_held(second.file)
    second.release()


def test_a_run_and_the_cache_are_free_again_after_their_scope(tmp_path, cache):
    for error in (None, KeyboardInterrupt):
        try:
            with lock_scope():
                use_cache()
                hold(tmp_path)
                with pytest.raises(InputError, match="is being run by another process"):
                    hold(tmp_path)
                with cache_to_itself() as alone:
                    assert not alone
                if error:
                    raise error
        except KeyboardInterrupt:
            pass
        assert not is_held(tmp_path / ".lock")
        with cache_to_itself() as alone:
            assert alone


def test_a_scope_releases_nothing_that_was_locked_before_it(tmp_path, cache):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with lock_scope():
        hold(tmp_path / "a")
        with lock_scope():
            hold(tmp_path / "b")
        assert is_held(tmp_path / "a" / ".lock") and not is_held(tmp_path / "b" / ".lock")
    assert not is_held(tmp_path / "a" / ".lock")


@pytest.mark.usefixtures("not_quick")
@pytest.mark.parametrize("through_exec", [True, False])
def test_what_a_process_execs_into_keeps_the_lock_where_it_should(tmp_path, through_exec):
    sleep = "print(1, flush=True); import time; time.sleep(60)"
    code = (
        f"import os, sys; from pathlib import Path; from common.core.locks import hold; hold(Path({str(tmp_path)!r}), {through_exec}); "
        f"os.execv(sys.executable, [sys.executable, '-c', {sleep!r}])"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=PROJECT)
    try:
        child.stdout.readline()
        assert is_held(tmp_path / ".lock") == through_exec
    finally:
        child.kill()
        child.wait()
    assert not is_held(tmp_path / ".lock")


def test_a_cache_that_cannot_be_written_is_refused(monkeypatch):
    monkeypatch.setenv("FRAMEWORK_BENCH_CACHE", "/proc/none")
    with pytest.raises(InputError, match="the cache folder '/proc/none' cannot be written"):
        use_cache()

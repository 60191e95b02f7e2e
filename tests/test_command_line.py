"""run_bench.py in the tests' own process gives what it gives in a process of its own, and leaves nothing behind."""

import os
import sys
import time

import pytest

import run_bench
from common.core import registry
from tests.helpers import command_line


def test_both_ways_give_the_same(bench, bench_process):
    for words in (("list",), ("list", "--json"), ("--epoch", "2"), ("list", "--help")):
        one, other = bench(*words), bench_process(*words)
        assert (one.returncode, one.stdout, one.stderr) == (other.returncode, other.stdout, other.stderr)


def test_variables_folder_streams_and_caches_are_the_calls_own(cli, tmp_path, monkeypatch):
    before = dict(os.environ), os.getcwd(), sys.stdout, sys.stderr, sys.modules["__main__"]
    infos = registry.framework_infos()

    def main(arguments):
        print(os.environ["ONLY"], os.getcwd(), len(os.environ), registry.framework_infos() is infos)
        os.write(2, "as a child — writes\n".encode())
        os.environ["LEFT"] = "x"
        return 3

    monkeypatch.setattr(run_bench, "main", main)
    done = cli(env={"ONLY": "this"}, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (3, f"this {tmp_path} 1 False\n", "as a child — writes\n")
    assert before == (dict(os.environ), os.getcwd(), sys.stdout, sys.stderr, sys.modules["__main__"])


def test_a_crash_is_a_traceback_and_exit_code_1(cli, monkeypatch):
    monkeypatch.setattr(run_bench, "main", lambda arguments: 1 / 0)
    done = cli()
    assert done.returncode == 1 and "Traceback" in done.stderr and "ZeroDivisionError" in done.stderr


def test_a_call_that_hangs_ends(cli, monkeypatch):
    monkeypatch.setattr(command_line, "TIMEOUT_S", 1)
    monkeypatch.setattr(run_bench, "main", lambda arguments: time.sleep(60))
    assert "TimeoutError: run_bench.py took more than 1 s" in cli().stderr


def test_ctrl_c_of_a_person_ends_the_tests(cli, monkeypatch):
    monkeypatch.setattr(run_bench, "main", lambda arguments: command_line.STOPPED)
    with pytest.raises(KeyboardInterrupt):
        cli()

"""The measurements of the harness itself: each fires where its limit is not kept, and only there."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.self import contention, frozen, overhead, pixels, preparing, receipts, scale, scores, startup, tracing
from common.cli.command import parse
from common.core.errors import InputError
from common.process.questions import FrozenPass
from common.report.terminal import Console
from common.trial import microbench


def measure(module, *arguments):
    """The measurement's exit code."""
    return module.run(parse(module, "run_bench.py self WHAT", [*arguments]), Console())


def tuned(rate, bare, peak, precision="bfloat16"):
    """What a child answers about its frozen pass: 2 GFLOP an image."""
    return FrozenPass(
        config={"precision": precision}, tried=(), tuned=rate, bare=bare, gflop=2.0, peak=peak, moved_mb=20.0,
        copied_gb_s=4.0,
    )  # fmt: skip


def test_frozen_needs_a_share_of_the_best_peak_or_twice_the_plain_pass():
    near = {("torch a", "not head"): [tuned(45.0, 40.0, 100.0)]}  # 90 GFLOP/s of 100
    text, kept = frozen.judged(near)
    assert kept and "90% (90% to 90%)" in text and "limit: 80% of the peak; of efficientnet_lite0 2 times" in text
    assert "| 20.0 | 22% (22% to 22%) |" in text  # 45 x 20 MB/s of 4 GB/s
    twice = [tuned(10.0, 4.0, 100.0)]  # 20 of 100: the limit of what is bound by memory alone
    assert frozen.judged({("torch efficientnet_lite0", "not head"): twice})[1]
    assert not frozen.judged({("torch a", "not head"): twice})[1]
    assert not frozen.judged({("torch efficientnet_lite0", "not head"): [tuned(45.0, 40.0, 100.0)]})[1]
    # Another answer of the run saw a higher peak: the share is of that one.
    text, kept = frozen.judged(near | {("torch b", "not head"): [tuned(95.0, 40.0, 200.0)]})
    assert not kept and "45% (45% to 45%)" in text and "not kept by: torch a (not head)" in text
    # A peak of another precision says nothing of this one.
    assert frozen.judged(near | {("torch b", "not head"): [tuned(180.0, 40.0, 400.0, "float32")]})[1]


def test_what_an_image_moves_is_counted_by_frozen_convolutions():
    outputs = {
        "input": (1, 8, 8, 3),
        "stem": (1, 4, 4, 10),
        "norm": (1, 4, 4, 10),
        "last": (1, 2, 2, 50),
        "fc": (1, 20),
    }
    kernels = {"stem.weight": (10, 3, 3, 3), "norm.weight": (10,), "last.weight": (50, 10, 1, 1), "fc.weight": (20, 50)}
    adapter = SimpleNamespace(
        activations=lambda model, pixels, training: {name: np.zeros(shape) for name, shape in outputs.items()},
        dump=lambda model: {name: np.zeros(shape) for name, shape in kernels.items()},
        trainable=lambda model: {"last.weight", "fc.weight"},
    )
    assert microbench.moved_bytes(adapter, None, 8) == (160 * 4, 160 * 4)  # 160 values, 2 bytes, written and read
    adapter.trainable = lambda model: {"fc.weight"}
    assert microbench.moved_bytes(adapter, None, 8) == ((160 + 200) * 4, (160 + 200) * 2)
    assert microbench.copied_bytes_s(10_000) > 1e6


def test_frozen_names_a_job_that_it_cannot_read():
    with pytest.raises(InputError, match=r"'vgg19' is not MODEL/TRAINED; TRAINED is head or last-block"):
        frozen.jobs_of(["torch"], ["vgg19"])


@pytest.mark.usefixtures("not_quick")
@pytest.mark.parametrize(("bare_s", "code"), [(0.001, 1), (1000.0, 0)])
def test_overhead(monkeypatch, tmp_path, bare_s, code):
    monkeypatch.setattr(overhead, "bare_seconds", lambda *of: [9.0, bare_s, bare_s])
    monkeypatch.setattr(overhead.registry.framework_info("fake"), "BARE", "logistic")
    monkeypatch.setenv("FRAMEWORK_BENCH_CACHE", str(tmp_path))
    assert measure(overhead, "--frameworks", "fake", "--epochs", "2", "--repeats", "1", "--limit", "200") == code


@pytest.mark.usefixtures("not_quick")
@pytest.mark.parametrize(("rate", "code"), [(1e9, 1), (1e-3, 0)])
def test_pixels(monkeypatch, tmp_path, rate, code):
    monkeypatch.setattr(pixels, "single_core", lambda *of: rate)
    monkeypatch.setenv("FRAMEWORK_BENCH_CACHE", str(tmp_path))
    assert measure(pixels, "--images", "300", "--image-size", "32", "--repeats", "1") == code


@pytest.mark.usefixtures("not_quick")
def test_pixels_read_back_too_slowly(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(pixels, "single_core", lambda *of: 1e-3)
    monkeypatch.setattr(pixels, "READ", 1e12)
    monkeypatch.setenv("FRAMEWORK_BENCH_CACHE", str(tmp_path))
    assert measure(pixels, "--images", "300", "--image-size", "32", "--repeats", "1") == 1
    assert "read back: median" in capsys.readouterr().out


@pytest.mark.parametrize(("apart_s", "code"), [(0.003, 1), (0.00201, 0), (0.001, 0)])
def test_tracing(monkeypatch, apart_s, code):
    answers = {"tracing_seconds": {"apart": apart_s, "whole": 0.002}, "step_seconds": {"step": 0.01}}
    monkeypatch.setattr(tracing, "ask", lambda framework, question, threads, **values: answers[question.name])
    assert measure(tracing, "--frameworks", "torch") == code


@pytest.mark.usefixtures("not_quick")
@pytest.mark.parametrize(("receipt_s", "code"), [(10.0, 1), (1e-9, 0)])
def test_receipts(monkeypatch, tmp_path, receipt_s, code):
    monkeypatch.setattr(receipts, "MODEL", "logistic")
    monkeypatch.setattr(receipts, "ask", lambda *of, **values: receipt_s)
    monkeypatch.setenv("FRAMEWORK_BENCH_CACHE", str(tmp_path))
    assert measure(receipts, "--frameworks", "fake", "--epochs", "2", "--image-size", "32") == code


@pytest.mark.parametrize(("limit_s", "code"), [(1e-9, 1), (math.inf, 0)])
@pytest.mark.parametrize("task", preparing.TASKS)
def test_preparing(monkeypatch, task, limit_s, code):
    small = {name: (of, 100) for name, (of, images) in preparing.TASKS.items()}
    monkeypatch.setattr(preparing, "TASKS", small)
    monkeypatch.setattr(preparing, "LIMITS_S", dict.fromkeys(small, math.inf) | {task: limit_s})
    assert measure(preparing, "--repeats", "1") == code


@pytest.mark.parametrize(("seconds", "code"), [([0.9, 0.6], 1), ([0.9, 0.4], 0)])
def test_startup_takes_the_fastest(monkeypatch, capsys, seconds, code):
    monkeypatch.setattr(startup, "help_s", iter(seconds).__next__)
    assert measure(startup, "--repeats", "2") == code
    assert f"--help: {min(seconds):.2f} s" in capsys.readouterr().out


@pytest.mark.usefixtures("not_quick")
def test_startup_waits_for_the_command_line():
    assert startup.help_s() > 0.01  # a process of Python's own


@pytest.mark.parametrize(("limit_s", "code"), [(1e-9, 1), (math.inf, 0)])
def test_scores(monkeypatch, limit_s, code):
    monkeypatch.setattr(scores, "LIMIT_S", limit_s)
    assert measure(scores, "--rows", "1000", "--repeats", "1") == code


@pytest.mark.parametrize(
    ("name", "seconds", "memory", "code"),
    [
        ("planted", lambda n: n * n, lambda n: 0, 1),
        ("planted", lambda n: n, lambda n: n * n // 10, 1),
        ("planted", lambda n: n, lambda n: 1000 * n, 0),
        (scale.READING, lambda n: n, lambda n: 1000 * n, 1),  # which keeps nothing
        (scale.READING, lambda n: n, lambda n: 100_000, 0),
    ],
    ids=["quadratic time", "quadratic memory", "linear", "reading, linear memory", "reading, flat memory"],
)
def test_scale(monkeypatch, name, seconds, memory, code):
    clock = [0.0]

    def task(n):
        clock[0] += seconds(n)
        return bytearray(memory(n))

    monkeypatch.setattr(scale, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(scale, "tasks", lambda n, folder: {name: lambda: task(n)})
    assert measure(scale, "--sizes", "316", "1264", "--repeats", "3") == code


def test_a_limit_is_of_the_worst_framework(monkeypatch):
    monkeypatch.setattr(overhead, "compare", lambda name, *of: {"torch": 1.001, "tf": 1.5}[name])
    assert measure(overhead, "--frameworks", "torch", "tf") == 1
    assert measure(overhead, "--frameworks", "torch") == 0


WHEN = {"quiet": 1.0, "busy": 1.0, "nice 19": 1.0}


def measured(rounds=4, **policies):
    """Seconds on two frameworks. policies: name -> how many times longer in each condition, or in each of its rounds."""
    found = {}
    for policy, times in ({"default": {"busy": 18.0, "nice 19": 15.0}} | policies).items():
        for condition, factor in (WHEN | times).items():
            each = factor if isinstance(factor, list) else [factor] * rounds
            found["a", policy.replace("_", "-"), condition] = [0.5 * f * (1 + 0.1 * n) for n, f in enumerate(each)]
            found["b", policy.replace("_", "-"), condition] = [0.7] * rounds
    return found


def test_contention_recommends_what_costs_nothing_and_degrades_least():
    gentle = {"busy": 1.5, "nice 19": 1.2}

    def best(**policies):
        found = measured(**policies)
        return contention.recommended(found, ["a", "b"], list(dict.fromkeys(policy for _, policy, _ in found)))

    assert best() == "default"
    assert best(passive=gentle, spin_1000={"busy": 1.1, "nice 19": 1.6}) == "passive"
    assert best(passive=gentle | {"quiet": 1.2}) == "default", "it costs a fifth when quiet"
    assert best(passive=gentle | {"quiet": 1.02}) == "passive", "within what may be lost"
    # Above the limit in the median, and half of the rounds show nothing: that is noise.
    assert best(passive={"quiet": [0.9, 0.9, 1.2, 1.3], "busy": 2.0, "nice 19": 2.0}) == "passive"
    assert best(passive={"quiet": [1.1, 1.1, 1.2, 1.3], "busy": 2.0, "nice 19": 2.0}) == "default"

    found, names = measured(passive=gentle), ["a", "b"]
    lines = contention.table(found, names, ["default", "passive"]).splitlines()
    assert len(lines) == 6 and len({line.count("|") for line in lines}) == 1
    assert "| a | default | 0.57 | 1.00 (1.00 to 1.00) | 10.35 | 8.62 | 18.00 (18.00 to 18.00) | 15.00" in lines[2]
    said = contention.recommendation(found, names, ["default", "passive"])
    assert said.startswith("Recommended: passive (OMP_WAIT_POLICY=PASSIVE KMP_BLOCKTIME=0; ") and "\n" not in said
    assert "a 1.00 times as long when quiet, 1.50 times beside a busy process (default: 18.00)" in said


def test_contention_recommends_nothing_on_a_machine_that_was_not_quiet():
    assert contention.disturbed([0.0, 0.05]) == ""
    assert "1.9 cores" in contention.disturbed([0.0, 1.9])
    assert "cannot be measured" in contention.disturbed([0.0, None])


SMALL = ("--frameworks", "fake", "--image-size", "32", "--steps", "4", "--batch-size", "8", "--policies", "passive")


@pytest.mark.usefixtures("not_quick")
def test_contention_measures_every_policy_in_every_condition(monkeypatch, capsys):
    """Real processes, kept from round to round, in turn."""
    monkeypatch.setattr(contention, "MEASURE_S", 0.01)
    monkeypatch.setattr(contention, "disturbed", lambda others: "" if len(others) == 3 else "rounds are missing")
    assert measure(contention, *SMALL, "--model", "logistic", "--rounds", "5", "--minutes", "0.0001") == 0
    shown = capsys.readouterr().out
    assert "2 processes are started" in shown and "round 3 of 5" in shown and "round 4" not in shown
    assert "another round would exceed --minutes 0.0001" in shown
    assert shown.count("| fake | ") == 2 and "Medians of 3 rounds" in shown and "Recommended: " in shown


@pytest.mark.usefixtures("not_quick")
@pytest.mark.parametrize(
    ("model", "words"),
    [("crash", "ended before it was measured: .*planted: the third step crashed"), ("hang", "no answer")],
)
def test_contention_says_which_process_was_lost(monkeypatch, model, words):
    monkeypatch.setattr(contention, "ANSWER_S", 20.0 if model == "crash" else 3.0)
    with pytest.raises(InputError, match=rf"(?s)fake \((default|passive)\) .*{words}"):
        measure(contention, *SMALL, "--model", model)


def test_contention_names_the_policies_that_there_are():
    with pytest.raises(InputError, match="no policy 'pasive'"):
        measure(contention, "--policies", "pasive")

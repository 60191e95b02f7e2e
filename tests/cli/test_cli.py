"""The front door: help, lists, errors with the way out, exit codes."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from common.core import locks, registry, signals
from tests.helpers.project import PROJECT


def test_help_is_grouped_and_has_examples(cli):
    shown = cli("--help").stdout
    for words in ("what runs:", "how it trains:", "data:", "machine:", "examples:", "--frameworks torch tf --epochs 2"):
        assert words in shown


@pytest.mark.parametrize("verb", registry.commands())
def test_every_verb_has_help(cli, verb):
    done = cli(verb, "--help")
    assert done.returncode == 0
    assert f"run_bench.py {verb}" in done.stdout


def test_list_names_everything(cli):
    out = cli("list").stdout
    for words in (
        "torch",
        "tf",
        "fake",
        "resnext50_32x4d",
        "vgg19",
        "efficientnet_lite0",
        "v1.5, v1",
        "paper",
        "smoke",
        "comp5329",
        "demo",
    ):
        assert words in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--frameworks", "pytoch"], "no framework 'pytoch'; there are: .*torch.*did you mean (py)?torch"),
        (["--frameworks", "fake", "--models", "logistik"], "no model 'logistik'; there are: .*did you mean logistic"),
        (["--suite", "smok"], "no suite 'smok'; there are: matched, paper, smoke .did you mean smoke"),
        (["--suite", "smoke", "--models", "vgg19"], "--suite names its own"),
        (["--suite", "smoke", "--keep-frozen"], "--suite names its own"),
        (
            ["--data", "nowhere", "--frameworks", "fake"],
            "no data at 'nowhere': there is no such folder or file; give one, or demo",
        ),
        (
            ["--frameworks", "torch", "--models", "resnet50:v2"],
            "no variant of resnet50 on torch 'v2'; there are: v1.5, v1",
        ),
        (
            ["--frameworks", "tf", "--models", "vgg19", "--weights", "no.safetensors"],
            "no weights file 'no.safetensors'",
        ),
        (["--frameworks", "fake", "--limit", "2"], "2 images cannot be split"),
        (
            ["bench"],
            "no verb 'bench'; there are: check, check-adapter, compare, data, history, list, parity, prune, report, self",
        ),
        (["report", "nowhere"], "no run at 'nowhere'"),
        (["--resume", ""], "the word after --resume is empty: a variable of the shell that is not set"),
        (["--frameworks", "fake", "--data", ""], "the word after --data is empty"),
        (["report", ""], "the word after report is empty"),
        (["--init-from="], "--init-from= is empty"),
        (["--epoch", "2"], "no flag '--epoch' .did you mean --epochs"),
        (["list", "models"], "'models' is a word too many; see run_bench.py list --help"),
        (["--epochs", "0"], "0 is not 1 or more"),
        (["--seed", "4294967296"], "below 2"),
        (["--percentiles", "100"], "100 is not a percentile"),
        (["--batch-size", "many"], "invalid"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(cli, tmp_path, arguments, message):
    refused(cli, tmp_path, arguments, message)


def test_a_device_that_is_not_there_is_one_message(bench, tmp_path):
    arguments = ["--frameworks", "fake", "--device", "cuda"]
    refused(bench, tmp_path, arguments, "--device cuda: the fake framework has no device 'cuda'")


def refused(call, tmp_path, arguments, message):
    done = call(*arguments, *([] if arguments[0] in ("bench", "report") else ["--results-dir", tmp_path / "results"]))
    assert done.returncode == 2
    assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()  # nothing half-written


def test_a_folder_that_cannot_be_written_is_one_message(bench):
    done = bench("--frameworks", "fake", "--limit", "50", "--results-dir", "/proc/none")
    assert done.returncode == 2
    assert "/proc/none" in done.stderr and "Traceback" not in done.stderr


def test_a_table_that_is_no_text_is_one_message(cli, tmp_path):
    (tmp_path / "train.csv").write_bytes(b"\xff\xfe\x00\x81" * 20)
    done = cli("--frameworks", "fake", "--data", tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_aliases_are_understood(bench, tmp_path):
    done = bench("--frameworks", "numpy", "--limit", "50", "--results-dir", tmp_path)
    assert done.returncode == 0
    assert "fake logistic" in done.stdout


def test_no_run_overwrites_another(bench, tmp_path):
    arguments = ("--frameworks", "fake", "--limit", "50", "--results-dir", tmp_path, "--name", "one")
    assert bench(*arguments).returncode == 0
    done = bench(*arguments)
    assert done.returncode == 2
    assert "exists; take another --name" in done.stderr


@pytest.mark.usefixtures("not_quick")
def test_the_names_of_gpus_are_the_drivers_words(tmp_path, monkeypatch):
    """A run that goes on elsewhere must know that the GPU is another one."""
    from common.core.machine import machine

    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert "GPU" not in machine() or machine()["GPU"]
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho NVIDIA T4\necho NVIDIA T4\n")
    tool.chmod(0o755)
    assert machine()["GPU"] == "NVIDIA T4, NVIDIA T4"


def test_a_report_that_cannot_be_written_says_how_to_make_it(bench, tmp_path, monkeypatch):
    """The disk fills up after the last trial: nothing is lost, and the line that makes the tables is named."""
    from common.report import write

    def full(folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write, "write_report", full)
    done = bench(*"--frameworks fake --limit 60 --image-size 16 --name r --results-dir".split(), tmp_path)
    assert done.returncode == 2
    assert "No space left on device" in done.stderr and f"run_bench.py report {tmp_path}/r" in done.stderr
    monkeypatch.undo()
    assert bench("report", tmp_path / "r").returncode == 0


@pytest.mark.usefixtures("not_quick")
def test_a_reader_that_goes_away_ends_no_run(tmp_path):
    """`run_bench.py ... | head -1`: rich's own console ends the process at once, without a word."""
    words = f"--frameworks fake --limit 60 --image-size 16 --epochs 3 --results-dir {tmp_path} --name r"
    command = f"{sys.executable} {PROJECT / 'run_bench.py'} {words} | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1, done.stderr
    assert (tmp_path / "r" / "results.md").is_file() and (tmp_path / "r" / "index.html").is_file()


@pytest.fixture(scope="module")
def fake_run(bench, tmp_path_factory):
    parent = tmp_path_factory.mktemp("json")
    words = ("--frameworks", "fake", "--limit", "100", "--image-size", "16", "--results-dir", parent, "--name", "run")
    assert bench(*words).returncode == 0
    assert bench("check", parent / "run", "--baseline", parent / "base.json", "--update-baseline").returncode == 0
    return parent / "run"


AS_JSON = {
    "check": (["{run}", "--baseline", "{run}/../base.json"], "Check: "),
    "check-adapter": (["fake"], ""),
    "compare": (["{run}"], "Speed"),
    "data": (["--limit", "50", "--results-dir", "{run}/.."], "The "),
    "history": (["{run}/.."], "Runs"),
    "list": ([], "Frameworks"),
    "parity": (["logistic", "--frameworks", "fake"], None),  # is on no two frameworks: bad input
    "prune": (["--results-dir", "{run}/.."], "In "),
    "report": (["{run}"], "What it cost"),
    "self": (["scores", "--rows", "1000", "--repeats", "1"], ""),
}


def test_every_verb_is_listed_here():
    assert AS_JSON.keys() == registry.commands().keys()


@pytest.mark.parametrize("verb", AS_JSON)
def test_every_verb_prints_what_it_shows_as_json(bench, fake_run, verb):
    arguments, title = AS_JSON[verb]
    done = bench(verb, *(word.format(run=fake_run) for word in arguments), "--json")
    if title is None:
        assert done.returncode == 2 and done.stdout == "" and "no model is on two of the frameworks" in done.stderr
        return
    said = json.loads(done.stdout)
    assert said["exit_code"] == done.returncode == 0, done.stderr
    if title:
        (table, *_) = [table for table in said["tables"] if table["title"].startswith(title)]
        assert all(len(cells) == len(table["header"]) for cells in table["rows"])
        assert table["rows"] or verb == "check"  # which lists what changed: nothing
    else:
        assert said["lines"]


def test_json_holds_results_and_progress_goes_to_the_standard_error(bench, tmp_path):
    variables = os.environ | {"FRAMEWORK_BENCH_CACHE": str(tmp_path / "cache")}  # in which no image is decoded yet
    done = bench("data", "--limit", "50", "--results-dir", tmp_path, "--json", env=variables)
    first, *lines = json.loads(done.stdout)["lines"]
    assert first == "all 50 images can be decoded" and [line.partition(":")[0] for line in lines] == [
        "page",
        "to train on it",
    ]
    assert "decoding 50 images" in done.stderr


@pytest.mark.usefixtures("not_quick")
def test_main_leaves_nothing_behind_in_its_process(tmp_path, capsys):
    """Signals and locks are as they were, so that a process may carry out a run, go on with it and report it."""
    import run_bench

    handlers = [signal.getsignal(number) for number in signals.ENDING]
    words = "--frameworks fake --limit 60 --image-size 16 --name r --results-dir".split()
    run = str(tmp_path / "r")
    assert run_bench.main([*words, str(tmp_path)]) == 0
    assert run_bench.main(["--resume", run]) == 0  # a lock on the run, or on the cache, would refuse it
    assert run_bench.main(["report", run]) == 0
    assert run_bench.main(["nothing"]) == 2
    assert run_bench.main(["--help"]) == run_bench.main(["list", "--help", "--json"]) == 0
    capsys.readouterr()
    assert run_bench.main(["compare", run, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tables"]
    assert run_bench.main(["compare", run]) == 0
    assert "Speed" in capsys.readouterr().out
    assert handlers == [signal.getsignal(number) for number in signals.ENDING]
    assert locks._kept == []

"""All runs against time: series are of one job, steps are found where they were planted, and nowhere else."""

import json
import os
import shutil
from datetime import UTC, datetime

import numpy as np
import pytest

from common.analysis.history import Point, Series, history, steps
from common.analysis.records import read_results
from common.analysis.summary import summarise
from common.core.clock import in_order, start_text
from common.report.history import steps_table
from common.report.table import NONE

VERSIONS = {"torch": "1"}


def points(values, changed=None):
    context = [VERSIONS | ({"torch": "2"} if changed is not None and i >= changed else {}) for i in range(len(values))]
    return [Point(f"run{i}", f"day {i}", float(v), None, None, c) for i, (v, c) in enumerate(zip(values, context))]


def test_a_planted_step_is_found_with_what_changed_then():
    values = np.array([10, 10.1, 9.9, 10, 12, 12.1, 11.9, 12.05])
    (step,) = steps(points(values, changed=4), None)
    assert (step.run, step.changed) == ("run4", ("torch: 1, then 2",))
    assert (step.before, step.after) == (pytest.approx(10.0), 12.0)


def test_noise_is_no_step():
    """At 99 % each, a hundredth of further runs may be called one, and less, since a step must be worth showing."""
    rng = np.random.default_rng(0)
    found = [steps(points(rng.normal(10, 0.1, 12)), None) for _ in range(100)]
    assert sum(map(len, found)) <= 9 * 100 * 0.01
    assert (
        steps(points([0.5, 0.5, 0.5, 0.5015]), 0.002) == ()
    )  # below the floor of a score, though nothing varied before
    assert len(steps(points([0.5, 0.5, 0.5, 0.51]), 0.002)) == 1


def test_three_runs_are_too_few_for_a_step():
    assert steps(points([10, 10, 20]), None) == () and len(steps(points([10, 10, 10, 20]), None)) == 1


@pytest.fixture(scope="module")
def folder(bench, tmp_path_factory):
    """A real run and five copies of it, later ones; in the last two, epochs take twice as long and one F1 differs."""
    parent = tmp_path_factory.mktemp("history")
    done = bench(
        "--frameworks", "fake", "--limit", "200", "--image-size", "16", "--results-dir", parent, "--name", "run0"
    )
    assert done.returncode == 0, done.stderr
    for i in range(1, 6):
        shutil.copytree(parent / "run0", parent / f"run{i}")
        run = json.loads((parent / f"run{i}" / "run.json").read_text())
        changed = {"name": f"run{i}", "started": f"2026-01-0{i} 00:00"}
        (parent / f"run{i}" / "run.json").write_text(json.dumps(run | changed))
    for i in range(6):
        (events,) = (parent / f"run{i}" / "trials").glob("*/events.jsonl")
        lines = [json.loads(line) for line in events.read_text().splitlines()]
        for line in lines:
            if line["event"] == "epoch":
                line["train_s"] = 2.0 + 0.01 * i if i in (0, 1, 2, 3) else 4.0
        events.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = json.loads((parent / "run0" / "run.json").read_text())
    (parent / "run0" / "run.json").write_text(json.dumps(run | {"started": "2026-01-00 00:00"}))
    return parent


def test_the_verb_shows_every_run_and_the_step(bench, folder):
    done = bench("history", folder, "--json")
    assert done.returncode == 0, done.stderr
    found, runs = json.loads(done.stdout)["tables"]
    assert [row[:4] for row in found["rows"]] == [["fake logistic default head none", "epoch s", "run4", "2.0"]]
    assert [row[3] for row in runs["rows"]] == [f"run{i}" for i in range(6)]
    for name in ("history.md", "history.html", "figures/history.png"):
        assert (folder / name).stat().st_size > 500
    assert "run4" in (folder / "history.md").read_text()


def test_rows_of_another_recipe_are_another_series(folder):
    one, other = (summarise(read_results(folder / f"run{i}")) for i in (0, 1))
    (row,) = other.rows
    recipe = row.settings["recipe"] | {"batch_size": 64}
    other = other.model_copy(update={"rows": (row.model_copy(update={"settings": row.settings | {"recipe": recipe}}),)})
    labels = [series.label.split(", ")[1:] for series in history([("a", one), ("b", other)])]
    assert labels == [["batch_size 32"], ["batch_size 64"]]
    (series,) = history([("b", one), ("a", one)])
    assert [point.started for point in series.points["epoch s"]] == ["a", "b"]


def test_runs_are_in_the_order_of_their_starts(folder):
    """To the second, in UTC, whatever their names are; old records have a local minute, read as UTC."""
    run = summarise(read_results(folder / "run0"))
    starts = {"n9": "2026-11-28T00:59:01Z", "n10": "2026-11-28T00:59:08Z", "old": "2026-11-28 00:59"}
    (series,) = history([(started, run.model_copy(update={"run": name})) for name, started in starts.items()])
    assert [point.run for point in series.points["epoch s"]] == ["old", "n9", "n10"]


def test_a_start_is_readable():
    assert start_text("2026-11-28T00:42:20Z") == "2026-11-28 00:42:20 UTC"
    assert start_text("2026-11-28 00:42") == "2026-11-28 00:42"
    assert in_order("no time") < in_order("2026-11-28 00:42") < in_order("2026-11-28T00:42:20+00:00")


def test_the_zone_of_the_machine_is_no_part_of_the_order(bench, bench_process, tmp_path):
    for zone, name in (("America/Los_Angeles", "b-first"), ("Asia/Tokyo", "a-second")):
        words = ("--frameworks", "fake", "--limit", "60", "--image-size", "32", "--epochs", "1")
        done = bench_process(*words, "--results-dir", tmp_path, "--name", name, env=os.environ | {"TZ": zone})
        assert done.returncode == 0, done.stderr
    started = read_results(tmp_path / "a-second").run.started
    assert abs((datetime.now(UTC) - datetime.fromisoformat(started)).total_seconds()) < 600
    assert f"Started {start_text(started)} with" in (tmp_path / "a-second" / "results.md").read_text(encoding="utf-8")
    runs = json.loads(bench("history", tmp_path, "--json").stdout)["tables"][1]["rows"]
    assert [row[3] for row in runs] == ["b-first", "a-second"] and runs[0][2].endswith(" UTC")


@pytest.mark.parametrize(
    "changed", [{"threads": "1"}, {"device": "cuda"}, {"decoded": "in every epoch"}, {"ran on": "slow, 2"}]
)
def test_rows_that_ran_otherwise_or_elsewhere_are_another_series(folder, changed):
    one = summarise(read_results(folder / "run0"))
    (row,) = one.rows
    other = one.model_copy(update={"rows": (row.model_copy(update={"context": row.context | changed}),)})
    found = history([("a", one), ("b", other)])
    assert len(found) == 2 and len(history([("a", one), ("b", one)])) == 1
    assert len({(series.label, series.machine) for series in found}) == 2


def test_a_step_from_nothing_has_no_percentage():
    (step,) = steps(points([0, 0, 0, 0.5]), 0.002)
    series = Series("a", "m", {"f1 at 95": tuple(points([0, 0, 0, 0.5]))}, {"f1 at 95": (step,)})
    assert steps_table([series]).rows[0][3:6] == ("0.000", "0.500", NONE)


def test_a_run_that_cannot_be_read_is_named(bench, folder, tmp_path):
    shutil.copytree(folder / "run0", tmp_path / "run0")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    shutil.copytree(folder / "run1", tmp_path / "half")
    next((tmp_path / "half" / "trials").glob("*/logits.npz")).unlink()
    done = bench("history", tmp_path, "--json")
    notes = " ".join(note for table in json.loads(done.stdout)["tables"] for note in table["notes"])
    assert done.returncode == 0 and notes.count("Left out: ") == 2 and "broken" in notes and "logits.npz" in notes
    shutil.rmtree(tmp_path / "run0")
    done = bench("history", tmp_path)
    assert done.returncode == 2 and "no finished row in the runs of" in done.stderr and "Traceback" not in done.stderr

"""Committed runs of schema version 1: they open, and their report gives the numbers that it gave when they were made."""

import json
import shutil

import pytest

from common.report.write import write_report
from tests.helpers.project import PROJECT

FAST = ("lite0", "paper_part")  # both frameworks in both lanes, and a run of one trial
RUNS = sorted(path.parent for path in (PROJECT / "results" / "comp5329-5k").glob("*/run.json"))


def changed(old, new, place="") -> list[str]:
    """Places at which the new value lacks what the old one has, or holds something else. New fields are no change."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line
            for key in old
            for line in (changed(old[key], new[key], f"{place}/{key}") if key in new else [f"{place}/{key} is gone"])
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [line for i, (a, b) in enumerate(zip(old, new)) for line in changed(a, b, f"{place}[{i}]")]
    return [] if old == new and type(old) is type(new) else [f"{place}: {old!r:.80}, now {new!r:.80}"]


@pytest.mark.usefixtures("not_quick")  # 2 to 4 s each
@pytest.mark.parametrize(
    "run",
    [pytest.param(run, marks=[] if run.name in FAST else pytest.mark.slow, id=run.name) for run in RUNS],
)
def test_a_committed_run_reports_the_numbers_that_it_had(run, tmp_path):
    copy = tmp_path / run.name
    shutil.copytree(run, copy)
    (copy / "results.json").unlink()
    write_report(copy)
    old = json.loads((run / "results.json").read_text())
    assert old["run"]["schema_version"] == 1
    assert changed(old, json.loads((copy / "results.json").read_text())) == []


def test_a_change_is_seen():
    old = {"f1": 0.5, "epochs": [1, 2]}
    assert changed(old, {"f1": 0.5, "epochs": [1, 2], "new": 1}) == []
    assert changed(old, {"epochs": [1, 2]}) == ["/f1 is gone"]
    assert changed(old, {"f1": 0.6, "epochs": [1, 3]}) == ["/f1: 0.5, now 0.6", "/epochs[1]: 2, now 3"]
    assert len(changed(old, {"f1": 0.5, "epochs": [1]})) == 1

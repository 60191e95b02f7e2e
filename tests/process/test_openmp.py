"""The OpenMP wait policy: the same for all, the user's own stands, and every row says which was in force."""

import json
import os

import pytest

from common.analysis.check import compare
from common.analysis.grouping import groups
from common.analysis.history import history
from common.analysis.records import read_results
from common.analysis.summary import summarise
from common.core import openmp
from common.core.openmp import FACT, OURS, POLICIES, POLICY, in_force, with_policy
from common.process import spawn
from common.report.differences import differences
from tests.helpers.records import results, row

FAST = ("--frameworks", "fake", "--limit", "200", "--image-size", "16", "--epochs", "1")


def words(policy):
    return ", ".join(f"{name}={value}" for name, value in POLICIES[policy].items())


def test_every_process_that_trains_gets_the_policy(monkeypatch):
    for name in (*openmp.WAITING, *openmp.BINDING, OURS):
        monkeypatch.delenv(name, raising=False)
    found = spawn.environment(2, "cpu")
    assert POLICIES[POLICY].items() <= found.items() and POLICIES[POLICY]
    assert in_force(found) == words(POLICY)
    monkeypatch.setattr(spawn.os, "environ", found)  # a trial that starts another process
    assert spawn.environment(2, "cpu")[OURS] == found[OURS] and in_force(spawn.environment(2, "cpu")) == words(POLICY)


@pytest.mark.parametrize("name", openmp.WAITING)
def test_the_users_own_stands_alone_and_is_called_theirs(name):
    found = with_policy({name: "x", "PATH": "p"})
    assert {k: v for k, v in found.items() if k in openmp.WAITING} == {name: "x"} and found["PATH"] == "p"
    assert in_force(found) == f"{name}=x (set by the user)" == in_force(with_policy(found))


def test_the_users_affinity_is_told_beside_our_policy():
    found = with_policy({"OMP_PROC_BIND": "true"})
    assert in_force(found) == f"{words(POLICY)}, OMP_PROC_BIND=true (set by the user)"


@pytest.mark.parametrize("policy", POLICIES)
def test_a_measured_policy_holds_whatever_the_user_set(policy):
    found = with_policy(dict.fromkeys((*openmp.WAITING, *openmp.BINDING), "x"), policy)
    assert {k: v for k, v in found.items() if k in (*openmp.WAITING, *openmp.BINDING)} == POLICIES[policy]
    assert in_force(found) == (words(policy) or "the library's own")


def test_a_trial_says_which_was_in_force(bench, tmp_path):
    given = {k: v for k, v in os.environ.items() if k not in openmp.WAITING}
    for name, more in (("ours", {}), ("theirs", {"OMP_WAIT_POLICY": "ACTIVE"})):
        done = bench(*FAST, "--results-dir", tmp_path, "--name", name, env=given | more)
        assert done.returncode == 0, done.stderr
    ours, theirs = (read_results(tmp_path / name) for name in ("ours", "theirs"))
    assert ours.rows[0].record.facts[FACT] == words(POLICY)
    assert theirs.rows[0].record.facts[FACT] == "OMP_WAIT_POLICY=ACTIVE (set by the user)"
    told = compare(summarise(theirs), summarise(ours)).context
    assert any(FACT in line and words(POLICY) in line and "ACTIVE (set by the user)" in line for line in told)

    # A run from before the fact was recorded is read, compared and stands in the same series.
    events = next((tmp_path / "theirs" / "trials").glob("*/events.jsonl"))
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    for line in lines:
        line.get("facts", {}).pop(FACT, None)
    events.write_text("".join(json.dumps(line) + "\n" for line in lines))
    old = read_results(tmp_path / "theirs")
    assert old.rows[0].record.status == "ok" and FACT not in old.rows[0].record.facts
    report = compare(summarise(ours), summarise(old))
    assert not report.refused and not any(FACT in line for line in report.context)
    (series,) = history([("1", summarise(old)), ("2", summarise(ours))])
    assert [FACT in point.context for point in series.points["epoch s"]] == [False, True]

    # Taken up again under another policy, it says both.
    built = next(line for line in lines if line["event"] == "built")
    first, second = (built | {"facts": built["facts"] | {FACT: name}} for name in ("x", "y"))
    lines = [second if line["event"] == "built" else line for line in lines]
    events.write_text("".join(json.dumps(line) + "\n" for line in (first, *lines)))
    assert read_results(tmp_path / "theirs").rows[0].record.facts[FACT] == "x, then y"


def test_rows_under_different_policies_are_listed():
    def under(found, policy):
        facts = found.record.facts | {FACT: policy}
        return found.model_copy(update={"record": found.record.model_copy(update={"facts": facts})})

    apart = dict(differences(groups(results(under(row("a", 0.1), "x"), under(row("b", 0.1), "y")))))
    assert apart[FACT] == "x (a net); y (b net)"
    assert FACT not in dict(differences(groups(results(under(row("a", 0.1), "x"), under(row("b", 0.1), "x")))))

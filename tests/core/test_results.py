"""Payloads of a trial: their JSON has the keys of schema version 1, and only those that were given."""

import pytest
from pydantic import ValidationError

from common.core.results import Contention, ParentRecord, Tried, Tuning, UpperBounds
from tests.helpers.records import row


def test_a_payload_keeps_its_names_on_disk():
    raw = {"why not": "", "filled": 0, "tried": [{"part": "frozen", "way": {"micro batch": 8}, "skipped": "short"}]}
    read = Tuning.model_validate(raw)
    assert (read.skip_reason, read.tried[0].config) == ("", {"micro batch": 8})
    assert Tuning.model_validate(read.model_dump()) == read
    assert read.model_dump(mode="json") == raw
    assert UpperBounds(peaks={"float32": {}}, loader_cold=1.0).model_dump() == {
        "peak gflops": {"float32": {}},
        "loader cold": 1.0,
    }


def test_a_trial_without_payloads_has_empty_ones_on_disk_that_are_false():
    record = row("a", 0.1).record
    assert not record.tuning and not record.ceilings and record.tuning.precision("trained") == "float32"
    assert (record.model_dump()["tuning"], record.model_dump()["ceilings"]) == ({}, {})
    assert Tuning(filled=0)


def test_a_payload_refuses_a_key_that_it_does_not_know():
    with pytest.raises(ValidationError, match="speed"):
        Tried.model_validate({"part": "frozen", "way": {}, "speed": 1.0})


def test_what_a_parent_of_another_version_wrote_opens():
    raw = {"status": "ok", "new": 1, "contention": [{"began_s": 0.0, "ended_s": 1.0, "cores": 0.5, "new": 1}]}
    assert ParentRecord.from_trial_file(raw) == ParentRecord(
        status="ok", contention=(Contention(began_s=0.0, ended_s=1.0, cores=0.5),)
    )
    with pytest.raises(ValidationError, match="status"):
        ParentRecord.from_trial_file({"new": 1})


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        ({"images_per_s": 3.0, "build_s": 1.0}, "compiler xla: 3.0 images/s"),
        ({"skipped": "too short"}, "compiler xla: too short"),
        ({"failed": "RuntimeError: none"}, "compiler xla: failed, RuntimeError: none"),
    ],
)
def test_a_config_that_was_tried_reads_with_its_outcome(outcome, text):
    assert str(Tried(part="trained", config={"compiler": "xla"}, **outcome)) == text

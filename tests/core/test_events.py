"""A trial's event log: what is written is read back, old logs open, and damage is found."""

import json

import pytest

from common.core import events
from common.core.errors import InputError
from common.core.events import Built, Done, Events, Failed, Ready, Received, Step, last, of_kind, read_events
from common.core.results import EqualityGate, Tried, Tuning, UpperBounds
from tests.helpers.records import epoch_record

STEP = Step(phase="train", epoch=1, step=1, batches=2, images=8, elapsed_s=0.5)
EVERY = [
    events.Born(at=1.0), Built(facts={"gmac": 1.0}, environment={}, weights_report={"loaded": 2}),
    Tried(part="frozen", config={"precision": "float32"}, images_per_s=3.0, build_s=0.1),
    events.StoringStarted(images=8, size="1 KiB"), events.WaitingForStore(waited_s=0.0),
    events.StoringProgress(done=4, images=8, elapsed_s=1.0), Tuning(skip_reason="", frozen={"precision": "float32"}),
    Ready(start_s=1.0, done_epochs=0, best_loss=None), Received(phase="train", epoch=1, images="uint8 [8]"), STEP,
    epoch_record(1), EqualityGate(images=8, error=None, allowed=0.1, passed=False, failed="x", seconds=1.0), Done(test_s=1.0),
    UpperBounds(compute=2.0), Failed(reason="y"),
]  # fmt: skip


def test_every_event_reads_back_as_it_was_written(tmp_path):
    log = Events(tmp_path / "events.jsonl")
    for event in EVERY:
        log.write(event)
    assert read_events(tmp_path / "events.jsonl") == EVERY
    assert {type(event) for event in EVERY} == set(events.KINDS.values())
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == list(map(events.kind, EVERY))
    assert lines[2]["way"] == {"precision": "float32"} and lines[7]["best_loss"] is None


def test_an_old_log_opens_and_a_kind_that_is_not_known_is_left_out(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text('{"event": "ready", "start_s": 2.0}\n{"event": "of a later version", "x": 1}\n{"event": "done"}\n')
    assert read_events(path) == [Ready(start_s=2.0), Done()]
    assert last(path, Ready).done_epochs == 0 and last(path, Failed) is None and of_kind([STEP], Done) == []


OTHER_VERSIONS = [
    (
        '{"event": "lane gate", "images": 64, "error": 1e-5, "allowed": 0.01, "passed": true}',
        EqualityGate(images=64, error=1e-5, allowed=0.01, passed=True),
    ),
    (
        '{"event": "lane gate", "images": 64, "error": 1e-5, "allowed": 0.01, "passed": true, "seconds": 2.0}',
        EqualityGate(images=64, error=1e-5, allowed=0.01, passed=True, seconds=2.0),
    ),
    ('{"event": "tuned", "store_bytes": 4096, "filled": 8, "fill_s": 1.5}', Tuning(filled=8, fill_s=1.5)),
    (
        '{"event": "tuned", "tried": [{"part": "frozen", "way": {}, "new": 1}]}',
        Tuning(tried=(Tried(part="frozen", config={}),)),
    ),
    ('{"event": "done", "test_s": 1.0, "of a later version": 1}', Done(test_s=1.0)),
]  # the first three were written by commits that wrote schema version 1


@pytest.mark.parametrize(("line", "event"), OTHER_VERSIONS)
def test_a_line_of_another_version_opens(tmp_path, line, event):
    (tmp_path / "log").write_text(f"{events.to_line(STEP)}{line}\n")
    assert read_events(tmp_path / "log") == [STEP, event]


def test_an_event_is_written_with_known_keys_alone():
    with pytest.raises(ValueError, match="store_bytes"):
        Tuning(store_bytes=4096)


def test_what_a_kill_cut_off_is_left_out(tmp_path):
    (tmp_path / "log").write_text(events.to_line(STEP) + events.to_line(STEP)[:-5])
    assert read_events(tmp_path / "log") == [STEP] and read_events(tmp_path / "none") == []


@pytest.mark.parametrize(
    "line", ["", "no JSON", "[1]", "1", "{}", '{"event": "failed"}', '{"event": "ready", "start_s": "x"}']
)
def test_a_damaged_line_is_named(tmp_path, line):
    (tmp_path / "log").write_text(f"{events.to_line(STEP)}{line}\n{events.to_line(STEP)}")
    with pytest.raises(InputError, match="is damaged in line 2"):
        read_events(tmp_path / "log")

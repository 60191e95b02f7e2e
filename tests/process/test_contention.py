"""Other processes on the machine are seen while a trial trains, said once, recorded, and flagged in the report."""

import io
import os
import signal
from types import SimpleNamespace

import pytest
from rich.console import Console

from common.analysis.grouping import CONTENDED_MARK, contended, contention_notes, groups
from common.analysis.records import read_results
from common.core.events import Ready
from common.core.machine import usable_cpus
from common.core.results import Contention, Seen
from common.core.settings import Settings
from common.process import contention
from common.process.contention import Watcher
from common.report.comparison_table import comparison_table
from common.report.notices import contention_text
from common.report.table import epochs_table
from common.run.launchers import local
from common.run.prepare import make_run
from tests.helpers.records import epoch_record, results, row

THREADS, EPOCHS = 2, 3


class Clock:
    """A watcher under a clock and with neighbours of the test's own."""

    def __init__(self, monkeypatch):
        self.now, self.cores = 100.0, 0.0
        monkeypatch.setattr(
            contention, "time", SimpleNamespace(monotonic=lambda: self.now, time=lambda: 1000 + self.now)
        )
        monkeypatch.setattr(contention, "Busiest", lambda: SimpleNamespace(words=lambda: "process 7 (other)"))
        self.watcher = Watcher(THREADS, EPOCHS, lambda: SimpleNamespace(cores=lambda: self.cores))

    def pass_s(self, seconds, cores):
        """What is said in these seconds, of which each is looked at ten times."""
        said, self.cores = [], cores
        for _ in range(10 * seconds):
            self.now += 0.1001
            said += [seen] if (seen := self.watcher.look()) else []
        return said


def test_an_episode_is_said_once_and_recorded_with_its_epochs(monkeypatch):
    clock = Clock(monkeypatch)
    assert clock.pass_s(5, 0.1) == [] == list(clock.watcher.episodes)
    clock.watcher.heard(Ready(start_s=0.0, done_epochs=0))
    clock.pass_s(3, 0.0)
    clock.watcher.heard(epoch_record(1))
    clock.pass_s(2, 0.0)
    (seen,) = clock.pass_s(60, 1.0)
    assert (seen.cores, seen.threads, seen.process, seen.epoch) == (pytest.approx(1.0), THREADS, "process 7 (other)", 2)
    assert seen.began == pytest.approx(1110, abs=1.5)
    (going_on,) = clock.watcher.episodes
    assert (
        going_on.ended_s == pytest.approx(70, abs=1.5)
        and going_on.epochs == (2,)
        and going_on.began_s == pytest.approx(10, abs=1.5)
    )
    clock.watcher.heard(epoch_record(2))
    assert clock.pass_s(5, 0.9) == []  # the same one
    clock.watcher.heard(epoch_record(3))
    assert clock.pass_s(30, 0.0) == []
    (ended,) = clock.watcher.episodes
    assert (
        ended.epochs == (2, 3)
        and ended.ended_s == pytest.approx(75, abs=1.5)
        and ended.cores == pytest.approx(1, abs=0.1)
    )
    (again,) = clock.pass_s(10, 2.0)  # after the last epoch
    assert again.epoch == 0 and clock.watcher.episodes == (ended, clock.watcher.episodes[1])
    assert clock.watcher.episodes[1].epochs == ()


def test_short_peaks_are_none_and_a_short_pause_does_not_end_one(monkeypatch):
    clock = Clock(monkeypatch)
    for _ in range(10):
        assert clock.pass_s(2, 2.0) == [] == clock.pass_s(3, 0.0)
    assert clock.watcher.episodes == ()
    said = [seen for _ in range(5) for seen in clock.pass_s(10, 2.0) + clock.pass_s(10, 0.0)]
    assert len(said) == 1 == len(clock.watcher.episodes)


def test_what_cannot_be_known_is_no_episode(monkeypatch):
    clock = Clock(monkeypatch)
    assert clock.pass_s(20, None) == [] and clock.watcher.episodes == ()
    (seen,) = clock.pass_s(10, 0.21)  # just above a tenth of its threads
    assert seen.epoch == 0 and Clock(monkeypatch).pass_s(20, 0.19) == []


def test_epochs_shorter_than_a_look_are_all_recorded(monkeypatch):
    clock = Clock(monkeypatch)
    clock.watcher.heard(Ready(start_s=0.0, done_epochs=1))  # taken up after the first
    clock.pass_s(5, 1.5)
    for epoch in (2, 3):
        clock.watcher.heard(epoch_record(epoch))
    clock.pass_s(2, 1.5)
    assert clock.watcher.episodes[0].epochs == (2, 3)


def test_the_sentence_says_how_much_since_when_and_what_to_do():
    said = contention_text(Seen(cores=1.04, threads=2, began=0.0, process="process 7 (x)", epoch=3))
    assert "(epoch 3) other processes have used 1.0 of this machine's" in said and "most of it by process 7 (x)" in said
    assert "too long" in said and "the report flags them" in said and "--wait-for-quiet" in said
    unseen = contention_text(Seen(cores=1.0, threads=2, began=0.0, process="", epoch=0))
    assert "no process that can be seen from here" in unseen and "epoch" not in unseen


@pytest.mark.skipif(usable_cpus() is None, reason="what others use cannot be measured here")
def test_a_busy_process_is_said_while_the_trial_trains(busy_process, monkeypatch, tmp_path):
    """The whole way, with a real process beside it: said before the epoch ends, written down, and flagged."""
    monkeypatch.setattr(contention, "LOOK_S", 0.3)
    monkeypatch.setattr(contention, "BEGIN_S", 0.5)
    monkeypatch.setenv("FRAMEWORK_BENCH_FAULT", "wait@2:2")
    settings = Settings(
        frameworks=("fake",), limit=200, image_size=16, results_dir=str(tmp_path), name="run", device="cpu"
    )
    folder, _, specs = make_run(settings, lambda text: None, lambda done, total: None)
    console = Console(file=io.StringIO(), width=400)
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        local.run_trials(folder, specs, console)
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    lines = console.file.getvalue().splitlines()
    (said,) = [number for number, line in enumerate(lines) if "other processes have used" in line]
    assert said < next(number for number, line in enumerate(lines) if "epoch 2/2:" in line)
    found = read_results(folder)
    (episode,) = found.rows[0].record.contention
    assert 2 in episode.epochs and 0.2 < episode.cores <= os.cpu_count() + 0.1
    assert 2 in contended(found.rows[0].record)
    table = epochs_table(found)
    assert table.rows[1][1] == f"2 {CONTENDED_MARK}" and any(
        note.startswith(f"{CONTENDED_MARK}: ") for note in table.notes
    )


def beside(*episodes, others=None):
    found = row("a", 0.1)
    epochs = tuple(e.model_copy(update={"others": others}) for e in found.record.epochs)
    changed = found.record.model_copy(update={"contention": episodes, "epochs": epochs, "wall_s": 50.0})
    return results(found.model_copy(update={"record": changed}))


def test_the_report_flags_the_epochs_of_an_episode_and_of_a_mean_alone():
    quiet = epochs_table(beside(others=0.1))
    assert [r[1] for r in quiet.rows] == ["1", "2"] and not any(CONTENDED_MARK in note for note in quiet.notes)
    episode = Contention(began_s=10.0, ended_s=22.0, cores=1.0, epochs=(2,))
    assert [r[1] for r in epochs_table(beside(episode, others=0.1)).rows] == ["1", f"2 {CONTENDED_MARK}"]
    assert [r[1] for r in epochs_table(beside(others=0.3)).rows] == [f"1 {CONTENDED_MARK}", f"2 {CONTENDED_MARK}"]


def test_what_the_mean_of_an_epoch_does_not_tell_is_said_under_the_table():
    going_on = Contention(began_s=40.0, ended_s=50.0, cores=0.5)
    episode = Contention(began_s=10.0, ended_s=22.0, cores=1.0, epochs=(2,))
    (note,) = contention_notes(groups(beside(episode, going_on, others=0.0)))
    assert note.startswith("a net: other processes used up to 1.0 cores for 22 s while it ran")
    assert contention_notes(groups(beside(episode, others=1.0))) == []  # there the busy machine is told
    assert contention_notes(groups(beside(others=0.0))) == []
    found = beside(episode, others=0.0)
    record = found.rows[0].record.model_copy(update={"status": "failed"})
    failed = found.model_copy(update={"rows": (found.rows[0].model_copy(update={"record": record}),)})
    assert contention_notes(groups(failed)) == [] and comparison_table(failed).rows

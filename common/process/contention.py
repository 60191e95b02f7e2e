"""The PARENT's look at other processes while a trial runs: episodes in which they kept cores busy."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from common.core.events import Event, Ready
from common.core.results import CONTENDED, Contention, EpochRecord, Seen
from common.process.cpu_contention import Busiest, Neighbours

LOOK_S = 1.0  # a look costs 1 ms of CPU, of the parent's own
BEGIN_S = 2.5  # others must be busy for so long: a shorter peak moves no epoch
END_S = 20.0  # and idle for so long that the next time is another episode


@dataclass
class _Episode:
    """The looks at which others were busy, and at which they were so last."""

    began: float  # time.monotonic
    busy_until: float = 0.0
    core_s: float = 0.0  # up to there
    epochs: set[int] = field(default_factory=set)
    told: bool = False


class Watcher:
    """Follows one trial: `look` as often as one likes; `heard` for each of its events."""

    def __init__(self, threads: int, epochs: int, measure: Callable[[], Neighbours] = Neighbours):
        self._threads, self._epochs, self._measure = threads, epochs, measure
        self._began = self._looked = time.monotonic()
        self._since, self._busiest = measure(), Busiest()
        self._epoch = 0
        self._touched: set[int] = set()  # epochs since the last look
        self._now: _Episode | None = None
        self._ended: list[Contention] = []

    def heard(self, event: Event) -> None:
        """Which epoch trains or validates: none before the first, and none after the last."""
        if isinstance(event, Ready | EpochRecord):
            done = event.done_epochs if isinstance(event, Ready) else event.epoch
            self._epoch = done + 1 if done < self._epochs else 0
            self._touched |= {self._epoch} - {0}

    def look(self) -> Seen | None:
        """The episode, once, when it has lasted long enough to be one. Looks no more than once in LOOK_S."""
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return None
        last, self._looked = self._looked, now
        cores, self._since = self._since.cores(), self._measure()
        epochs, self._touched = self._touched, {self._epoch} - {0}
        if cores is not None and cores > CONTENDED * self._threads:
            return self._busy(last, now, cores, epochs)
        if self._now and (not self._now.told or now - self._now.busy_until >= END_S):
            self._end()
        return None

    def _busy(self, last: float, now: float, cores: float, epochs: set[int]) -> Seen | None:
        if not self._now:
            self._now, self._busiest = _Episode(last, last), Busiest()
        episode = self._now
        episode.core_s += cores * (now - last)
        episode.busy_until = now
        episode.epochs |= epochs
        if episode.told or now - episode.began < BEGIN_S:
            return None
        episode.told = True
        began = time.time() - (now - episode.began)
        return Seen(self._mean(episode), self._threads, began, self._busiest.words(), self._epoch)

    @staticmethod
    def _mean(episode: _Episode) -> float:
        return episode.core_s / (episode.busy_until - episode.began)

    def _end(self) -> None:
        if self._now and self._now.told:
            self._ended.append(self._record(self._now))
        self._now = None

    def _record(self, episode: _Episode) -> Contention:
        return Contention(
            began_s=episode.began - self._began, ended_s=episode.busy_until - self._began, cores=self._mean(episode),
            epochs=tuple(sorted(episode.epochs)),
        )  # fmt: skip

    @property
    def episodes(self) -> tuple[Contention, ...]:
        """All so far, the one that goes on included."""
        now = [self._record(self._now)] if self._now and self._now.told else []
        return (*self._ended, *now)

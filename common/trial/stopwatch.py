"""The child's clock: an adapter says what happens, the watch says when, and writes it as events."""

import math
import os
import time
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from common.core.events import Events, Received, Step

STEP_EVENT_S = 0.25  # at most one step event in this time, so that tracing costs nothing
LOSS_CHECK_STEPS = 20  # reading a loss waits for the device: not every step


class Lie(RuntimeError):
    """An adapter did not do what the plan says."""


class Watch:
    """Times one pass (training or prediction) over a feed. Adapters call `wanted`, `received` and `stepped`, and in
    training `took`; `part` where a step's parts can be told apart."""

    def __init__(self, events: Events, phase: str, epoch: int, batches: int, takes_apart: bool = True):
        self._events, self._phase, self.epoch, self._batches = events, phase, epoch, batches
        self.takes_apart = takes_apart  # steps into parts; what that costs: benchmarks/self/tracing.py
        self.steps = 0
        self.images = 0
        self.wait_s = 0.0
        self.first_step_s = 0.0
        self.parts: dict[str, float] = {}  # seconds of the steps but the first
        self._receipts: list[np.ndarray] = []
        self._started = self._wanted = self._last_event = time.perf_counter()
        self._waiting = False
        self._mark = self._started

    def wanted(self) -> None:
        """The step asks for its batch."""
        self._wanted, self._waiting = time.perf_counter(), True

    def received(self, *arrays: Any) -> None:
        """The step has its batch. `arrays` as the framework holds them; the first batch's forms are recorded."""
        if self._waiting and self.steps:  # the first step builds graphs while it waits: it is reported apart
            self.wait_s += time.perf_counter() - self._wanted
        self._waiting = False
        self._mark = time.perf_counter()
        if self.steps == 0 and arrays:
            forms = [f"{str(a.dtype).rpartition('.')[2]} {[int(n) for n in a.shape]}" for a in arrays]
            names = ("images", "labels", "ids")[: len(forms)]
            self._events.write(Received(phase=self._phase, epoch=self.epoch, **dict(zip(names, forms))))

    def part(self, name: str) -> None:
        """What the step did since the last word was `name`. Not for work that a device does later than it is told to."""
        now = time.perf_counter()
        if self.steps:
            self.parts[name] = self.parts.get(name, 0.0) + now - self._mark
        self._mark = now

    def took(self, receipt: np.ndarray) -> None:
        """What training steps received, in order: int64 [images, 3] (common/data/receipts.py), after each step or at the end."""
        self._receipts.append(np.asarray(receipt, np.int64))

    @property
    def receipts(self) -> np.ndarray:
        """int64 [images, 3] of the whole pass."""
        return np.concatenate([np.empty((0, 3), np.int64), *self._receipts])

    def fetch(self, loader: Iterable[Any]) -> Iterator[Any]:
        """The loader's batches, the time of each `next` counted as waiting."""
        iterator = iter(loader)
        while True:
            self.wanted()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            self.received()
            yield batch

    def stepped(self, images: int, loss: Any = None, rest: str = "other") -> None:
        """A step over `images` images is done (on a GPU: handed over). `loss`: anything that float() takes. rest: the part
        that ends here."""
        step = self.steps + 1
        if loss is not None and (step == 1 or step % LOSS_CHECK_STEPS == 0):
            check_loss(float(loss), self.epoch, step)  # this waits for the device, so it comes before the clock is read
        if self.parts or self.steps == 0:
            self.part(rest)
        now = time.perf_counter()
        self.steps = step
        self.images += images
        if self.steps == 1:
            self.first_step_s = now - self._started
        if self.steps <= 6 or now - self._last_event >= STEP_EVENT_S:
            self._last_event = now
            self._events.write(Step(
                phase=self._phase, epoch=self.epoch, step=self.steps, batches=self._batches,
                images=self.images, elapsed_s=now - self._started,
            ))  # fmt: skip

    def check_images(self, expected: int) -> None:
        """Lie unless the pass took exactly the feed's images."""
        if self.images != expected:
            raise Lie(
                f"the {self._phase} pass of epoch {self.epoch} took {self.images} images, the plan has {expected}"
            )


def unwatched(phase: str, batches: int, takes_apart: bool = True) -> Watch:
    """A watch for a pass that belongs to no trial: what it says goes nowhere."""
    return Watch(_nowhere(), phase, 1, batches, takes_apart)


@cache
def _nowhere() -> Events:
    return Events(Path(os.devnull))


def check_loss(loss: float, epoch: int, step: int | None = None) -> None:
    if not math.isfinite(loss):
        where = f"epoch {epoch}" + (f", step {step}" if step else "")
        raise FloatingPointError(f"the training loss is {loss} at {where}; a smaller --learning-rate may help")


def load_average() -> float:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan

"""What the user sees while trials run: a bar on a terminal, plain lines elsewhere."""

import contextlib
from collections.abc import Iterator
from typing import Any, assert_never

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from common.core import callbacks
from common.core.events import (
    Born,
    Built,
    Done,
    Event,
    Failed,
    Ready,
    Received,
    Step,
    StoringProgress,
    StoringStarted,
    WaitingForStore,
)  # fmt: skip
from common.core.formatting import config_text, size_text, time_text
from common.core.results import (
    EpochRecord,
    EqualityGate,
    QuietWait,
    RunRecord,
    Seen,
    Tried,
    Tuning,
    UpperBounds,
    Waiting,
)  # fmt: skip
from common.core.specs import TrialSpec
from common.report.expected_time import expected_s, shorter
from common.report.notices import contention_text, waited_text, waiting_text
from common.report.table import Table, images_words
from common.report.terminal import show

ESTIMATE_AT_STEP = 5
WORTH_SAYING_S = 10.0  # a shorter trial is over before the line is read
LINE_EVERY_S = 30.0  # without a terminal: a sign of life in long epochs


@contextlib.contextmanager
def bars(console: Console) -> Iterator[Progress]:
    """A place for the bars of several trials at once."""
    with _progress(console, disable=not console.is_terminal) as shared:
        yield shared


def _progress(console: Console, disable: bool = False) -> Progress:
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"), TextColumn("{task.fields[tail]}"),
        console=console, transient=True, disable=disable,
    )  # fmt: skip


class Display:
    """Says what happens in a trial: lines for what stays, and a bar (on a terminal) for what moves. shared: where the bars
    of several trials are that run at once; then each line begins with its trial's number."""

    def __init__(self, console: Console, shared: Progress | None = None):
        self.console = console
        self._shared, self._name = shared, ""
        self._bar: Progress | None = None
        self._task: Any = None

    def begin(self, spec: TrialSpec, number: int, total: int) -> None:
        self._spec, self._first_step_s, self._estimated = spec, 0.0, False
        self._best: float | None = None  # validation loss
        self._first_epoch = 1
        self._last_line = ("", 0.0)  # pass and seconds of the last sign of life
        self._wait_line_s: float | None = None  # and of the last one while it waited for a quiet machine
        lane = "" if spec.lane == "default" else f", {spec.lane} lane"
        first = f"trial {number} of {total}: {spec.framework} {spec.model}{lane}"
        self.say(first if self._shared else f"\n{first}", "bold")
        self._name = f"[{number}] " if self._shared else ""
        everything = spec.trained_part != spec.recipe.train
        part = (
            f"all ({spec.recipe.train} was asked: random weights leave nothing to freeze)"
            if everything
            else spec.recipe.train
        )
        self.say(
            f"  {spec.weights.source} weights, train {part}, balance {spec.feed.balance}, seed {spec.seed}, "
            f"learning rate {spec.recipe.learning_rate:g}"
        )
        if spec.weights.note:
            self.say(f"  {spec.weights.note}", "yellow")
        if self.console.is_terminal:
            self._bar = self._shared or _progress(self.console)
            self._task = self._bar.add_task(f"{self._name}starting", total=1, completed=0, tail="")
            if not self._shared:
                self._bar.start()

    def reused(self, spec: TrialSpec) -> None:
        self.say("  finished earlier; its result stands")
        self._end_bar()

    def _end_bar(self) -> None:
        if self._bar:
            self._bar.remove_task(self._task) if self._shared else self._bar.stop()
            self._bar = None

    def say(self, text: str, style: str = "") -> None:
        self.console.print(self._name + text, style=style, highlight=False, soft_wrap=True, markup=False)

    def event(self, event: Event, memory_bytes: int) -> None:
        match event:
            case Built():
                self._on_built(event)
            case Ready():
                self._on_ready(event)
            case Tried():
                self.say(f"  tried, {event.part} part: {event}")
            case StoringStarted():
                self.say(f"  the frozen part runs once over {event.images:,} images: {event.size} of features")
            case WaitingForStore():
                if not event.waited_s:
                    self.say("  another trial fills the same features; this one waits")
            case StoringProgress():
                self._moving("features", "", event.done, event.images, event.done, event.elapsed_s, memory_bytes)
            case Tuning():
                self._on_tuned(event)
            case EqualityGate():
                self._on_lane_gate(event)
            case Done():
                if self._spec.ceilings:
                    self.say("  all is computed; what loading, computing and the machine could reach is measured now")
            case UpperBounds():
                self._on_ceilings(event)
            case Received():
                self._on_received(event)
            case Step():
                self._on_step(event, memory_bytes)
            case EpochRecord():
                self._on_epoch(event)
            case Born() | Failed():
                pass  # `begin` and `finish` show them
            case _:
                assert_never(event)

    def contention(self, seen: Seen) -> None:
        """Said once, when other processes have begun to disturb the trial."""
        self.say(f"  {contention_text(seen)}", "yellow")

    def waiting(self, now: Waiting) -> None:
        """Progress of --wait-for-quiet while other processes use the machine."""
        if self._bar:
            tail = f"{now.cores:.1f} cores used{now.process and f', {now.process}'}, {time_text(now.left_s)} left"
            self._bar.update(
                self._task, description=f"{self._name}waiting for quiet", tail=tail, total=now.waited_s + now.left_s,
                completed=now.waited_s,
            )  # fmt: skip
        elif self._wait_line_s is None or now.waited_s - self._wait_line_s > LINE_EVERY_S:
            self._wait_line_s = now.waited_s
            self.say(f"  {waiting_text(now)}")

    def waited(self, wait: QuietWait) -> None:
        self.say(f"  {waited_text(wait)}", "" if wait.quiet else "yellow")
        if self._bar:
            self._bar.update(self._task, description=f"{self._name}starting", total=1, completed=0, tail="")

    def finish(self, status: str, reason: str, wall_s: float) -> None:
        self._end_bar()
        if status == "ok":
            self.say(f"  done in {time_text(wall_s)}")
        else:
            self.say(f"  {status} after {time_text(wall_s)}: {reason}", "red")

    def others(self, took_s: list[float], left: int) -> None:
        """How long the trials that are left may take, if they take as long as those that were run."""
        expected = left * sum(took_s) / max(len(took_s), 1)
        if expected >= WORTH_SAYING_S:
            self.say(
                f"  {left} more trial{'s' if left > 1 else ''}: about {time_text(expected)}, if they take as long as those before"
            )

    def _on_built(self, event: Built) -> None:
        facts = event.facts
        self.say(
            f"  {facts['parameters']:,} parameters, {facts['trainable_parameters']:,} trainable, {facts['gmac']:.2f} GMAC "
            f"an image; {event.environment.get('framework', '')} on {event.environment.get('device', '')}"
        )
        report = event.weights_report
        if report:
            self.say("  weights: " + ", ".join(f"{count} tensors {what}" for what, count in report.items()))

    def _on_ready(self, event: Ready) -> None:
        self._best = event.best_loss
        self._first_epoch = event.done_epochs + 1
        if event.done_epochs:
            self.say(f"  goes on after epoch {event.done_epochs}")

    def _on_tuned(self, event: Tuning) -> None:
        if event.skip_reason:
            self.say(f"  tuned lane: {event.skip_reason}", "yellow")
        elif not event.filled:
            self.say(f"  features of {event.dtype} {list(event.shape)} are there from an earlier trial")
        else:
            rate = event.filled / event.fill_s
            self.say(f"  {event.filled:,} images to features in {time_text(event.fill_s)}, {rate:.1f} images/s")
        for part, config in (("frozen", event.frozen), ("trained", event.trained)):
            if config:
                self.say(f"  chosen, {part} part: {config_text(config)}")

    def _on_lane_gate(self, event: EqualityGate) -> None:
        if event.error is None:
            self.say(f"  logits not held against the default lane's: {event.failed}", "red")
            return
        words = f"{event.error:.1%} of their spread, allowed {event.allowed:.0%}"
        self.say(f"  logits apart from the default lane's: {words}", "" if event.passed else "red")

    def _on_ceilings(self, event: UpperBounds) -> None:
        if event.skip_reason:
            self.say(f"  no ceilings: {event.skip_reason}", "yellow")
        else:
            self.say(f"  ceilings measured in {time_text(event.seconds)}, not part of the trial's passes")

    def _on_received(self, event: Received) -> None:
        if event.phase == "train" and event.epoch == 1:
            forms = f"images {event.images}, labels {event.labels}"
            self.say(f"  the training step received: {forms}")

    def _on_step(self, event: Step, memory_bytes: int) -> None:
        training = event.phase == "train"
        if training and event.epoch == self._first_epoch:
            self._first_step_s = event.elapsed_s if event.step == 1 else self._first_step_s
            if event.step >= ESTIMATE_AT_STEP and not self._estimated:
                self._estimated = True
                total = expected_s(event, self._first_step_s, self._spec)
                if total >= WORTH_SAYING_S:
                    words = f"about {time_text(total)} from its first step on"
                    self.say(f"  expected time of this trial: {words}; {shorter(self._spec)} would shorten it")
        what = f"epoch {event.epoch}/{self._spec.recipe.epochs}" if training else event.phase
        self._moving(what, "batch ", event.step, event.batches, event.images, event.elapsed_s, memory_bytes)

    def _moving(
        self, what: str, unit: str, done: int, total: int, images: int, elapsed: float, memory_bytes: int
    ) -> None:  # fmt: skip
        """The bar, or a line now and then. what: the pass; unit: of done and total; elapsed: seconds."""
        rate = images / elapsed if elapsed else 0.0
        memory = f"  {size_text(memory_bytes)}" if memory_bytes else ""  # of a trial on another node it is not known
        tail = f"{rate:.1f} images/s{memory}  {time_text((total - done) * elapsed / done)} left"
        if self._bar:
            self._bar.update(self._task, description=self._name + what, total=total, completed=done, tail=tail)
        elif self._line_due(what, elapsed):
            self.say(f"  {what}, {unit}{done}/{total}  {tail}")

    def _line_due(self, what: str, elapsed_s: float) -> bool:
        last_what, last_s = self._last_line
        due = elapsed_s - (last_s if what == last_what else 0.0) > LINE_EVERY_S
        if due:
            self._last_line = (what, elapsed_s)
        return due

    def _on_epoch(self, event: EpochRecord) -> None:
        loss = event.validation_loss
        if event.improved:
            verdict = (
                f"val_loss improved from {'inf' if self._best is None else format(self._best, '.5f')} to {loss:.5f}"
            )
            self._best = loss
        else:
            verdict = f"val_loss did not improve from {self._best:.5f}"
        self.say(
            f"  epoch {event.epoch}/{self._spec.recipe.epochs}: {event.train_s:.1f} s train + {event.validation_s:.1f} s "
            f"validation, {event.images_per_s:.1f} images/s, loss {event.train_loss:.5f}; {verdict}"
        )


@contextlib.contextmanager
def filling(console: Console) -> Iterator[tuple[callbacks.Say, callbacks.Progress]]:
    """`say` and `progress(done, total)` for the time before the first trial."""
    with Progress(
        TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal,
    ) as bar:  # fmt: skip
        task = bar.add_task("pixels", total=None, visible=False)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        def say(text: str) -> None:
            console.print(text, highlight=False, soft_wrap=True, markup=False)

        yield say, progress


def announce(console: Console, run: RunRecord, specs: list[TrialSpec]) -> None:
    """The paper's figure 10: examples, batch size and batches per split, before anything trains."""
    batch = specs[0].recipe.batch_size
    feeds = {(s.seed, s.feed.balance): s.feed for s in specs}
    rows = []
    for (seed, balance), feed in feeds.items():
        name = f"seed {seed}" + (f", {balance}" if balance != "none" else "")
        name = f"author's split, {name}" if feed.split == "given" else name
        parts = [("train", feed.train_images), ("validation", feed.validation_images), ("test", feed.test_images)]
        for part, images in parts if feed.test_images else parts[:2]:
            rows.append((f"{part} ({name})", f"{images:,}", str(batch), f"{-(-images // batch):,}"))
    show(
        console,
        Table(
            f"{run.dataset}: {images_words(run)}",
            ("split", "examples", "batch size", "batches"),
            tuple(rows),
            run.notes,
        ),
    )


class Silent:
    """A display that says nothing."""

    def begin(self, *_: object) -> None: ...

    def reused(self, *_: object) -> None: ...

    def event(self, *_: object) -> None: ...

    def contention(self, *_: object) -> None: ...

    def finish(self, *_: object) -> None: ...

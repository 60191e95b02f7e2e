"""What is shown while trials run: a bar, the expected time, and what would shorten it."""

import io
import json

import pytest
from rich.console import Console

from common.core.events import (
    KINDS,
    Born,
    Built,
    Done,
    Failed,
    Ready,
    Received,
    Step,
    StoringProgress,
    StoringStarted,
    WaitingForStore,
)
from common.core.results import EpochRecord, EqualityGate, Tried, Tuning, UpperBounds
from common.core.specs import TrialSpec, WeightsSpec
from common.report.expected_time import expected_s, shorter
from common.report.progress import Display
from tests.helpers.records import SPEC, epoch_record

FACTS = {"parameters": 3, "trainable_parameters": 2, "gmac": 1.0}
SHOWN = {  # an example of every event
    Born: {"at": 1.0},
    Built: {"facts": FACTS, "environment": {}, "weights_report": {}, "weights_names": {}},
    Tried: {"part": "frozen", "config": {}},
    StoringStarted: {"images": 5, "size": "1 GiB"},
    StoringProgress: {"done": 1, "images": 5, "elapsed_s": 60.0},
    WaitingForStore: {"waited_s": 0.0},
    Tuning: {"skip_reason": "nothing is frozen"},
    Ready: {"start_s": 1.0, "done_epochs": 2, "best_loss": 1.0},
    Received: {"phase": "train", "epoch": 1, "images": "x", "labels": "y", "ids": ""},
    Step: {"phase": "validation", "epoch": 1, "step": 1, "batches": 2, "images": 32, "elapsed_s": 1.0},
    EpochRecord: dict(epoch_record(1)),
    EqualityGate: {"error": None, "failed": "not computed"},
    Done: {},
    UpperBounds: {"skip_reason": "not asked"},
    Failed: {"reason": "out of memory"},
}


def test_a_shorter_run_is_offered_only_where_there_is_one():
    spec = TrialSpec.model_validate(json.loads(SPEC))
    random = spec.model_copy(update={"weights": WeightsSpec(source="random")})
    smaller = random.model_copy(update={"feed": spec.feed.model_copy(update={"image_side": 64})})
    assert shorter(smaller) == "--image-size 32 or --limit N"
    assert shorter(random) == "--limit N"  # 32 pixels already
    assert shorter(spec) == "--limit N"
    two = spec.model_copy(update={"recipe": spec.recipe.model_copy(update={"epochs": 2})})
    assert shorter(two) == "--limit N or --epochs 1"


def test_the_expected_time_by_hand():
    """256 training and 64 validation images, batches of 32: 2 s for the first step, then 1 s for 32 images."""
    spec = TrialSpec.model_validate(json.loads(SPEC))
    whole = spec.model_copy(update={"recipe": spec.recipe.model_copy(update={"train": "all"})})
    event = Step(phase="train", epoch=1, step=5, batches=8, images=160, elapsed_s=6.0)
    assert expected_s(event, 2.0, spec) == pytest.approx(2 + (256 + 2 * 64) / 32)
    assert expected_s(event, 2.0, whole) == pytest.approx(2 + (256 + 2 * 64 / 3) / 32)
    more = spec.model_copy(update={"recipe": spec.recipe.model_copy(update={"epochs": 3})})
    gone_on = event.model_copy(update={"epoch": 3})  # the last one
    assert expected_s(gone_on, 2.0, more) == expected_s(event, 2.0, spec)


def test_a_terminal_shows_a_bar(tmp_path):
    """The display with a real rich bar, fed with a trial's events."""
    spec = TrialSpec.model_validate(json.loads(SPEC))
    console = Console(force_terminal=True, file=io.StringIO(), width=100)
    display = Display(console)
    display.begin(spec, 1, 1)
    for step in range(1, 9):
        event = Step(phase="train", epoch=1, step=step, batches=8, images=32 * step, elapsed_s=5.0 * step)
        display.event(event, 100 * 2**20)
    display._bar.refresh()
    display.finish("failed", "a reason with [brackets] and [/z]", 4.0)
    display.others([20.0, 40.0], 3)
    display.others([1.0], 3)
    display.others([20.0], 0)
    shown = console.file.getvalue()
    assert "expected time of this trial: about 1 min 5 s from its first step on; --limit N would shorten it" in shown
    assert shown.count("more trial") == 1 and "3 more trials: about 1 min 30 s" in shown
    for words in ("epoch 1/1", "6.4 images/s", "100.0 MiB", "[brackets] and [/z]"):
        assert words in shown, shown


def test_every_event_is_handled_and_no_other_object_is():
    console = Console(file=io.StringIO(), width=100)
    display = Display(console)
    display.begin(TrialSpec.model_validate(json.loads(SPEC)), 1, 1)
    assert {display.event(found.model_construct(**values), 0) for found, values in SHOWN.items()} == {None}
    assert set(SHOWN) == set(KINDS.values())
    shown = console.file.getvalue()
    for words in ("5 images: 1 GiB of features", "another trial fills the same features", "goes on after epoch 2"):
        assert words in shown, shown
    with pytest.raises(AssertionError):
        display.event(object(), 0)

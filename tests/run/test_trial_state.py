"""Every transition of a trial's states, and everything that ends it."""

import pytest

from common.core.events import Born, Done, Failed, Step
from common.core.results import UpperBounds
from common.run.trial_state import EXIT_S, OK, Ending, State, TrialState
from tests.helpers.records import row

BORN, DONE, MEASURED = Born(at=0.0), Done(), UpperBounds()
FAILED = Failed(reason="out of memory")
STEP = Step(phase="train", epoch=1, step=3, batches=9, images=3, elapsed_s=1.0)
NEVER = 10**9


def after(*events, ceilings=False, timeout_s=100.0, stall_s=20.0):
    """A trial that began at 0 s, after one event each second."""
    spec = row("a", 0.1).record.spec
    process = spec.process.model_copy(update={"timeout_s": timeout_s, "stall_s": stall_s})
    state = TrialState(spec.model_copy(update={"ceilings": ceilings, "process": process}), 0.0, 0.0)
    for second, event in enumerate(events, start=1):
        state.on_event(event, second)
    return state


@pytest.mark.parametrize(
    ("events", "ceilings", "state"),
    [
        ((), False, State.TRAINING),
        ((BORN, STEP), True, State.TRAINING),
        ((BORN, DONE), False, State.EXITING),
        ((BORN, DONE), True, State.MEASURING),
        ((BORN, DONE, MEASURED), True, State.EXITING),
        ((BORN, FAILED), True, State.EXITING),
    ],
)
def test_events_move_a_trial_from_state_to_state(events, ceilings, state):
    assert after(*events, ceilings=ceilings).state is state


@pytest.mark.parametrize(
    ("events", "ceilings", "code", "ending"),
    [
        ((), False, 0, Ending("failed", "ended with exit code 0 and without a word, before its first event")),
        ((BORN,), False, 3, Ending("failed", "ended with exit code 3 and without a word, last seen at: born")),
        ((STEP,), False, -15, Ending("killed", "ended by SIGTERM, last seen at: step (phase train epoch 1 step 3)")),
        ((BORN, FAILED), False, 1, Ending("failed", "out of memory")),
        ((BORN, DONE), False, 0, OK),
        ((BORN, DONE), False, -11, OK),  # a library that crashes while it is unloaded
        ((BORN, DONE), True, -9, OK),  # while its upper bounds were measured
        ((BORN, DONE, MEASURED), True, 0, OK),
        ((BORN, MEASURED), True, -9, OK),
    ],
)
def test_a_process_that_exits_ends_its_trial(events, ceilings, code, ending):
    assert after(*events, ceilings=ceilings).ending(code, 5.0) == ending


@pytest.mark.parametrize(
    ("events", "ending"),
    [
        ((BORN, DONE), OK),
        ((BORN, FAILED), Ending("failed", "out of memory")),
        ((BORN, MEASURED), OK),  # the log's line of Done was damaged
    ],
)
def test_a_process_that_does_not_exit_is_ended(events, ending):
    state = after(*events, timeout_s=1.0, stall_s=1.0)  # which hold while it trains
    assert state.ending(None, 2 + EXIT_S) is None
    assert state.ending(None, 2.1 + EXIT_S) == ending


def test_a_silent_trial_stalls_while_it_trains():
    state = after(BORN, STEP)
    assert state.ending(None, 22.0) is None
    stalled = Ending("stalled", "no event for --stall 20 s (last seen at: step (phase train epoch 1 step 3))")
    assert state.ending(None, 22.1) == stalled
    assert after(BORN, stall_s=0.0, timeout_s=0.0).ending(None, NEVER) is None


def test_a_trial_whose_upper_bounds_stall_is_done():
    state = after(BORN, DONE, ceilings=True, timeout_s=1.0)
    assert state.ending(None, 22.0) is None  # --timeout is over, and holds no more
    assert state.ending(None, 22.1) == OK


def test_a_trial_that_trains_too_long_times_out():
    events = [BORN] * 99
    assert after(*events).ending(None, 100.0) is None
    assert after(*events).ending(None, 100.1) == Ending(
        "timeout", "not finished after --timeout 100 s (last seen at: born)"
    )

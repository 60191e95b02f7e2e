"""Where the time went: what is said of the parts, what keeping the frozen part would save, whether a forecast held."""

import pytest
from test_comparison import results, row

from common.groups import MARK, groups
from common.report.timing import by_part, sentences, timing_table, tuned_words
from common.results import Paired
from common.timing import FEATURES, OTHER, START, frozen_again_s, parts
from common.watch import FROZEN, TRAINED

TUNING = {"why not": "", "tuning_s": 2.0, "fill_s": 11.0, "filled": 100, "images": 100, "forecast_frozen_s": 10.0,
          "shape": [4], "dtype": "float16", "frozen": {"precision": "bfloat16"},
          "tried": [{"part": "frozen", "way": {"precision": "float32"}, "images_per_s": 3.0},
                    {"part": "frozen", "way": {"compiler": "xla"}, "failed": "RuntimeError: none"}]}  # fmt: skip


def watched(tuning=None, lane="default", facts=None, step=None, **changes):
    """One row of two epochs of 8 s each, 1 s of it the first step, in a trial of 40 s."""
    found = row("a", 0.1)
    epochs = tuple(e.model_copy(update={"wait_s": 0.0, "parts": step or {}}) for e in found.record.epochs)
    record = found.record.model_copy(
        update={"memory_method": "PSS", "wall_s": 40.0, "start_s": 15.0, "epochs": epochs, "tuning": tuning or {},
                "facts": facts or {}, "spec": found.record.spec.model_copy(update={"lane": lane}), "prediction_s": 1.0} | changes
    )  # fmt: skip
    return results(found.model_copy(update={"record": record}))


def said(found):
    (group,) = groups(found)
    return sentences(group, by_part(group))


def test_what_keeping_the_frozen_part_would_save_is_told_from_the_steps():
    found = watched(step={FROZEN: 6.0, TRAINED: 1.0})
    # one of two epochs' 6 s, and 6/7 of two of the three passes of 1 s
    assert frozen_again_s(found.rows[0].record) == pytest.approx(6.0 + 2 * 6 / 7)
    assert any("--lane tuned would save about" in sentence for sentence in said(found))
    assert frozen_again_s(watched(step={FROZEN: 6.0, TRAINED: 1.0}, lane="tuned").rows[0].record) == 0


def test_where_steps_tell_no_parts_the_arithmetic_does():
    record = watched(facts={"gmac": 4.0, "gmac_trained": 1.0}).rows[0].record
    # of each epoch's 7 s: 3 of 4 + 2 x 1 parts are frozen; of a pass 3 of 4
    assert frozen_again_s(record) == pytest.approx(7.0 / 6 * 3 + 2 * 3 / 4)
    assert frozen_again_s(watched(facts={"gmac": 4.0, "gmac_trained": 4.0}).rows[0].record) == 0


@pytest.mark.parametrize(
    ("fill_s", "filled", "words"),
    [
        (11.0, 100, "for the frozen part held (+10%)"),
        (12.0, 100, "for the frozen part did not hold (+20%)"),
        (5.5, 50, "for the frozen part held (+10%)"),  # the other half was filled before a kill
    ],
)
def test_whether_a_forecast_held(fill_s, filled, words):
    sentence = said(watched(TUNING | {"fill_s": fill_s, "filled": filled}, "tuned"))[-1]
    assert sentence.startswith("the forecast of ") and words in sentence


def test_a_later_repeat_that_filled_nothing_does_not_spoil_the_forecast():
    first, later = (watched(t, "tuned").rows[0] for t in (TUNING, TUNING | {"filled": 0, "fill_s": 0.1}))
    later = later.model_copy(update={"record": later.record.model_copy(update={
        "spec": later.record.spec.model_copy(update={"seed": 1, "repeat": 1, "name": "a-net-1"})})})  # fmt: skip
    assert "held (+10%)" in said(results(first, later))[-1]


def test_the_forecast_of_training_is_held_against_it_too():
    assert "for training held (+7%)" in said(watched(TUNING | {"forecast_trained_s": 15.0}, "tuned"))[-1]


def test_parts_that_exceed_the_whole_are_said():
    assert not any("exceed" in note for note in timing_table(watched()).notes)
    assert any("its parts exceed the whole by" in note for note in timing_table(watched(wall_s=25.0)).notes)


def test_what_was_tried_and_chosen_is_said():
    words = tuned_words(TUNING)
    assert "frozen part: precision bfloat16 (tried: precision float32: 3.0 images/s" in words
    assert "compiler xla: failed, RuntimeError: none" in words and "100 images in 11.0 s" in words


def test_the_tuned_lanes_own_parts():
    found = parts(watched(TUNING, "tuned").rows[0].record)
    assert (found[START], found[FEATURES]) == (2.0, 11.0) and sum(found.values()) == pytest.approx(40.0)
    assert found[OTHER] > 0


@pytest.mark.parametrize(("p", "is_marked"), [(1e-6, True), (0.5, False)])
def test_an_f1_that_is_not_the_default_lanes_marks_the_row(p, is_marked):
    plain, tuned = watched().rows[0], watched(TUNING | {"gate": []}, "tuned").rows[0]
    tuned = tuned.model_copy(update={"record": tuned.record.model_copy(
        update={"spec": tuned.record.spec.model_copy(update={"name": "tuned"})})})  # fmt: skip
    test = Paired(a="a-net-0", b="tuned", lanes=True, seed=0, percentile="95", difference=-0.1, p=p)
    labels = [g.label for g in groups(results(plain, tuned, paired=(test,)))]
    assert labels[1].endswith(MARK) == is_marked and not labels[0].endswith(MARK)

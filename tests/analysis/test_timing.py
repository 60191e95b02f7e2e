"""Where the time went: what is said of the parts, what keeping the frozen part would save, whether a forecast held."""

import pytest

from common.analysis.grouping import MARK, groups
from common.analysis.timing import FEATURES, OTHER, START, STEPS, frozen_again_s, parts
from common.core.events import FROZEN, TRAINED
from common.core.results import Paired, Tuning
from common.report import figures
from common.report.lanes import lanes, lanes_table
from common.report.table import NONE
from common.report.timing import by_part, sentences, timing_table, tuning_text
from tests.helpers.records import results, row

TUNING = {"why not": "", "tuning_s": 2.0, "fill_s": 11.0, "filled": 100, "images": 100, "forecast_frozen_s": 10.0,
          "shape": [4], "dtype": "float16", "frozen": {"precision": "bfloat16"},
          "tried": [{"part": "frozen", "way": {"precision": "float32"}, "images_per_s": 3.0},
                    {"part": "frozen", "way": {"compiler": "xla"}, "failed": "RuntimeError: none"}]}  # fmt: skip


def watched(tuning=None, lane="default", facts=None, step=None, **changes):
    """One row of two epochs of 8 s each, 1 s of it the first step, in a trial of 40 s."""
    found = row("a", 0.1)
    epochs = tuple(e.model_copy(update={"wait_s": 0.0, "parts": step or {}}) for e in found.record.epochs)
    record = found.record.model_copy(
        update={"memory_method": "PSS", "wall_s": 40.0, "start_s": 15.0, "epochs": epochs, "tuning": Tuning.model_validate(tuning or {}),
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
    assert any("keeping its output (--lane tuned) would save 7.7 s of 40 s" in sentence for sentence in said(found))
    assert frozen_again_s(watched(step={FROZEN: 6.0, TRAINED: 1.0}, lane="tuned").rows[0].record) == 0


def test_where_steps_tell_no_parts_the_arithmetic_does():
    record = watched(facts={"gmac": 4.0, "gmac_trained": 1.0}).rows[0].record
    # of each epoch's 7 s: 3 of 4 + 2 x 1 parts are frozen; of a pass 3 of 4
    assert frozen_again_s(record) == pytest.approx(7.0 / 6 * 3 + 2 * 3 / 4)
    assert frozen_again_s(watched(facts={"gmac": 4.0, "gmac_trained": 4.0}).rows[0].record) == 0


@pytest.mark.parametrize("changes", [{"augment": "train"}, {"frozen_norm": "drift"}, {"train": "all"}])
def test_nothing_is_foretold_where_the_tuned_lane_could_keep_nothing(changes):
    spec = watched().rows[0].record.spec
    feed, recipe = (
        part.model_copy(update={k: v for k, v in changes.items() if k in type(part).model_fields})
        for part in (spec.feed, spec.recipe)
    )
    found = watched(step={FROZEN: 6.0, TRAINED: 1.0}, spec=spec.model_copy(update={"feed": feed, "recipe": recipe}))
    assert frozen_again_s(found.rows[0].record) == 0
    assert not any("--lane tuned" in sentence for sentence in said(found))


def test_what_no_part_of_a_step_told_is_open_and_not_hidden():
    told = parts(watched(step={FROZEN: 3.0, TRAINED: 2.0}).rows[0].record)
    whole = parts(watched(step={FROZEN: 5.0, TRAINED: 2.0}).rows[0].record)
    assert told[OTHER] == pytest.approx(whole[OTHER] + 2 * 2.0) and STEPS not in told
    untold = parts(watched().rows[0].record)
    assert untold[STEPS] == pytest.approx(2 * 7.0) and untold[OTHER] == pytest.approx(whole[OTHER])
    gap = watched(step={FROZEN: 3.0, TRAINED: 2.0}, writing_s=4.5, lived_s=39.0)
    assert "its parts leave 11.2% of the whole open" in " ".join(timing_table(gap).notes)


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


def test_parts_that_do_not_make_up_the_whole_are_said():
    """15 s of start, two epochs of 8 + 1 s and a prediction of 1 s are 34; 5.5 s of writing and ending leave .5 of 40 open."""
    fits = " ".join(timing_table(watched(writing_s=4.5, lived_s=39.0)).notes)
    assert "exceed" not in fits and "open" not in fits
    assert "its parts leave 12.5% of the whole open" in " ".join(
        timing_table(watched(writing_s=0.5, lived_s=39.5)).notes
    )
    assert "its parts exceed the whole by" in " ".join(timing_table(watched(wall_s=25.0)).notes)
    stopped = watched(writing_s=0.5, lived_s=39.5, resumed_after=(1,))
    assert "open" not in " ".join(timing_table(stopped).notes)  # what the stop lost has no clock


def test_the_figures_bars_are_the_parts(monkeypatch):
    found, drawn = watched(TUNING, "tuned"), []
    monkeypatch.setattr(figures, "save", lambda figure, path: drawn.append(figure))
    figures.where_time_went(found, "anywhere")
    (axes,) = drawn[0].axes
    assert [bar.get_width() for bar in axes.patches] == pytest.approx(list(parts(found.rows[0].record).values()))
    assert axes.get_xlim()[1] > 40.0 and axes.get_xlabel() == "seconds"


def test_decoding_is_told_beside_the_trials():
    found = watched()
    decoded = found.model_copy(update={"run": found.run.model_copy(update={"decoded": 5300, "decode_s": 12.0})})
    assert "12 s for the pixels, 5,300 images decoded now" in " ".join(timing_table(decoded).notes)


def test_repeats_in_unlike_ways_are_said():
    rows = [watched(TUNING | {"trained": {"precision": p}}, "tuned").rows[0] for p in ("float32", "bfloat16")]
    rows[1] = rows[1].model_copy(update={"record": rows[1].record.model_copy(update={
        "spec": rows[1].record.spec.model_copy(update={"seed": 1, "repeat": 1, "name": "a-net-1"})})})  # fmt: skip
    assert "ran the trained part in unlike ways (precision float32; precision bfloat16)" in " ".join(
        timing_table(results(*rows)).notes
    )
    assert "unlike" not in " ".join(timing_table(results(rows[0])).notes)


def test_whether_the_tuned_lane_saved_what_was_foretold():
    def notes(tuned_s):
        plain = watched(step={FROZEN: 6.0, TRAINED: 1.0}).rows[0]
        tuned = watched(TUNING, "tuned", wall_s=tuned_s).rows[0]
        tuned = tuned.model_copy(update={"record": tuned.record.model_copy(
            update={"spec": tuned.record.spec.model_copy(update={"name": "tuned"})})})  # fmt: skip
        found = results(plain, tuned)
        return " ".join(lanes_table(found, lanes(groups(found))).notes)

    assert "was to save at least 7.7 s: it took 10 s less." in notes(30.0)
    assert "was to save at least 7.7 s: it took 3.0 s less, 61% short of that." in notes(37.0)


@pytest.mark.parametrize("alone", ["default", "tuned", "both"])
def test_a_trial_repeated_alone_has_no_whole_and_so_no_gain_of_it(alone):
    """Nobody watched it: its `wall_s` is 0."""

    def lane(name):
        changes = {"memory_method": "", "wall_s": 0.0} if alone in (name, "both") else {}
        found = watched(TUNING if name == "tuned" else None, name, step={FROZEN: 6.0, TRAINED: 1.0}, **changes).rows[0]
        spec = found.record.spec.model_copy(update={"name": name})
        return found.model_copy(update={"record": found.record.model_copy(update={"spec": spec})})

    found = results(lane("default"), lane("tuned"))
    table = lanes_table(found, lanes(groups(found)))
    assert table.rows[0][3] == NONE and table.rows[0][4] == "1.00" and "was to save" not in " ".join(table.notes)
    assert table.rows[0][1:3] == tuple(NONE if alone in (name, "both") else "40.0" for name in ("default", "tuned"))


def test_what_was_tried_and_chosen_is_said():
    words = tuning_text(Tuning.model_validate(TUNING))
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
    test = Paired(a=("a-net-0",), b=("tuned",), lanes=True, percentile="95", difference=-0.1, p=p)
    labels = [g.label for g in groups(results(plain, tuned, paired=(test,)))]
    assert labels[1].endswith(MARK) == is_marked and not labels[0].endswith(MARK)

"""Tables from results: groups over repeats, coinciding percentiles, differences in words."""

import io

import numpy as np
import pytest
from rich.console import Console

from common.analysis.scores import score
from common.core.audit import PlanAudit, SplitSizes
from common.core.results import NOT_AS_THE_RECIPE_SAYS, EpochRecord, Results, Row, RunRecord, TrialRecord
from common.core.scores import TrialPercentileScores, TrialScores
from common.core.settings import Settings
from common.core.specs import FeedSpec, ModelSpec, ProcessSpec, Recipe, TrialSpec, WeightsSpec
from common.report.comparison_table import comparison_table
from common.report.data import label_sets_table, labels_table, plans_table, rows_table
from common.report.differences import differences
from common.report.markdown import joined, page
from common.report.reading import percentile_notes
from common.report.table import NONE, ColumnNote, Table, further_scores_table, groups, scores_table
from common.report.terminal import scores_by_row, show

RNG = np.random.default_rng(0)


def spec(framework, seed, **changes):
    feed = FeedSpec(plan="p", plan_hash="h", balance=changes.get("balance", "none"), labels="l", pixels="x",
                    image_side=32, workers=0, classes=20, train_images=80, validation_images=20)  # fmt: skip
    return TrialSpec(
        name=f"{framework}-{seed}", framework=framework, model=ModelSpec(name="net"), seed=seed, repeat=seed, feed=feed,
        weights=WeightsSpec(source="random"), recipe=Recipe(train="head", learning_rate=0.1, batch_size=8, epochs=1),
        process=ProcessSpec(device="cpu", deterministic=False, threads=2, timeout_s=0),
    )  # fmt: skip


def row(framework, seed, classes=20, status="ok", facts=None, **changes):
    labels = (RNG.random((20, classes)) < 0.2).astype(np.uint8)
    found = score(RNG.random((20, classes)), labels, (80.0, 95.0))
    percentiles = {
        p: TrialPercentileScores(**dict(at), share=0.25, f1_low=at.f1 - 0.1, f1_high=at.f1 + 0.1)
        for p, at in found.percentiles.items()
    }
    scores = TrialScores(**dict(found) | {"percentiles": percentiles}, validation_loss=0.5, f1_by_epoch=(0.5,))
    epoch = EpochRecord(epoch=1, train_s=2.0 + seed, first_step_s=1, wait_s=0, images=80, images_per_s=40, train_loss=1,
                        validation_s=1, validation_loss=0.5, improved=True, load_average=1)  # fmt: skip
    record = TrialRecord(spec=spec(framework, seed, **changes), status=status, reason="it broke", epochs=(epoch,),
                         facts={"gmac": 1.0, "parameters": 5, "trainable_parameters": 2, "layout": "x"} | (facts or {}))  # fmt: skip
    return Row(record=record, scores=scores if status == "ok" else None)


def results(*rows, classes=20):
    run = RunRecord(name="r", suite="", command="c", started="s", dataset="d", class_names=tuple(map(str, range(classes))),
                    rows=100, image_side=32, percentiles=(80.0, 95.0), labels="l", splits={}, audits={}, machine={},
                    trials=())  # fmt: skip
    reference = score(RNG.random((20, classes)), np.eye(20, classes, dtype=np.uint8), (80.0, 95.0))
    return Results(run=run, rows=rows, references={"0": {"prior": reference, "oracle": reference}})


def test_repeats_are_one_line_with_mean_and_spread():
    r = results(row("a", 0), row("b", 0), row("a", 1), row("b", 1))
    assert [g.label for g in groups(r)] == ["a net", "b net"]
    table = comparison_table(r)
    assert table.rows[0][table.header.index("epoch 1 s")] == "2.5"
    f1 = [x.scores.percentiles["95"].f1 for x in (r.rows[0], r.rows[2])]
    assert table.rows[0][table.header.index("F1 at 95")] == f"{np.mean(f1):.3f} ± {np.std(f1, ddof=1):.3f}"


def test_rows_that_differ_in_balance_alone_say_so():
    labels = [g.label for g in groups(results(row("a", 0), row("a", 0, balance="oversample")))]
    assert labels == ["a net not balanced", "a net oversample"]


@pytest.mark.parametrize(
    ("recipes", "labels"),
    [
        (({}, {"keep_frozen": True}), ["a net all trained", "a net head trained"]),
        (({}, {"name": "matched"}), ["a net recipe default", "a net recipe matched"]),
    ],
)
def test_jobs_that_differ_in_the_trained_part_or_the_recipe_alone_get_two_labels(recipes, labels):
    first = row("a", 0)
    rows = []
    for changes in recipes:
        changed = first.record.spec.model_copy(update={"recipe": first.record.spec.recipe.model_copy(update=changes)})
        rows.append(first.model_copy(update={"record": first.record.model_copy(update={"spec": changed})}))
    assert [g.label for g in groups(results(*rows))] == labels


def test_a_failed_row_has_no_numbers_and_says_why():
    table = comparison_table(results(row("a", 0), row("b", 0, status="failed")))
    assert "failed: it broke" in table.rows[1]
    assert table.rows[1][table.header.index("images/s")] == "–"
    assert any("b net: 1 of 1 trials did not finish" in note for note in table.texts)


def test_few_classes_make_percentiles_coincide_and_top_k_is_offered():
    notes = percentile_notes(4, (80.0, 95.0))
    assert (
        notes[0] == "With 4 classes the percentiles 80, 95 all pick 1 label of an image, so their scores are the same."
    )
    assert notes[1] == "For 1, 2, 3 labels of an image, take --percentiles 83.3 50 16.7."
    assert percentile_notes(20, (80.0, 95.0)) == []
    assert percentile_notes(2, (80.0, 95.0))[1] == "One of them is enough: --percentiles 80."


def test_every_difference_is_said_and_nothing_else():
    lines = differences(groups(results(row("a", 0, facts={"layout": "x"}), row("b", 0, facts={"layout": "y"}))))
    assert lines == [("layout", "x (a net); y (b net)")]


def test_prior_and_oracle_stand_in_every_table_of_scores():
    r = results(row("a", 0))
    assert [cells[1] for cells in scores_table(r).rows] == ["a net", "prior", "oracle"] * 2
    for table in (comparison_table(r), further_scores_table(r), scores_by_row(r)):
        assert [cells[0] for cells in table.rows] == ["a net", "prior", "oracle"]
    oracle = r.references["0"]["oracle"].percentiles["95"].f1
    assert comparison_table(r).rows[2][-2:] == (f"{oracle:.3f}", "1")


def test_scores_on_a_terminal_are_narrow_and_keep_rows_of_one_label_apart():
    r = results(row("a", 0), row("a", 1), row("b", 0, status="failed"))
    f1 = [x.scores.percentiles["95"].f1 for x in r.rows[:2]]
    published = {"prior": {"95": {"f1": 0.4}}, "elsewhere": {"10": {"f1": 0.4}}}
    r = r.model_copy(update={"run": r.run.model_copy(update={"published": published})})
    rows = scores_by_row(r).rows
    assert rows[0][2:] == (f"{np.mean(f1):.3f}±{np.std(f1, ddof=1):.3f}".replace("±0.", "±."), "0.25±.00")
    assert rows[1] == ("b net", NONE, NONE, NONE)
    assert [cells[0] for cells in rows[2:]] == ["prior", "oracle", "prior"] and rows[-1][1:] == (NONE, "0.400", NONE)


def test_repeats_show_the_facts_of_a_trial_that_finished():
    died = row("a", 0, status="failed")
    died = died.model_copy(update={"record": died.record.model_copy(update={"facts": {}})})
    table = comparison_table(results(died, row("a", 1)))
    assert table.rows[0][table.header.index("parameters")] == "5"


def test_notes_stay_with_their_columns():
    shown = comparison_table(results(row("a", 0))).only("t", ("row", "images/s"))
    assert [note.split(":")[0] for note in shown.texts] == ["images/s", "a net"]  # a column's, and a row's


def test_a_note_of_the_whole_table_stays_whatever_its_first_word():
    notes = ("cost: of the whole table", ColumnNote("cost", "of the column"))
    shown = Table("t", ("row", "cost"), (("a", "1"),), notes)
    assert shown.texts == ("cost: of the whole table", "cost: of the column")
    assert shown.only("t", ("row",)).texts == ("cost: of the whole table",)
    assert shown.only("t", ("row", "cost")).texts == shown.texts


def test_random_weights_with_a_frozen_part_say_what_trained():
    table = comparison_table(results(row("a", 0)))
    assert table.rows[0][table.header.index("recipe")].startswith("all, not head")


def test_no_framework_is_ranked():
    text = joined(page(results(row("a", 0), row("b", 0))))
    assert "No ranking of frameworks is given" in text
    assert "faster" not in text and "slower" not in text


def test_a_partial_weights_file_shows_in_the_table():
    full, partial = row("a", 0), row("b", 0)
    partial = partial.model_copy(
        update={
            "record": partial.record.model_copy(update={"weights_report": {"loaded": 3, "missing": 2, "unexpected": 1}})
        }
    )
    cells = [r[3] for r in comparison_table(results(full, partial)).rows]
    assert cells == ["random", "random (3 loaded, 2 missing, 1 unexpected)", NONE, NONE]  # prior, oracle


def test_percentiles_are_sorted_and_single():
    assert Settings(percentiles=(95, 80, 95)).percentiles == (80.0, 95.0)


COUNTS = {
    "seed 0, balance none": {
        "before": {"images": 4, "unique_images": 4, "label_counts": [3, 1, 0], "IRLbl": [1.0, 3.0, None], "MeanIR": 2.0},
        "after": {"images": 4, "unique_images": 4, "label_counts": [3, 1, 0], "IRLbl": [1.0, 3.0, None], "MeanIR": 2.0},
    },
    "seed 0, balance oversample": {
        "before": {"images": 4, "unique_images": 4, "label_counts": [3, 1, 0], "IRLbl": [1.0, 3.0, None], "MeanIR": 2.0},
        "after": {"images": 6, "unique_images": 4, "label_counts": [3, 3, 0], "IRLbl": [1.0, 1.0, None], "MeanIR": 1.0},
    },
}  # fmt: skip
AUDIT = {name: PlanAudit.model_validate(sides) for name, sides in COUNTS.items()}


def test_labels_before_and_after_balancing_by_hand():
    cells = labels_table(("person", "cat", "never"), AUDIT)
    bars = "positives, to scale"
    assert cells.header[:7] == (
        "label",
        "name",
        "positives",
        "IRLbl",
        bars,
        "oversample: positives",
        "oversample: IRLbl",
    )
    assert [row[:4] + row[5:7] for row in cells.rows] == [
        ("0", "person", "3", "1.0", "3", "1.0"), ("1", "cat", "1", "3.0", "3", "1.0"), ("2", "never", "0", NONE, "0", NONE)
    ]  # fmt: skip
    assert [len(row[4]) for row in cells.rows] == [24, 8, 0]  # bars to scale


def test_plans_before_and_after_balancing_by_hand():
    splits = {"0": SplitSizes(train=4, validation=1, test=0, split_hash="abc")}
    cells = plans_table(AUDIT, splits)
    assert cells.rows == (  # a seed's plans begin alike: that is said once
        ("seed 0, balance none, before", "4", "4", "2.00", "3.0"),
        ("seed 0, balance none, after", "4", "4", "2.00", "3.0"),
        ("seed 0, balance oversample, after", "6", "4", "1.00", "1.0"),
    )
    assert cells.notes[0] == "Splits: seed 0: 4 train, 1 validation, hash abc."


def test_label_sets_and_rows_by_hand():
    labels = np.array([[1, 0], [1, 0], [1, 1], [0, 0]], np.uint8)
    cells = label_sets_table(labels, ("a", "b"))
    assert cells.rows[0] == ("a", "2", "50.0%") and sorted(r[0] for r in cells.rows) == ["a", "a, b", "none"]
    assert cells.notes == ("3 distinct label sets; 1.00 labels an image, at most 2; 1 images without a label.",)
    assert rows_table(["x.jpg"], [[1, 0]], ("a", "b")).rows == (("x.jpg", "1", "0"),)


def test_what_a_recipe_does_not_do_stands_under_a_row_alone():
    table = comparison_table(results(row("one", 0, facts={NOT_AS_THE_RECIPE_SAYS: "no drift"})))
    assert "one net, not as the recipe says: no drift." in table.notes


def test_weighted_losses_are_said_to_be_on_another_scale():
    noted = [any("on another scale" in n for n in comparison_table(results(row("one", 0, balance=b))).texts)
             for b in ("weighted", "oversample")]  # fmt: skip
    assert noted == [True, False]


@pytest.mark.parametrize("width, last", [(40, True), (16, False)])
def test_a_narrow_terminal_loses_columns_and_no_digits(width, last):
    """Cut cells would be other numbers: 2.6 was once shown as 2."""
    console = Console(file=io.StringIO(), width=width)
    show(console, Table("T", ("row", "first", "second"), (("a row", "12.345", "67.891"),)))
    shown = console.file.getvalue()
    assert "12.345" in shown and ("67.891" in shown) == last and ("Too wide" in shown) != last


def test_a_narrow_terminal_cuts_no_cell_and_names_what_it_leaves_out():
    """Left to itself, rich shrank columns below their longest word and cut the last ones off."""
    words = ("torch efficientnet_lite0", "a verdict of many words that may break", "1009.8 MiB", "efficientnet_lite0")
    t = Table("T", ("row", "what is said", "peak memory", "model"), (words, words))
    for width in range(42, 130):
        console = Console(width=width, file=io.StringIO())
        show(console, t)
        text = console.file.getvalue()
        assert "…" not in text and max(map(len, text.splitlines())) <= width
        assert ("1009.8 MiB" in text) != ("Too wide for this terminal: memory" in text or "peak memory" in text)

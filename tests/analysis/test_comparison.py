"""What may be compared, and what is said: every unfairness refuses a ratio and is named; the paper's ratio taken apart."""

import io
import math

import numpy as np
import pandas as pd
import pytest

from common.analysis.comparison import attribution, crossed, pair, pairs
from common.analysis.grouping import MARK, busy, groups, lane_tests
from common.analysis.records import paired
from common.core.results import Paired
from common.core.specs import ModelSpec
from common.report.compared import attribution_table, pairs_table, tables
from common.report.table import epochs_table
from common.report.write import csv
from tests.helpers.records import NET, gate, repeated, results, row


def compared(found):
    return pairs(groups(found), found)


def test_faster_needs_an_interval_that_leaves_out_one():
    (p,) = compared(repeated(0.8))
    assert not p.excluded and p.word == "faster" and p.ratio.high < 1
    assert p.ratio.estimate == pytest.approx(0.8, rel=0.02)
    (p,) = compared(repeated(1.25))
    table = pairs_table(repeated(1.25), [p])
    assert table.rows[0][table.header.index("verdict")] == "b net is faster"
    (p,) = compared(repeated(1.0))
    assert p.word == "no difference shown"


def test_too_few_repeats_are_inconclusive_and_say_how_many_would_do():
    found = repeated(0.8, n=3, noise=0.05)
    (p,) = compared(found)
    words = pairs_table(found, [p]).rows[0]
    assert p.word == "inconclusive" and f"{p.more} more repeats would show a difference of 5%" in " ".join(words)
    for noise in (0.9, 1e-4):  # one difference of differences may be anything, or nothing by chance
        found = repeated(0.8, n=2, noise=noise)
        words = pairs_table(found, compared(found)).rows[0]
        assert "inconclusive: too few repeats (2), take --repeats 6" in words
        assert (words[3] == "any") == (noise > 0.1)
    (one,) = compared(repeated(0.8, n=1))
    assert one.word == "inconclusive" and one.control is None


def test_a_machine_whose_control_differs_makes_nobody_faster():
    """b slows down by half from each repeat to the next but one; a keeps its lead in every pair."""
    rows = []
    for i in range(12):
        slow = 0.1 * (1.5 if i % 2 else 1.0) * (1 + 0.001 * (i % 3))
        rows += [row("a", 0.8 * slow, i), row("b", slow, i)]
    (p,) = compared(results(*rows))
    assert p.ratio.high < 1 and p.control.low > 1 and p.word == "inconclusive"
    assert "the control alone differs" in " ".join(pairs_table(results(*rows), [p]).rows[0])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"plan_hash": "another"}, "plan (split, order, balance, crops)"),
        ({"labels_hash": "another"}, "labels"),
        ({"pixels_hash": "another"}, "pixels"),
        ({"image_side": 64}, "pixels"),
        ({"preprocessing": {"channels": "bgr", "mean": (0, 0, 0), "std": (1, 1, 1)}}, "preprocessing"),
        ({"sha256": "another"}, "initial weights"),
        ({"batch_size": 4}, "recipe"),
        ({"learning_rate": 0.2}, "recipe"),
        ({"workers": 2}, "loader workers"),
        ({"device": "cuda"}, "device"),
        ({"threads": 1}, "threads"),
        ({"said_threads": "1 intra-op"}, "threads"),
        ({"precision": "bfloat16"}, "precision"),
        ({"receipts": ("another",)}, "what the steps received"),
    ],
)
def test_every_unfairness_is_named_and_refuses_the_ratio(change, named):
    found = repeated(0.8, **change)
    (p,) = compared(found)
    assert p.excluded == f"they were not given the same {named}" and p.ratio is None
    table = pairs_table(found, [p])
    assert table.rows[0][table.header.index("verdict")] == "no ratio" and "faster" not in " ".join(table.rows[0])
    assert any(named in note for note in table.notes)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"balance": "oversample", "plan_hash": "b"}, "plan (split, order, balance, crops)"),
        ({"train": "all"}, "trained part"),
        ({"model": "another"}, "model"),
    ],
)
def test_another_job_is_another_row_and_no_pair(change, named):
    """Also where the two rows are asked for by name, and each has passed its own gate."""
    found = repeated(0.8, **change)
    passed = tuple(
        gate(name).model_copy(update={"train": train}) for name in (NET, "another") for train in ("head", "all")
    )
    found = found.model_copy(update={"gates": passed})
    assert compared(found) == []
    p = pair(*groups(found), found)
    assert named in p.excluded and p.ratio is None


@pytest.mark.parametrize(
    ("gates", "changes", "why"),
    [
        ((), {}, "no parity gate was run for it"),
        ((gate(passed=False, failure="float64 forward: bn1 differs"),), {}, "its parity gate failed (float64 forward: bn1"),
        ((gate(model="other"),), {}, "no parity gate was run for it"),
        ((gate(),), {"receipt_fault": None}, "what its steps received was not looked at"),
        ((gate(),), {"receipt_fault": "epoch 1, batch 3, image 2: the labels of row 7 are not the planned ones"},
         "batch 3, image 2"),
    ],
)  # fmt: skip
def test_a_row_that_nothing_proves_is_marked_in_every_table_and_enters_no_ratio(gates, changes, why):
    found = repeated(0.8, n=2, **changes).model_copy(update={"gates": gates})
    marked = next(g for g in groups(found) if g.first.record.spec.framework == "a")
    assert marked.label == f"a net {MARK}"
    (p,) = compared(found)
    assert why in p.excluded and p.ratio is None
    for table in tables(found):
        assert all("a net" not in row or f"a net {MARK}" in row for row in table.rows)
    assert {name.endswith(MARK) for name, *_ in epochs_table(found).rows if name.startswith("a-")} == {True}
    frame = pd.read_csv(io.StringIO(csv(found)), index_col="trial")
    assert why in frame["enters_no_ratio"]["a-net-0"]


def test_a_sign_in_a_models_name_marks_nothing():
    (group,) = groups(results(row("a", 0.1, model=f"net {MARK}"), gates=(gate(f"net {MARK}"),)))
    assert group.excluded is None and group.label == f"a net {MARK}"


def test_a_gate_of_the_plain_loss_proves_nothing_of_the_weighted_one():
    found = repeated(0.8, n=2, balance="weighted")
    assert "no parity gate was run for it" in pair(*groups(found), found).excluded
    plain, weighted = gate(), gate().model_copy(update={"weighted": True})
    found = found.model_copy(update={"gates": (plain, weighted)})
    assert "parity gate" not in (pair(*groups(found), found).excluded or "")


def test_formulas_of_the_librarys_own_are_unproven_beside_matched_ones():
    found = repeated(0.8, n=2, formulas="library")
    labels = [g.label for g in groups(found)]
    assert labels == [f"a net {MARK}", "b net"]
    assert "formulas of the library's own, which --recipe matched makes one" in compared(found)[0].excluded


def test_a_factor_of_two_is_a_suspected_setup_error_with_the_facts():
    found = repeated(0.45)
    (p,) = compared(found)
    assert p.suspected
    notes = " ".join(pairs_table(found, [p]).notes)
    assert "suspect a setup error" in notes and "layout: a's (a net); b's (b net)" in notes
    assert not compared(repeated(0.55))[0].suspected


def test_a_busy_machine_silences_the_alarm_of_the_rows_that_it_disturbed_alone():
    def alarm(disturbed):
        rows = [row(f, s, model=m) for f, s in (("a", 0.04), ("b", 0.1)) for m in ("small", "large")]
        epochs = {
            r.record.spec.name: tuple(e.model_copy(update={"others": 1.0}) for e in r.record.epochs) for r in rows
        }
        rows = [
            r.model_copy(update={"record": r.record.model_copy(update={"epochs": epochs[r.record.spec.name]})})
            if r.record.spec.model.name == disturbed else r
            for r in rows
        ]  # fmt: skip
        found = results(*rows, gates=(gate("small"), gate("large")))
        return [note.split(" lie ")[0] for note in pairs_table(found, compared(found)).notes if "suspect" in note]

    assert alarm("none") == ["a small and b small", "a large and b large"]
    assert alarm("large") == ["a small and b small"]


def test_the_paired_test_is_corrected_for_how_many_there_are():
    def words(p):
        tests = tuple(
            Paired(a=("a-net-0",), b=("b-net-0",), percentile=str(k), difference=0.02, p=p if k == 0 else 0.5)
            for k in range(4)
        )
        found = repeated(0.8).model_copy(update={"paired": tests})
        return pairs_table(found, compared(found)).rows[0][-1]

    assert words(0.0001).endswith("(real)") and words(0.004) == "+0.0200, p 0.016"


def test_a_difference_is_that_of_the_row_that_comes_first():
    """The paired test is kept for the order of the run."""
    found = repeated(0.8, n=3)
    test = Paired(a=("a-net-0",), b=("b-net-0",), percentile="95", difference=0.02, p=0.5)
    found = found.model_copy(update={"paired": (test,)})
    one, other = groups(found)
    assert [f.difference for f in pair(one, other, found).f1] == [0.02]
    assert [f.difference for f in pair(other, one, found).f1] == [-0.02]
    rows = tuple(
        r.model_copy(update={"record": r.record.model_copy(
            update={"spec": r.record.spec.model_copy(update={"lane": "tuned"})}
        )})
        if r.record.spec.framework == "b" else r
        for r in found.rows
    )  # fmt: skip
    (_, tuned) = groups(found.model_copy(update={"rows": rows}))
    assert [t.difference for t in lane_tests(tuned, (test.model_copy(update={"lanes": True}),))] == [-0.02]


def test_threads_of_several_devices_are_those_of_the_trial():
    """torch's ranks say how many each has, TensorFlow how many all have."""
    rows = [row("a", 0.1, devices=2, said_threads="1 intra-op"), row("b", 0.1, devices=2, said_threads="2 intra-op")]
    assert compared(results(*rows))[0].excluded is None
    rows = [row("a", 0.1, said_threads="1 intra-op"), row("b", 0.1, said_threads="2 intra-op")]
    assert "threads" in compared(results(*rows))[0].excluded


def test_repeats_make_the_paired_test_sharper():
    """A difference that no seed shows by itself: of 40 images on each of 8 splits, by .1 with a deviation of .3."""
    rng, images = np.random.default_rng(0), 40
    finished = [
        (row(f, 0.1, seed).record.spec, np.arange(images) + images * seed, {"95": rng.normal(mean, 0.21, images)})
        for seed in range(8) for f, mean in (("a", 0.1), ("b", 0.0))
    ]  # fmt: skip
    each = [paired(finished[2 * seed : 2 * seed + 2])[0].p for seed in range(8)]
    (found,) = paired(finished)
    assert found.p < 0.001 < min(each) and found.difference == pytest.approx(0.1, abs=0.05)
    assert found.a == tuple(f"a-net-{seed}" for seed in range(8)) and found.b[3] == "b-net-3"


def test_an_image_that_every_seed_validates_on_is_one_image():
    """Eight times the same differences are no more than once: their sign is drawn together."""
    f1 = {"a": np.linspace(0, 1, 12), "b": np.linspace(0, 1, 12)[::-1] * 0.8}
    finished = [(row(f, 0.1, seed).record.spec, np.arange(12), {"95": f1[f]}) for seed in range(8) for f in "ab"]
    assert paired(finished)[0].p == paired(finished[:2])[0].p > 0.1


def test_what_did_not_train_on_one_plan_is_not_paired():
    one, other = row("a", 0.1).record.spec, row("b", 0.1, plan_hash="another").record.spec
    assert paired([(one, np.arange(3), {"95": np.ones(3)}), (other, np.arange(3), {"95": np.zeros(3)})]) == ()


def paper(*missing):
    """torch trains its architecture in .1 s an image, tf its own in .6; crossed: .3 and .25."""
    times = {("a", "small"): 0.1, ("b", "large"): 0.6, ("a", "large"): 0.3, ("b", "small"): 0.25}
    rows = [row(f, t, model=m, formulas="library") for (f, m), t in times.items() if (f, m) not in missing]
    return results(*rows, gates=())


def test_the_papers_ratio_is_the_product_along_both_ways():
    everything = groups(paper())
    a, b = crossed(everything)
    found = attribution(a, b, everything)
    assert found.ratio == pytest.approx(6)
    for path in found.paths:
        assert np.prod([factor for _, factor in path]) == pytest.approx(found.ratio, rel=1e-12)
    assert [[round(f, 6) for _, f in path] for path in found.paths] == [[3.0, 2.0], [2.5, 2.4]]
    assert found.interaction == pytest.approx((0.6 / 0.25) / (0.3 / 0.1))
    rows = attribution_table(found).rows
    assert ("measured", "time an image, b large over a small", "6.00") in rows and ("way 2", "product", "6.00") in rows


def test_a_crossing_is_of_the_same_variant_where_there_is_one():
    found = paper()
    other = row("b", 9.0, model="small", formulas="library")
    spec = other.record.spec.model_copy(update={"model": ModelSpec(name="small", variant="v9")})
    decoy = other.model_copy(update={"record": other.record.model_copy(update={"spec": spec})})
    everything = groups(found.model_copy(update={"rows": (decoy, *found.rows, decoy)}))
    a = next(g for g in everything if g.label == "a small")
    b = next(g for g in everything if g.label == "b large")
    assert [[round(f, 6) for _, f in path] for path in attribution(a, b, everything).paths] == [[3.0, 2.0], [2.5, 2.4]]


def test_a_marked_row_enters_no_attribution():
    """Its steps did not receive what was planned; the three others could still be put into a product."""
    found = paper()
    bad = row("b", 0.25, model="small", formulas="library", receipt_fault="epoch 1, batch 2, image 1: ...")
    rows = tuple(bad if r.record.spec.name == bad.record.spec.name else r for r in found.rows)
    everything = groups(found.model_copy(update={"rows": rows}))
    a, b = (next(g for g in everything if g.label == name) for name in ("a small", "b large"))
    refused = attribution(a, b, everything)
    assert refused.refused == "the run has no b small that may be compared" and not refused.ratio
    marked = next(g for g in everything if g.label == f"b small {MARK}")
    assert attribution(marked, next(g for g in everything if g.label == "a large"), everything).refused.endswith(
        "enters no ratio"
    )


def test_an_alarm_is_raised_also_where_no_ratio_may_be_given():
    (p,) = [p for p in compared(paper()) if p.a.label == "a small"]
    assert p.excluded and p.suspected
    notes = " ".join(pairs_table(paper(), [p]).notes)
    assert "suspect a setup error" in notes and "2.5" not in notes


def test_what_two_compared_rows_do_not_have_in_common_stands_under_the_table():
    found = repeated(0.8)
    assert any("layout: a's (a net); b's (b net)" in note for note in pairs_table(found, compared(found)).notes)


def test_matched_rows_are_compared_model_by_model():
    rows = [row(f, 0.1, model=m) for f in "ab" for m in ("small", "large")]
    titles = [t.title for t in tables(results(*rows, gates=(gate("small"), gate("large"))))]
    assert not any("architecture" in title for title in titles)


def test_without_the_crossed_rows_nothing_is_attributed():
    found = paper(("a", "large"))
    for table in (tables(found, "a small", "b large")[-2], tables(found)[-1]):
        assert table.rows == ()
        assert "Not attributable: the run has no a large that may be compared; run --suite paper" in table.notes[0]
        assert "6.0" not in " ".join([table.title, *table.notes])


def test_the_ledger_stands_below_two_compared_rows():
    found = repeated(0.8, n=2, threads=1)
    ledger = tables(found, "a net", "b net")[-1]
    assert any("layout" in line for (line,) in ledger.rows)


def test_marks_are_explained_where_they_stand():
    found = repeated(0.8, n=2).model_copy(update={"gates": ()})
    notes = tables(found)[0].notes
    assert f"a net {MARK}: enters no ratio: no parity gate was run for it." in notes


@pytest.mark.parametrize(
    ("load", "others", "words"),
    [
        (2.5, None, ""), (2.6, None, "a load of up to 1.3 for each of its threads"), (math.nan, None, ""),
        (9.9, 0.19, ""), (0.1, 0.21, "up to 0.2 cores of its 2"),
    ],
)  # fmt: skip
def test_a_busy_machine_is_said_beside_the_seconds(load, others, words):
    """One process beside it once made torch 6.5 times slower, and no table told."""
    said = bool(words)

    def loaded(found):
        epochs = tuple(e.model_copy(update={"load_average": load, "others": others}) for e in found.record.epochs)
        return found.model_copy(update={"record": found.record.model_copy(update={"epochs": epochs})})

    found = results(loaded(row("a", 0.1)), row("b", 0.1))
    told = busy(groups(found))
    assert (f"others ran beside a net ({words})" in told) == said == bool(told)
    table = pairs_table(found, compared(found))
    assert any("The machine was busy" in note for note in table.notes) == said

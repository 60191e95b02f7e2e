"""Scores against hand-made cases, scikit-learn, and the known answers of the whole table."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from common.analysis.scores import (
    at_percentile,
    best_threshold,
    labels_picked,
    mean_average_precision,
    oracle_scores,
    percentile_for,
    picks,
    prior_scores,
    sample_f1,
    score,
    share_of_way,
    single_threshold,
)
from common.data.formats import comp5329
from common.data.plan import split
from common.trial.loss import bce_with_logits

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(300, 20))
LABELS = (RNG.random((300, 20)) < 0.1).astype(np.uint8)
LABELS[:, [0, 12]] = 0


@pytest.mark.parametrize(("percentile", "labels"), [(80, 4), (85, 3), (90, 2), (95, 1)])
def test_the_papers_percentiles_pick_4_3_2_1_of_20(percentile, labels):
    assert labels_picked(percentile, 20) == labels
    assert (picks(SCORES, percentile).sum(axis=1) == labels).all()


def test_a_score_at_its_percentile_is_not_picked():
    assert picks(np.array([[0.0, 1.0, 2.0]]), 50).tolist() == [[False, False, True]]


@pytest.mark.parametrize("percentile", [80, 85, 90, 95])
@pytest.mark.parametrize("average", ["samples", "macro", "micro"])
def test_equal_to_scikit_learn(percentile, average):
    seen = LABELS.any(axis=0)
    truth, chosen = LABELS, picks(SCORES, percentile)
    if average == "macro":  # classes without positives are left out
        truth, chosen = truth[:, seen], chosen[:, seen]
    expected = precision_recall_fscore_support(truth, chosen, average=average, zero_division=0)[:3]
    prefix = "" if average == "samples" else f"{average}_"
    found = at_percentile(SCORES, LABELS, percentile)
    assert [getattr(found, f"{prefix}{m}") for m in ("precision", "recall", "f1")] == pytest.approx(
        list(expected), abs=1e-12
    )


def test_blocks_change_nothing(monkeypatch):
    whole = dict(at_percentile(SCORES, LABELS, 90))
    monkeypatch.setattr("common.analysis.scores.BLOCK", 7)
    assert dict(at_percentile(SCORES, LABELS, 90)) == pytest.approx(whole)


def test_by_hand():
    scores = np.array([[3.0, 2, 1, 0], [0, 1, 2, 3]])
    labels = np.array([[1, 0, 0, 0], [1, 0, 0, 1]])
    found = at_percentile(scores, labels, 70)  # one label each: class 0, class 3
    assert found.precision == 1.0
    assert found.recall == 0.75
    assert found.f1 == pytest.approx((1 + 2 / 3) / 2)
    assert found.labels_per_image == 1


def test_a_class_without_positives_is_reported_and_left_out():
    result = score(SCORES, LABELS, (95.0,))
    assert result.classes_without_positives == (0, 12)
    assert result.AP[0] is None
    known = [ap for ap in result.AP if ap is not None]
    assert result.mAP == pytest.approx(np.mean(known))


def test_perfect_scores_have_map_1():
    assert mean_average_precision(oracle_scores(LABELS), LABELS)[0] == 1.0


def test_the_single_threshold_is_cross_fitted():
    """On noise, choosing and scoring on the same rows would beat scoring on the other half."""
    clean = np.where(LABELS, 2.0, -2.0) + RNG.normal(size=LABELS.shape) * 0.1
    with_labels = LABELS.any(axis=1)
    found = single_threshold(clean, LABELS)
    assert all(-2 < t < 2 for t in found.thresholds)
    assert found.f1 == pytest.approx(with_labels.mean(), abs=1e-9)
    halves = np.arange(300) % 2 == 0
    shifted = np.where(halves[:, None], clean, clean + 10)  # a threshold of one half is useless in the other
    assert single_threshold(shifted, LABELS).f1 < 0.3


def test_share_of_the_way():
    assert share_of_way(0.6, 0.5, 0.75) == pytest.approx(0.4)
    assert share_of_way(0.6, 0.5, 0.5) is None


def test_percentile_for_offers_top_k():
    for classes in (2, 3, 5, 20, 80):
        for k in range(1, classes):
            assert labels_picked(percentile_for(k, classes), classes) == k


def test_no_choice_of_as_many_labels_beats_the_oracle():
    """By brute force over all choices of k of 6 labels."""
    labels = (RNG.random((40, 6)) < 0.3).astype(np.uint8)
    for p in (50, 80):
        k = labels_picked(p, 6)
        best = 0.0
        for truth in labels:
            hits = max(sum(truth[list(choice)]) for choice in combinations(range(6), k))
            best += 2 * hits / (k + truth.sum()) / len(labels)
        assert at_percentile(oracle_scores(labels), labels, p).f1 == pytest.approx(best)


@pytest.mark.parametrize("levels", [1000, 4])
def test_the_best_threshold_is_the_best_of_all(levels):
    """Against every possible threshold, with and without ties."""
    scores = RNG.integers(0, levels, (50, 6)).astype(np.float64)
    labels = (RNG.random((50, 6)) < 0.25).astype(np.uint8)
    every = max(sample_f1(scores > t, labels) for t in np.unique(scores) - 0.5)
    assert sample_f1(scores > best_threshold(scores, labels), labels) == pytest.approx(every)


def test_validation_loss_by_hand():
    logits, labels = np.array([[0.0, 100.0], [-100.0, 2.0]]), np.array([[1, 1], [0, 0]])
    expected = (np.log(2) + 0 + 0 + np.log1p(np.exp(2.0))) / 4
    assert bce_with_logits(logits, labels) == pytest.approx(expected)


def test_known_answers_of_the_whole_table(real_labels):
    """Prior and oracle on 24,000/6,000 (another split than the published one: to .004)."""
    data = comp5329.read(real_labels)
    train, validation = split(data.labels, np.arange(len(data)), 0, "random")
    truth = data.labels[validation]
    prior = prior_scores(data.labels[train].sum(axis=0), len(truth))
    f1 = [[at_percentile(s, truth, p).f1 for p in (80, 85, 90, 95)] for s in (prior, oracle_scores(truth))]
    assert f1[0] == pytest.approx([0.362, 0.416, 0.504, 0.638], abs=0.004)
    assert f1[1] == pytest.approx([0.524, 0.624, 0.750, 0.855], abs=0.004)

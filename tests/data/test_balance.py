"""Over- and undersampling under the label-set key, weights, and the audit, by hand."""

import numpy as np
import pytest
from imblearn.over_sampling import RandomOverSampler

from common.data.balance import audit, imbalance, label_set_keys, oversample, positive_weights, undersample

# four sets: {0} x 12, {1} x 2, {0, 1} x 1, none x 1; mean size 4
LABELS = np.array([[1, 0]] * 12 + [[0, 1]] * 2 + [[1, 1]] + [[0, 0]], np.uint8)
ROWS = np.arange(len(LABELS), dtype=np.int32)


def test_the_library_refuses_a_multi_label_matrix_and_relabels_empty_rows():
    """Why indices are resampled: the reason must still hold, or balance.py can be simpler."""
    with pytest.raises(ValueError):
        RandomOverSampler(random_state=0).fit_resample(ROWS[:, None], LABELS)
    only_single = np.array([[1, 0, 0]] * 3 + [[0, 1, 0]] * 3 + [[0, 0, 0]] * 2)
    _, resampled = RandomOverSampler(random_state=0).fit_resample(np.arange(8)[:, None], only_single)
    assert resampled.ravel()[[6, 7]].tolist() == [0, 0]  # the two all-zero rows are now of class 0


def test_equal_sets_have_equal_keys():
    keys = label_set_keys(LABELS)
    assert len(set(keys)) == 4
    assert len(set(keys[:12])) == 1
    assert keys[15] not in keys[:15]  # all-zero rows are a set of their own


def test_each_set_reaches_the_mean_set_size():
    visits = oversample(LABELS, ROWS, seed=0)
    sizes = np.bincount(label_set_keys(LABELS)[visits])
    assert sorted(sizes) == [4, 4, 4, 12]
    assert (visits[: len(ROWS)] == ROWS).all()


def test_no_set_grows_past_ten_times_itself():
    labels = np.array([[1, 0]] * 99 + [[0, 1]], np.uint8)  # mean set size 50
    visits = oversample(labels, np.arange(100, dtype=np.int32), seed=0)
    assert (visits == 99).sum() == 10


def test_only_given_rows_are_visited_and_the_seed_decides():
    rows = np.array([0, 1, 2, 12, 14, 15], np.int32)
    visits = oversample(LABELS, rows, seed=3)
    assert set(visits) == set(rows)
    assert (visits == oversample(LABELS, rows, seed=3)).all()


def test_equal_sets_stay_as_they_are():
    labels = np.array([[1, 0], [0, 1]] * 3, np.uint8)
    assert len(oversample(labels, np.arange(6, dtype=np.int32), 0)) == 6


def test_imbalance_by_hand():
    result = imbalance(np.array([8, 4, 0, 1]))
    assert result["IRLbl"] == [1.0, 2.0, None, 8.0]
    assert result["MeanIR"] == pytest.approx(11 / 3, abs=1e-4)


def test_audit_counts_repetitions():
    result = audit(LABELS, ROWS, oversample(LABELS, ROWS, 0))
    assert result.before.label_counts == (13, 3)
    assert result.after.model_dump() == {
        "images": 24,
        "unique_images": 16,
        "label_counts": (16, 8),
        "IRLbl": (1.0, 2.0),
        "MeanIR": 1.5,
    }


def test_each_large_set_shrinks_to_the_mean_set_size():
    visits = undersample(LABELS, ROWS, seed=0)
    assert sorted(np.bincount(label_set_keys(LABELS)[visits])) == [1, 1, 2, 4]
    assert (visits == np.unique(visits)).all()  # each once, in the order of the rows
    assert set(visits) >= set(range(12, 16))  # small sets stay whole


def test_many_sets_are_resampled_block_by_block(monkeypatch):
    """Blocks of one set each, filled up with a set that must stay as it is."""
    monkeypatch.setattr("common.data.balance.SETS_PER_CALL", 1)
    labels = np.array([[1, 0, 0]] * 9 + [[0, 1, 0]] * 8 + [[0, 0, 1]] + [[1, 1, 1]] * 2, np.uint8)  # mean size 5
    rows = np.arange(20, dtype=np.int32)
    keys = label_set_keys(labels)
    assert sorted(np.bincount(keys[undersample(labels, rows, 0)])) == [1, 2, 5, 5]
    assert sorted(np.bincount(keys[oversample(labels, rows, 0)])) == [5, 5, 8, 9]


def test_positive_weights_by_hand():
    """(N - n + 1/2) / (n + 1/2): of a class in 3 of 4 rows, in 1, in none, in all."""
    labels = np.array([[1, 1, 0, 1], [1, 0, 0, 1], [1, 0, 0, 1], [0, 0, 0, 1]], np.uint8)
    expected = [1.5 / 3.5, 3.5 / 1.5, 1, 0.5 / 4.5]
    assert positive_weights(labels, np.arange(4)) == pytest.approx(expected)

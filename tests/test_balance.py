"""Oversampling under the label-set key, and its audit, by hand."""

import numpy as np
import pytest
from imblearn.over_sampling import RandomOverSampler

from common.balance import audit, imbalance, label_set_keys, oversample

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
    assert result["before"]["label_counts"] == [13, 3]
    assert result["after"] == {
        "images": 24,
        "unique_images": 16,
        "label_counts": [16, 8],
        "IRLbl": [1.0, 2.0],
        "MeanIR": 1.5,
    }

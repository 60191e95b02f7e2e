"""Iterative stratification: exact in size, and nearer to every label's share than chance."""

import numpy as np

from common.data.formats import comp5329
from common.data.stratify import iterative_split


def shares_off(labels, second):
    """The mean distance of each label's share in the second part from the asked one, relative."""
    counts = labels.sum(axis=0)
    got = labels[second].sum(axis=0)[counts > 0] / counts[counts > 0]
    return np.abs(got / (len(second) / len(labels)) - 1).mean()


def test_by_hand():
    """10 rows, 2 to the second part: label 0 in 5 rows, label 1 in 5 others: one of each."""
    labels = np.repeat(np.eye(2, dtype=np.uint8), 5, axis=0)
    first, second = iterative_split(labels, 2, np.random.default_rng(0))
    assert labels[second].sum(axis=0).tolist() == [1, 1]
    assert (np.union1d(first, second) == np.arange(10)).all() and len(first) == 8


def test_exact_sizes_whatever_the_labels():
    rng = np.random.default_rng(0)
    for n, n_second, classes in ((1000, 200, 20), (37, 7, 5), (50, 10, 1), (100, 33, 60)):
        labels = (rng.random((n, classes)) < rng.random(classes) * 0.3).astype(np.uint8)
        first, second = iterative_split(labels, n_second, rng)
        assert (len(first), len(second)) == (n - n_second, n_second)
        assert not np.intersect1d(first, second).size


def test_rows_without_labels_fill_up():
    labels = np.zeros((10, 3), np.uint8)
    assert len(iterative_split(labels, 2, np.random.default_rng(0))[1]) == 2


def test_the_real_table_at_its_true_size(real_labels):
    """30,000 rows: exactly 24,000/6,000, every label's share within 1 %, where chance is 4 % off."""
    labels = comp5329.read(real_labels).labels
    rng = np.random.default_rng(0)
    first, second = iterative_split(labels, 6_000, rng)
    assert (len(first), len(second)) == (24_000, 6_000)
    assert shares_off(labels, second) < 0.01
    assert shares_off(labels, rng.permutation(30_000)[:6_000]) > 0.02

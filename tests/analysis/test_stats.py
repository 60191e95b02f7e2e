"""Statistics on synthetic distributions with known answers."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from common.analysis.stats import (
    bootstrap_mean,
    judge,
    median_interval,
    over_seeds,
    paired_test,
    ratio_interval,
    repeats_for,
)

NOISE = 0.03  # standard deviation of a pair's log ratio


def pairs(rng, n, ratio=1.0, drift=0.3):
    """Times in turn on a machine whose speed drifts: both sides of a pair see the same drift."""
    machine = np.exp(np.cumsum(rng.normal(0, drift / n, n)))
    b = 10 * machine * np.exp(rng.normal(0, NOISE / np.sqrt(2), n))
    return ratio * 10 * machine * np.exp(rng.normal(0, NOISE / np.sqrt(2), n)), b


def test_a_against_a_is_called_faster_in_at_most_one_of_a_hundred():
    rng = np.random.default_rng(0)
    words = [judge(*pairs(rng, 10))[0] for _ in range(1000)]
    assert words.count("faster") + words.count("slower") <= 10  # 1 %, either of the two


def test_a_true_difference_is_found():
    """5 % at the repeats that the noise asks for."""
    rng = np.random.default_rng(1)
    n = repeats_for(NOISE, 0.05)
    found = [judge(*pairs(rng, n, ratio=1 / 1.05))[0] == "faster" for _ in range(2000)]
    assert np.mean(found) >= 0.94  # .95 is what n was chosen for; two standard errors are .01
    assert 4 < n < 20


def test_the_ratio_by_hand():
    assert ratio_interval([2.0, 4.0], [1.0, 2.0]).estimate == pytest.approx(2)
    r = ratio_interval([1.0, 2.0, 4.0], [1.0, 1.0, 1.0], 0.95)
    half = 4.302653 * np.log(2) / np.sqrt(3)
    assert (r.low, r.high) == pytest.approx((2 * np.exp(-half), 2 * np.exp(half)))


def test_one_pair_shows_nothing():
    word, ratio, more = judge([1.0], [2.0])
    assert word == "inconclusive" and ratio.high == np.inf and more >= 1


def test_equal_within_what_matters_is_no_difference():
    rng = np.random.default_rng(2)
    word, _, more = judge(*pairs(rng, 60))
    assert (word, more) == ("no difference shown", 0)


def test_the_medians_interval_holds_it_as_often_as_it_says():
    rng = np.random.default_rng(3)
    held = [not median_interval(rng.exponential(size=15)).excludes(np.log(2)) for _ in range(1000)]
    assert np.mean(held) >= 0.94
    few = median_interval([1.0, 2.0, 3.0])
    assert (few.low, few.high, few.level) == (1.0, 3.0, 0.75)


def test_the_bootstrap_against_the_known_standard_error():
    x = np.random.default_rng(4).normal(5, 2, 400)
    interval = bootstrap_mean(x)
    assert (interval.high - interval.low) / 2 == pytest.approx(1.96 * 2 / 20, rel=0.08)
    few = bootstrap_mean([0.0] * 30 + [1.0] * 10)  # values that repeat, as F1 over images does
    assert (few.high - few.low) / 2 == pytest.approx(1.96 * np.sqrt(0.25 * 0.75 / 40), rel=0.1)
    assert few.estimate == 0.25
    one = bootstrap_mean([0.4])
    assert (one.low, one.estimate, one.high) == (0.0, 0.4, 1.0)


@pytest.mark.usefixtures("not_quick")  # 2 s
def test_the_paired_test_is_uniform_without_a_difference_and_small_with_one():
    rng = np.random.default_rng(5)
    p = [paired_test(rng.normal(size=25), rng.normal(size=25), seed) for seed in range(200)]
    assert scipy_stats.kstest(p, "uniform").pvalue > 0.01
    a = rng.normal(size=400)
    assert paired_test(a + 0.2, a + rng.normal(0, 0.5, 400)) < 0.01
    assert paired_test(a, a) == 1
    # By hand: of the 8 signs of three equal differences, 2 are as extreme.
    assert paired_test([1.0, 1.0, 1.0], [0.0, 0.0, 0.0]) == pytest.approx(0.25, abs=0.02)


def test_seeds_need_three():
    assert over_seeds([0.5, 0.6]) is None
    assert over_seeds([0.4, 0.5, 0.6]).high == pytest.approx(0.5 + 4.302653 * 0.1 / np.sqrt(3))

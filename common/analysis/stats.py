"""PURE: intervals and tests over repeats and over images; each function with its assumption and source."""

import math
from typing import Literal

import numpy as np

from common.core.specs import Value

LEVEL = 0.995  # of a comparison's interval: one of the two "faster" by chance in one of two hundred
METRIC_LEVEL = 0.95
DRAWS = 10_000  # of a bootstrap or permutation
POWER = 0.95
WORTH = 0.05  # a relative difference of times that is worth showing
Word = Literal["faster", "slower", "no difference shown", "inconclusive"]


class Interval(Value):
    """An estimate and the bounds that hold it with the level's probability."""

    estimate: float
    low: float
    high: float
    level: float

    def excludes(self, value: float) -> bool:
        return not self.low <= value <= self.high


def median_interval(values: np.ndarray, level: float = METRIC_LEVEL) -> Interval:
    """The median and order statistics around it. Assumes independent draws, no distribution (Conover 1999, 3.2).

    With few values no pair of them reaches the level: then the smallest and the largest are given, with the level
    that they do have.
    """
    from scipy import stats  # a second to import, which only repeats should pay

    x = np.sort(np.asarray(values, float))
    n = len(x)
    if not n:
        raise ValueError("no values")
    below = int(stats.binom.ppf((1 - level) / 2, n, 0.5))
    while below > 0 and 1 - 2 * stats.binom.cdf(below - 1, n, 0.5) < level:
        below -= 1
    reached = 1 - 2 * float(stats.binom.cdf(below - 1, n, 0.5)) if below else 1 - 2 * 0.5**n
    low, high = (x[below - 1], x[n - below]) if below else (x[0], x[-1])
    return Interval(estimate=float(np.median(x)), low=float(low), high=float(high), level=min(level, max(reached, 0.0)))


def ratio_interval(a: np.ndarray, b: np.ndarray, level: float = LEVEL) -> Interval:
    """Geometric mean of a/b over pairs measured in turn, with Student's interval on the logarithms.

    Assumes that the pairs' log ratios are independent and roughly normal; what the machine does to both sides of a
    pair cancels (Fleming and Wallace 1986 for the geometric mean; Kalibera and Jones 2013 for ratios of times).
    """
    from scipy import stats  # a second to import, which only repeats should pay

    logs = np.log(np.asarray(a, float)) - np.log(np.asarray(b, float))
    n = len(logs)
    if n < 2:
        return Interval(estimate=float(np.exp(logs.mean())), low=0.0, high=math.inf, level=level)
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * logs.std(ddof=1) / math.sqrt(n)
    middle = float(logs.mean())
    return Interval(estimate=math.exp(middle), low=math.exp(middle - half), high=math.exp(middle + half), level=level)


def repeats_for(spread: float, difference: float, level: float = LEVEL, power: float = POWER) -> int:
    """Pairs that show a true relative difference with this power, the log ratios having this standard deviation.

    The paired t test's sample size by the noncentral t distribution (Cohen 1988, chapter 2).
    """
    from scipy import stats  # a second to import, which only repeats should pay

    effect = abs(math.log1p(difference)) / max(spread, 1e-12)
    for n in range(2, 10_000):
        critical = stats.t.ppf((1 + level) / 2, n - 1)
        if 1 - stats.nct.cdf(critical, n - 1, effect * math.sqrt(n)) >= power:
            return n
    return 10_000


def judge(a: np.ndarray, b: np.ndarray, worth: float = WORTH, level: float = LEVEL) -> tuple[Word, Interval, int]:
    """Whether a took less time than b over pairs, the ratio's interval, and how many more pairs would show `worth`.

    Assumes what `ratio_interval` does. The three-way answer is that of an equivalence test beside the test of a difference
    (Schuirmann 1987): an interval that holds 1 is no proof of equality unless it also keeps within `worth`.

    "no difference shown": the interval holds 1 and nothing beyond `worth` either side; "inconclusive": it holds more.
    """
    ratio = ratio_interval(a, b, level)
    if ratio.excludes(1.0):
        return ("faster" if ratio.high < 1 else "slower"), ratio, 0
    if 1 / (1 + worth) <= ratio.low and ratio.high <= 1 + worth:
        return "no difference shown", ratio, 0
    logs = np.log(np.asarray(a, float) / np.asarray(b, float))
    spread = float(logs.std(ddof=1)) if len(logs) > 1 else worth
    return "inconclusive", ratio, max(1, repeats_for(spread, worth, level) - len(logs))


def bootstrap_mean(values: np.ndarray, seed: int = 0, level: float = METRIC_LEVEL) -> Interval:
    """Percentile bootstrap of the mean over images, of a score from 0 to 1. Assumes that images are an independent sample
    (Efron 1979). One image says nothing of the others: the interval is then 0 to 1.

    Drawing n of n images again is drawing how often each distinct value comes, a multinomial: an image's F1 takes a few
    dozen values, so that a million images cost no more than a hundred.
    """
    distinct, counts = np.unique(np.asarray(values, float), return_counts=True)
    n = int(counts.sum())
    if n == 1:
        return Interval(estimate=float(distinct[0]), low=0.0, high=1.0, level=level)
    means = np.random.default_rng(seed).multinomial(n, counts / n, DRAWS) @ distinct / n
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate=float(distinct @ counts / n), low=float(low), high=float(high), level=level)


def over_seeds(values: np.ndarray, level: float = METRIC_LEVEL) -> Interval | None:
    """Student's interval of the mean over seeds; None below three, where it says nothing. Assumes that the
    seeds' means are independent and roughly normal (Student 1908; Bouthillier et al. 2021 for seeds as the unit)."""
    from scipy import stats  # a second to import, which only repeats should pay

    x = np.asarray(values, float)
    if len(x) < 3:
        return None
    half = float(stats.t.ppf((1 + level) / 2, len(x) - 1)) * x.std(ddof=1) / math.sqrt(len(x))
    return Interval(estimate=float(x.mean()), low=float(x.mean() - half), high=float(x.mean() + half), level=level)


def paired_test(a: np.ndarray, b: np.ndarray, seed: int = 0) -> float:
    """p of the mean difference over the same images, by 10,000 random changes of sign; at the least 1 / 10,001.

    Assumes only that without a difference each image's sign is arbitrary (Fisher 1935; Ernst 2004 for the +1).
    """
    d = np.asarray(a, float) - np.asarray(b, float)
    if not d.any():
        return 1.0
    sizes, counts = np.unique(np.abs(d), return_counts=True)
    positive = np.random.default_rng(seed).binomial(counts, 0.5, (DRAWS, len(counts)))  # of the images of each size
    sums = (2 * positive - counts) @ sizes
    extreme = np.abs(sums) >= abs(d.sum()) * (1 - 1e-12)
    return float((extreme.sum() + 1) / (DRAWS + 1))

"""PURE NumPy: logits and 0/1 labels -> the paper's percentile table, and what it leaves out."""

import numpy as np

from common.core.scores import PercentileScores, Scores, ThresholdScores

BLOCK = 100_000  # rows scored at once, so that memory does not grow with the data set


def picks(scores: np.ndarray, percentile: float) -> np.ndarray:
    """Labels whose score is strictly above the row's own percentile (linear interpolation). bool [n, classes].

    As in the paper's code: `scores > numpy.percentile(scores, q, axis=1)`.
    """
    return scores > np.percentile(scores, percentile, axis=1, keepdims=True)


def labels_picked(percentile: float, classes: int) -> int:
    """How many of `classes` distinct scores lie strictly above their percentile."""
    return int(picks(np.arange(classes, dtype=np.float64)[None], percentile).sum())


def percentile_for(top_k: int, classes: int) -> float:
    """A percentile that picks exactly `top_k` of `classes` distinct scores."""
    return round(100 * (classes - top_k - 0.5) / (classes - 1), 1)


def _ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """0 where nothing can be divided, as scikit-learn's zero_division=0."""
    return np.divide(over, under, out=np.zeros(np.shape(over)), where=np.asarray(under) > 0)


def at_percentile(scores: np.ndarray, labels: np.ndarray, percentile: float) -> PercentileScores:
    """Precision, recall and F1 averaged over images, over classes (macro) and over all labels (micro).

    scores: [n, classes]; labels: 0/1 [n, classes]. Classes without positives are left out of macro.
    """
    n, classes = labels.shape
    true_positive, picked, present = (np.zeros(classes) for _ in range(3))
    sample_sums = np.zeros(3)
    for start in range(0, n, BLOCK):
        chosen = picks(scores[start : start + BLOCK], percentile)
        truth = labels[start : start + BLOCK].astype(bool)
        both = chosen & truth
        hit, took, were = both.sum(axis=1), chosen.sum(axis=1), truth.sum(axis=1)
        sample_sums += [_ratio(hit, took).sum(), _ratio(hit, were).sum(), _ratio(2 * hit, took + were).sum()]
        true_positive += both.sum(axis=0)
        picked += chosen.sum(axis=0)
        present += truth.sum(axis=0)
    seen = present > 0
    macro = [_ratio(true_positive, picked), _ratio(true_positive, present), _ratio(2 * true_positive, picked + present)]
    total, took, were = true_positive.sum(), picked.sum(), present.sum()
    micro = [_ratio(total, took), _ratio(total, were), _ratio(2 * total, took + were)]
    names = ("precision", "recall", "f1")
    result = {name: float(value) for name, value in zip(names, sample_sums / max(n, 1))}
    result |= {f"macro_{name}": float(v[seen].mean()) if seen.any() else 0.0 for name, v in zip(names, macro)}
    result |= {f"micro_{name}": float(v) for name, v in zip(names, micro)}
    return PercentileScores(**result, labels_per_image=float(took / max(n, 1)))


def image_f1(chosen: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """F1 of each image, float [n]. chosen: bool [n, classes]; labels: 0/1 [n, classes]."""
    hit = (chosen & labels.astype(bool)).sum(axis=1)
    return _ratio(2 * hit, chosen.sum(axis=1) + labels.sum(axis=1))


def f1_by_image(scores: np.ndarray, labels: np.ndarray, percentile: float) -> np.ndarray:
    """F1 of each image at the percentile, float [n]. scores: [n, classes]; labels: 0/1 [n, classes]."""
    blocks = [slice(start, start + BLOCK) for start in range(0, len(scores), BLOCK)]
    return np.concatenate([np.empty(0), *(image_f1(picks(scores[b], percentile), labels[b]) for b in blocks)])


def sample_f1(chosen: np.ndarray, labels: np.ndarray) -> float:
    """F1 averaged over images."""
    return float(image_f1(chosen, labels).mean())


def best_threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """The one threshold for all images and labels with the highest F1 averaged over images, exactly.

    An image's F1 after its k best labels is 2 * hits / (k + labels), so lowering the threshold past one of its scores
    adds a known difference. All differences sorted by score and summed up give the F1 of every threshold.
    Returns the middle between the lowest picked score and the next one: pick where score > threshold.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    hits = np.cumsum(np.take_along_axis(labels, order, axis=1), axis=1, dtype=np.float64)
    f1 = 2 * hits / (np.arange(1, scores.shape[1] + 1) + labels.sum(axis=1, keepdims=True))
    steps = np.diff(f1, axis=1, prepend=0.0).ravel()
    flat = ranked.ravel()
    down = np.argsort(-flat, kind="stable")
    total, flat = np.cumsum(steps[down]), flat[down]
    ends = np.append(flat[:-1] > flat[1:], True)  # equal scores are picked together
    best = int(np.argmax(np.where(ends, total, -np.inf)))
    below = flat[best + 1] if best + 1 < len(flat) else flat[best] - 1
    middle = (flat[best] + below) / 2
    return float(middle if middle < flat[best] else below)


def single_threshold(scores: np.ndarray, labels: np.ndarray) -> ThresholdScores:
    """F1 over images at the best single threshold, cross-fitted: chosen on one half, scored on the other.

    Choosing and scoring on the same images would flatter every row (by how much depends on n), so the halves (even
    and odd rows) swap roles.
    """
    halves = [slice(0, None, 2), slice(1, None, 2)]
    if len(scores) < 2:
        return ThresholdScores(f1=0.0, thresholds=())
    thresholds = [best_threshold(scores[half], labels[half]) for half in halves]
    f1s = [sample_f1(scores[half] > t, labels[half]) for half, t in zip(halves[::-1], thresholds)]
    sizes = [len(scores[half]) for half in halves[::-1]]
    return ThresholdScores(f1=float(np.average(f1s, weights=sizes)), thresholds=tuple(thresholds))


def mean_average_precision(scores: np.ndarray, labels: np.ndarray) -> tuple[float, list[float | None]]:
    """mAP over the classes with positives, and AP per class (None without positives). scikit-learn's AP."""
    from sklearn.metrics import average_precision_score  # 4 s to import: a child never pays them

    each = [
        float(average_precision_score(labels[:, c], scores[:, c])) if labels[:, c].any() else None
        for c in range(labels.shape[1])
    ]
    known = [ap for ap in each if ap is not None]
    return (float(np.mean(known)) if known else 0.0), each


def score(scores: np.ndarray, labels: np.ndarray, percentiles: tuple[float, ...]) -> Scores:
    """All scores of one row of a table. scores: [n, classes]; labels: 0/1 [n, classes]."""
    mean_ap, each = mean_average_precision(scores, labels)
    return Scores(
        percentiles={f"{p:g}": at_percentile(scores, labels, p) for p in percentiles},
        mAP=mean_ap,
        AP=tuple(each),
        threshold=single_threshold(scores, labels),
        images=len(labels),
        positives=tuple(labels.sum(axis=0, dtype=np.int64).tolist()),
        classes_without_positives=tuple(c for c in range(labels.shape[1]) if not labels[:, c].any()),
    )


def prior_scores(train_counts: np.ndarray, n: int) -> np.ndarray:
    """The scorer that never looks: every image gets the classes' frequencies in the train split."""
    order = np.argsort(np.argsort(train_counts, kind="stable"), kind="stable")  # ties broken by class number
    return np.broadcast_to(order.astype(np.float64), (n, len(train_counts)))


def oracle_scores(labels: np.ndarray) -> np.ndarray:
    """The best that distinct scores can do: present labels above absent ones, ties broken by class number."""
    return labels.astype(np.float64) + np.linspace(0, 0.5, labels.shape[1], endpoint=False)


def share_of_way(value: float, prior: float, oracle: float) -> float | None:
    """0 at the prior, 1 at the oracle; None where the two coincide."""
    return (value - prior) / (oracle - prior) if oracle > prior else None

"""PURE: which rows an epoch visits after balancing, what a positive weighs in the loss, and an audit of it."""

import warnings
from typing import Any

import numpy as np

from common.core.audit import LabelCounts, PlanAudit

SETS_PER_CALL = 256  # the samplers scan all rows once per set: small blocks keep 1,000,000 rows linear
MOST_REPEATS = 10  # a set of one image may appear ten times, not a thousand


def label_set_keys(labels: np.ndarray) -> np.ndarray:
    """One int per row, equal for equal label sets; all-zero rows are a set of their own.

    labels: [n, classes] 0/1. Returns int64 [n], numbered from 0.
    """
    packed = np.ascontiguousarray(np.packbits(labels.astype(bool), axis=1))
    rows = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    return np.unique(rows, return_inverse=True)[1].reshape(-1)


def oversample(labels: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """`rows` and repetitions of them: each label set up to the mean set size, at most 10 times itself.

    Returns int32, the originals first.
    """
    from imblearn.over_sampling import RandomOverSampler  # 5 s to import, which only balancing should pay

    keys = label_set_keys(labels[rows])
    sizes = np.bincount(keys)
    goals = np.maximum(sizes, np.minimum(round(sizes.mean()), sizes * MOST_REPEATS))
    added = [chosen[len(members) :] for members, chosen in _resampled(RandomOverSampler, keys, goals, seed)]
    return np.concatenate([rows, *(rows[a] for a in added)]).astype(np.int32)


def undersample(labels: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """A part of `rows`: each label set down to the mean set size. Returns int32, in the order of `rows`."""
    from imblearn.under_sampling import RandomUnderSampler

    keys = label_set_keys(labels[rows])
    sizes = np.bincount(keys)
    goals = np.minimum(sizes, max(1, round(sizes.mean())))
    kept = np.ones(len(rows), bool)
    for members, chosen in _resampled(RandomUnderSampler, keys, goals, seed):
        kept[members] = False
        kept[chosen] = True
    return rows[kept].astype(np.int32)


def _resampled(sampler: Any, keys: np.ndarray, goals: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For blocks of the sets whose goal is not their size: their members, and the places that the sampler chose.

    imbalanced-learn's samplers refuse a multi-label matrix or relabel all-zero rows as class 0 without a word, so
    they resample row numbers under the label set as the key.
    """
    sizes = np.bincount(keys)
    changing = np.flatnonzero(goals != sizes)
    by_key = np.argsort(keys, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    results = []
    for block in np.array_split(changing, -(-len(changing) // SETS_PER_CALL)) if len(changing) else []:
        members = np.concatenate([by_key[starts[k] : starts[k + 1]] for k in block])
        goal = {int(k): int(goals[k]) for k in block}
        if len(goal) == 1:  # imbalanced-learn wants two classes: another set stays as it is
            other = int(np.argmax(np.where(goals == sizes, sizes, -1)))
            members = np.concatenate([by_key[starts[other] : starts[other + 1]], members])
            goal[other] = int(sizes[other])
        chooser = sampler(sampling_strategy=goal, random_state=seed)
        with warnings.catch_warnings():  # many label sets are meant: no regression is mistaken for classes here
            warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%")
            chooser.fit_resample(members.reshape(-1, 1), keys[members])
        results.append((members, members[chooser.sample_indices_]))
    return results


def positive_weights(labels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """What a positive of each class weighs in the loss: its negatives per positive among `rows`; 1 without positives.

    float32 [classes]. Every class then weighs as much in its positives as in its negatives (the paper's section 3.1).
    Smoothed as the class frequency is, (N - n + 1/2) / (n + 1/2): a class that every image has keeps a weight above 0.
    """
    counts = labels[rows].sum(axis=0, dtype=np.float64)
    return np.where(counts > 0, (len(rows) - counts + 0.5) / (counts + 0.5), 1.0).astype(np.float32)


def imbalance(counts: np.ndarray) -> dict[str, Any]:
    """IRLbl per label and MeanIR (Charte et al. 2015, Neurocomputing 163): max count / count.

    Labels without positives are left out (None): their ratio is infinite.
    """
    top = counts.max() if counts.size else 0
    ratios = [round(float(top / c), 4) if c else None for c in counts]
    known = [r for r in ratios if r is not None]
    return {"IRLbl": ratios, "MeanIR": round(float(np.mean(known)), 4) if known else None}


def audit(labels: np.ndarray, rows: np.ndarray, visits: np.ndarray) -> PlanAudit:
    """What one epoch sees before (`rows`) and after (`visits`) balancing."""

    def side(which: np.ndarray) -> LabelCounts:
        counts = labels[which].sum(axis=0, dtype=np.int64)
        return LabelCounts(
            images=len(which),
            # np.unique took 30 times as long for 10 times the rows.
            unique_images=int(np.count_nonzero(np.bincount(which))),
            label_counts=tuple(counts.tolist()),
            **imbalance(counts),
        )

    return PlanAudit(before=side(rows), after=side(visits))

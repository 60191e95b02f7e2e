"""PURE: which rows an epoch visits after balancing, and an audit of what that changed."""

import warnings
from typing import Any

import numpy as np

SETS_PER_CALL = 256  # RandomOverSampler scans all rows once per set: small blocks keep 1,000,000 rows linear
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

    RandomOverSampler refuses a multi-label matrix and relabels all-zero rows as class 0 without a word,
    so it resamples row numbers under the label set as the key. Returns int32, the originals first.
    """
    from imblearn.over_sampling import RandomOverSampler  # 5 s to import, which only oversampling should pay

    keys = label_set_keys(labels[rows])
    sizes = np.bincount(keys)
    goals = np.maximum(sizes, np.minimum(round(sizes.mean()), sizes * MOST_REPEATS))
    small = np.flatnonzero(goals > sizes)
    by_key = np.argsort(keys, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    added = []
    for block in np.array_split(small, -(-len(small) // SETS_PER_CALL)) if len(small) else []:
        members = np.concatenate([by_key[starts[k] : starts[k + 1]] for k in block])
        goal = {int(k): int(goals[k]) for k in block}
        kept = None
        if len(goal) == 1:  # imbalanced-learn wants two classes: the largest set stays as it is
            largest = int(np.argmax(sizes))
            kept = by_key[starts[largest] : starts[largest + 1]]
            members = np.concatenate([kept, members])
            goal[largest] = len(kept)
        sampler = RandomOverSampler(sampling_strategy=goal, random_state=seed)
        with warnings.catch_warnings():  # many label sets are meant: no regression is mistaken for classes here
            warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%")
            sampler.fit_resample(members.reshape(-1, 1), keys[members])
        added.append(members[sampler.sample_indices_[len(members) :]])
    return np.concatenate([rows, *(rows[a] for a in added)]).astype(np.int32)


def imbalance(counts: np.ndarray) -> dict[str, Any]:
    """IRLbl per label and MeanIR (Charte et al. 2015, Neurocomputing 163): max count / count.

    Labels without positives are left out (None): their ratio is infinite.
    """
    top = counts.max() if counts.size else 0
    ratios = [round(float(top / c), 4) if c else None for c in counts]
    known = [r for r in ratios if r is not None]
    return {"IRLbl": ratios, "MeanIR": round(float(np.mean(known)), 4) if known else None}


def audit(labels: np.ndarray, rows: np.ndarray, visits: np.ndarray) -> dict[str, Any]:
    """What one epoch sees before (`rows`) and after (`visits`) balancing."""

    def side(which: np.ndarray) -> dict[str, Any]:
        counts = labels[which].sum(axis=0, dtype=np.int64)
        return {
            "images": len(which),
            "unique_images": len(np.unique(which)),
            "label_counts": counts.tolist(),
            **imbalance(counts),
        }

    return {"before": side(rows), "after": side(visits)}

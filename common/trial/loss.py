"""The loss of every framework, computed from logits by the harness."""

import numpy as np


def bce_with_logits(logits: np.ndarray, labels: np.ndarray, positive_weights: np.ndarray | None = None) -> float:
    """Binary cross-entropy averaged over classes and images: the validation loss, the same for all.

    (1 - y) z + (1 + (w - 1) y) (log(1 + exp(-|z|)) + max(-z, 0)), in float64 so that no framework's summation order
    matters; w: what a positive of each class weighs (None: 1), as in the loss that was trained.
    """
    z, y = logits.astype(np.float64), labels.astype(np.float64)
    factor = 1.0 if positive_weights is None else 1 + (positive_weights.astype(np.float64) - 1) * y
    return float(np.mean((1 - y) * z + factor * (np.log1p(np.exp(-np.abs(z))) + np.maximum(-z, 0))))

"""PURE: the validation loss, the same for all frameworks. Apart from scores.py so that a child starts light:
scikit-learn takes seconds to import."""

import numpy as np


def bce_with_logits(logits: np.ndarray, labels: np.ndarray) -> float:
    """Binary cross-entropy averaged over classes and images: the validation loss, the same for all.

    max(z, 0) - z*y + log(1 + exp(-|z|)), in float64 so that no framework's summation order matters.
    """
    z = logits.astype(np.float64)
    return float(np.mean(np.maximum(z, 0) - z * labels + np.log1p(np.exp(-np.abs(z)))))

"""The CHILD's equality gate: the tuned lane's logits against the default lane's, with the weights that training ended with."""

import time
import traceback

import numpy as np

from common.core.results import EqualityGate, Tuning
from common.trial.driver import Trial

SAMPLE = 64  # images on which both lanes' logits are compared
ALLOWED = 0.05  # of the logits' spread over the sample; bfloat16 rounds at 0.004, once a layer


def check_equality(trial: Trial, tuning: Tuning, logits: np.ndarray) -> None:
    """Compare the logits of the first validation images, and write the finding as an event. logits: the tuned lane's.

    A gate that fails to compute the default lane's logits has not passed. It fails no finished trial.
    """
    if tuning.skip_reason and not tuning.trained:
        return  # both lanes executed alike
    began, error, failed = time.perf_counter(), None, ""
    try:
        plain = _default_logits(trial, tuning)
        error = relative_error(logits[: len(plain)], plain)
    except Exception as caught:
        traceback.print_exc()  # into the trial's log
        failed = f"{type(caught).__name__}: {caught}"[:300]
    trial.events.write(EqualityGate(
        images=len(trial.plan.validation_rows[:SAMPLE]), error=error, allowed=ALLOWED,
        passed=error is not None and error <= ALLOWED, failed=failed, seconds=time.perf_counter() - began,
    ))  # fmt: skip


def _default_logits(trial: Trial, tuning: Tuning) -> np.ndarray:
    """The default lane's logits of the first validation images."""
    rows, crops, epochs = trial.plan.validation_rows[:SAMPLE], trial.plan.validation_crops, trial.spec.recipe.epochs
    features, trial.features = trial.features, None
    try:
        trial.execute_as({})
        return trial.predict(rows, crops[epochs][:SAMPLE] if len(crops) else crops, epochs, "gate")[0]
    finally:
        trial.features = features
        trial.execute_as(tuning.trained)


def relative_error(logits: np.ndarray, plain: np.ndarray) -> float:
    """Norm of the difference over the norm of the plain ones' spread over the images [n, classes]; of a single image, which
    has no spread, over their own."""
    spread = np.linalg.norm(plain - plain.mean(axis=0)) if len(plain) > 1 else np.linalg.norm(plain)
    difference = np.linalg.norm(logits - plain)
    return float(difference / spread) if spread else float(difference > 0)

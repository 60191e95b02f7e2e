"""Scores as results.json holds them: an unfinished trial's are {}, whatever a trial has is read back as it was written."""

import numpy as np

from common.analysis.scores import score
from common.core.results import Row
from common.core.scores import TrialPercentileScores, TrialScores
from tests.helpers.records import row

LABELS = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]], np.uint8)


def test_an_unfinished_trials_scores_are_empty_on_disk():
    written = row("a", 0.1).model_dump()
    assert written["scores"] == {}
    assert Row.model_validate(written).scores is None


def test_a_trials_scores_keep_the_keys_of_the_first_schema():
    found = score(np.random.default_rng(0).random((4, 3)), LABELS, (50.0,))
    at = TrialPercentileScores(**dict(found.percentiles["50"]), share=None, f1_low=0.0, f1_high=1.0)
    scores = TrialScores(**dict(found) | {"percentiles": {"50": at}}, validation_loss=0.5, f1_by_epoch=(0.25,))
    written = Row(record=row("a", 0.1).record, scores=scores).model_dump()["scores"]
    assert written.keys() == {
        "percentiles", "mAP", "AP", "threshold", "images", "positives", "classes_without_positives", "validation_loss",
        "f1_by_epoch",
    }  # fmt: skip
    assert written["percentiles"]["50"].keys() == {
        *(f"{kind}{name}" for kind in ("", "macro_", "micro_") for name in ("precision", "recall", "f1")),
        "labels_per_image", "share", "f1_low", "f1_high",
    }  # fmt: skip
    assert written["AP"][2] is None and written["percentiles"]["50"]["share"] is None
    assert TrialScores.model_validate(written) == scores

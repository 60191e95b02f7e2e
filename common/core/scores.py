"""What a trial scored, and the scorers that its scores are held against: frozen values, as results.json holds them."""

from collections.abc import Mapping
from typing import Literal

from common.core.specs import Value

# The scorer that never looks, and the best that distinct scores can do: a model's F1 lies between theirs.
Reference = Literal["prior", "oracle"]
REFERENCES: tuple[Reference, ...] = ("prior", "oracle")


class PercentileScores(Value):
    """Of the labels above one percentile of each image's scores: means over images, over classes (macro), over labels (micro)."""

    precision: float
    recall: float
    f1: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    micro_precision: float
    micro_recall: float
    micro_f1: float
    labels_per_image: float


class TrialPercentileScores(PercentileScores):
    """A trial's, with where its F1 lies between the references' and how sure it is."""

    share: float | None  # 0 at the prior's F1, 1 at the oracle's; None where the two coincide
    f1_low: float  # of the 95 % interval over images
    f1_high: float


class ThresholdScores(Value):
    """F1 at one threshold for all images and labels."""

    f1: float
    thresholds: tuple[float, ...]  # of each half of the images; empty where there are too few


class Scores(Value):
    """Everything that logits are scored by."""

    percentiles: Mapping[str, PercentileScores]  # by its text, such as "95"
    mAP: float  # mean over classes of the average precision
    AP: tuple[float | None, ...]  # of each class; None without positives
    threshold: ThresholdScores
    images: int
    positives: tuple[int, ...]  # of each class
    classes_without_positives: tuple[int, ...]


class TrialScores(Scores):
    """The scores of a finished trial."""

    percentiles: Mapping[str, TrialPercentileScores]
    validation_loss: float  # the lowest of the epochs; NaN without any
    f1_by_epoch: tuple[float, ...]  # at the last percentile


References = dict[Reference, Scores]

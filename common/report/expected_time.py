"""PURE: a trial's spec and one of its first steps -> the time the trial will take, and what would shorten it."""

from common.core.events import Step
from common.core.specs import TrialSpec

SMALLEST_SIDE = 32  # pixels: what the libraries' networks take


def expected_s(event: Step, first_step_s: float, spec: TrialSpec) -> float:
    """Seconds from the first step to the last prediction, seen from a training step of the first epoch that it does now.

    The first step (graph building) is left out of the rate. A validation image costs about as much as a training
    image where a frozen part dominates, and a third of it (forward without backward) where everything trains.
    """
    batch, feed, epochs = spec.recipe.batch_size, spec.feed, spec.recipe.epochs - event.epoch + 1
    per_image = (event.elapsed_s - first_step_s) / max(event.images - batch, 1)
    validation = feed.validation_images * (1 / 3 if spec.trained_part == "all" else 1.0)
    return first_step_s + per_image * (epochs * feed.train_images + (epochs + 1) * validation)


def shorter(spec: TrialSpec) -> str:
    """The flag that would shorten this trial most simply."""
    smaller = spec.feed.image_side // 2
    if (spec.weights.random or spec.recipe.train == "all") and smaller >= SMALLEST_SIDE:
        return f"--image-size {smaller} or --limit N"
    return "--limit N or --epochs 1" if spec.recipe.epochs > 1 else "--limit N"

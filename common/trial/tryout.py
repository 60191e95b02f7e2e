"""The CHILD's answer, before anything is decoded, to whether a trial can begin: image side, weights file, batch norm."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from common.core.errors import ImageSizeError
from common.core.specs import BuildSpec, WeightsSpec
from common.core.tensor_files import read_tensors, under_model_names
from common.process.questions import TryOut
from common.trial.contract import Adapter, Normalising
from common.trial.initial_weights import initialise

LARGER = (224, 299, 384, 512)  # sides that are tried where a model does not take the one that was asked for


def try_out(adapter: Adapter, spec: BuildSpec, weights: WeightsSpec) -> TryOut:
    """Build the model and load the file, as the trial would. InputError where the trial could not begin."""
    model, note = built(adapter, spec), ""
    if weights.path:
        path, matched = Path(weights.path), spec.formulas == "matched"
        initialise(adapter, model, weights, Path("/"), np.ones(spec.classes), 0, matched)
        note = under_model_names(read_tensors(path), adapter.dump(model), weights.source).note
    fewest = adapter.fewest_normalised(model) if isinstance(adapter, Normalising) else 0
    return TryOut(note=note, fewest_normalised=fewest)


def built(adapter: Adapter, spec: BuildSpec) -> Any:
    """The model. InputError that names the smallest side where the asked one is too small for it."""
    try:
        return _built(adapter, spec)
    except ImageSizeError:
        raise
    except Exception:

        def fits(side: int) -> bool:
            try:
                _built(adapter, spec.model_copy(update={"side": side}))
            except Exception:
                return False
            return True

        smallest = smallest_side(spec.side, fits)
        if not smallest:
            raise  # the side is not the cause
        raise ImageSizeError(
            f"{spec.model} takes images of {smallest} pixels at least, not {spec.side}; take --image-size {smallest}"
        ) from None


def _built(adapter: Adapter, spec: BuildSpec) -> Any:
    """Its facts count the operations of one image, which some libraries need to run for."""
    model = adapter.build(spec)
    adapter.facts(model)
    return model


def smallest_side(too_small: int, fits: Callable[[int], bool]) -> int:
    """The smallest side above the one that is too small; 0 where no usual one fits."""
    fitting = next((side for side in LARGER if side > too_small and fits(side)), 0)
    while fitting - too_small > 1:
        middle = (too_small + fitting) // 2
        too_small, fitting = (too_small, middle) if fits(middle) else (middle, fitting)
    return fitting

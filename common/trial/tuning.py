"""The CHILD's tuned lane: features are computed once per image, and each part runs in the fastest config that a search finds.

The mathematics stays the default lane's: equality_gate.py compares both lanes' logits at the end.
"""

import time
from typing import Any

from common.core.results import Tuning
from common.core.specs import TrialSpec
from common.trial.contract import Adapter, Optimizable
from common.trial.driver import Trial
from common.trial.features import keep_features
from common.trial.search import rate_of_training, search

CHANGES = ("optimiser", "dropout")  # facts that `run_as` may change; precision and compilation are those of the config


def prepare(trial: Trial, earlier: Tuning) -> Tuning:
    """Keep features where that is possible, choose how training executes, and have the model execute so. earlier: what the
    trial chose before a kill, and goes on with."""
    began, adapter = time.perf_counter(), trial.adapter
    tuning = Tuning(skip_reason=skip_reason(trial.spec, adapter, trial.model))
    if isinstance(adapter, Optimizable):
        if not tuning.skip_reason:
            trial.features, kept = keep_features(trial, adapter, earlier.frozen)
            tuning = kept.model_copy(update={"skip_reason": ""})
        if space := adapter.training_ways(trial.model, trial.features is not None):
            config, chosen = earlier.trained, {}
            if not config:
                images, measure = trial.plan.orders.size, rate_of_training(trial, adapter)
                config, rate = search("trained", space, adapter.SLOW, measure, images, trial.events.write)
                chosen = {"forecast_trained_s": images / rate}
            tuning = tuning.model_copy(update={"trained": config, **chosen})
        trial.execute_as(tuning.trained)
    tuning_s = time.perf_counter() - began - tuning.fill_s
    tuning = tuning.model_copy(update={"facts": _facts(trial, tuning), "tuning_s": tuning_s})
    trial.events.write(tuning)
    return tuning


def skip_reason(spec: TrialSpec, adapter: Adapter, model: Any) -> str:
    """Why the frozen part is not run once per image; "" where it is."""
    if not isinstance(adapter, Optimizable):
        return f"{spec.framework} offers no tuned lane"
    if spec.nothing_kept:
        return spec.nothing_kept
    if not adapter.frozen_ways(model):
        return f"where the frozen part of {spec.model} ends is not known on {spec.framework}"
    return ""


def _facts(trial: Trial, tuning: Tuning) -> dict[str, str]:
    """The facts that differ from the default lane's."""
    now, frozen, trained = trial.adapter.facts(trial.model), tuning.precision("frozen"), tuning.precision("trained")
    facts = {name: now[name] for name in CHANGES if name in now and now[name] != trial.facts.get(name)}
    kept = f"frozen part once per image in {frozen}, kept as {trial.spec.features}" if tuning.store else "nothing kept"
    facts["lane"] = f"tuned: {kept}; training in {trained}"
    if {frozen, trained} != {"float32"}:
        apart = f"frozen part in {frozen}, " if tuning.store else ""
        facts["precision"] = f"float32; {apart}training computed in {trained}"
    if (compiler := tuning.trained.get("compiler", "none")) != "none":
        facts["compiled"] = f"training by {compiler}"
    return facts

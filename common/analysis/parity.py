"""PURE: two frameworks' traces of the same arithmetic -> in which stage and tensor they part, if they do.

A tensor's error is the norm of the difference over the larger norm, the absolute floor added below, so that a tensor of
rounding noise alone is no difference.
"""

from collections.abc import Mapping

import numpy as np

from common.core.parity_stages import FLOORS, FORWARD, GRADIENTS, ROUNDING, STAGES, WEIGHTS, Precision, StageKind
from common.core.results import Stage

OWN_ERRORS = 10.0  # float32 gradients: so many times what float32 costs either framework against its own float64
MOST_32 = 0.1  # whatever float32 costs them: the largest difference seen was 5e-3 (EfficientNet-Lite0)
LEAST = 1e-8  # what storing a float64 result as float32 costs; computing in float32 costs 1e-7 and more
LARGEST = 2.0  # of an error: the two have opposite signs; also where they cannot be subtracted, or are no numbers
Arrays = Mapping[str, np.ndarray]


def error(a: np.ndarray, b: np.ndarray, allowed: float, floor: float = FLOORS["float64"]) -> float:
    """0 where equal; above `allowed` where they differ by more than that share of the larger norm and the floor."""
    if a.shape != b.shape:
        return LARGEST
    a, b = a.astype(np.float64), b.astype(np.float64)
    apart, size = float(np.linalg.norm(a - b)), max(float(np.linalg.norm(a)), float(np.linalg.norm(b)))
    if not np.isfinite(apart):
        return LARGEST
    return apart / (size + floor / allowed if allowed else size or 1.0) if apart else 0.0


def compare(a: Arrays, b: Arrays) -> tuple[list[Stage], StageKind | None, str]:
    """Every stage up to the first that fails; that stage and its tensor, None and "" where none does.

    a: the reference's trace, in the order of the computation.
    """
    stages: list[Stage] = []
    for kind in STAGES:
        found = _rounding(a, b) if kind == ROUNDING else _held(kind, a, b)
        stages.append(found)
        if found.error > found.allowed:
            return stages, kind, found.worst
    return stages, None, ""


def _held(kind: StageKind, a: Arrays, b: Arrays) -> Stage:
    """The first tensor of a stage that one side lacks or that differs by too much; else the one nearest to its limit."""
    here, there = (_tensors(side, kind) for side in (a, b))
    names, lacking = [n for n in here if n in there], sorted(here.keys() ^ there.keys())
    if kind.part == "forward":  # further names are of steps between layers, which each library cuts as it likes
        layers = {tensor.rpartition(".")[0] for tensor in _tensors(a, WEIGHTS)}
        lacking = sorted(layers - set(names))
    if lacking:
        return _stage(kind, 0, lacking[0], LARGEST, 0.0)
    worst, nearness = ("", 0.0, 0.0), -1.0
    for tensor in names:
        key, allowed = kind.key(tensor), _own(a, b, tensor) if kind.allowed is None else kind.allowed
        found = error(a[key], b[key], allowed, kind.floor)
        if found > allowed:
            return _stage(kind, len(names), tensor, found, allowed)
        if (near := found / (allowed or 1.0)) > nearness:
            worst, nearness = (tensor, found, allowed), near
    return _stage(kind, len(names), *worst)


def _stage(kind: StageKind, tensors: int, worst: str, found: float, allowed: float) -> Stage:
    return Stage(name=kind.name, tensors=tensors, worst=worst, error=found, allowed=allowed)


def _tensors(side: Arrays, kind: StageKind) -> dict[str, None]:
    names = side.files if hasattr(side, "files") else side
    return {n.removeprefix(kind.key("")): None for n in names if n.startswith(kind.key(""))}


def _own(a: Arrays, b: Arrays, tensor: str) -> float:
    """Ten times the larger of what float32 costs either framework against its own float64.

    The larger: where float32 puts one value on the other side of a ReLU's kink, every earlier gradient moves, in one
    framework and not in the other (EfficientNet-Lite0: 6e-3 and 6e-5 in the median over its tensors).
    """
    allowed = OWN_ERRORS * max(_cost(side, GRADIENTS, tensor) for side in (a, b))
    return min(allowed or FLOORS["float32"], MOST_32)


def _cost(side: Arrays, of: dict[Precision, StageKind], tensor: str) -> float:
    """What float32 costs one framework against its own float64."""
    return error(side[of["float32"].key(tensor)], side[of["float64"].key(tensor)], 1.0, 0.0)


def _rounding(a: Arrays, b: Arrays) -> Stage:
    """Whether float32 costs both as much in the forward pass, in the median over the layers, as a ratio.

    Less on one side is a float64 under another name (so Keras's was, here, until this asked); more is a lower precision.
    """
    here, there = (_tensors(side, FORWARD["float32"]) for side in (a, b))
    layers = [n for n in here if n in there and n != "input"]
    costs = [max(LEAST, float(np.median([_cost(side, FORWARD, n) for n in layers]))) for side in (a, b)]
    return _stage(ROUNDING, len(layers), "median layer", max(costs) / min(costs), OWN_ERRORS)


def described(stage: StageKind, tensor: str, found: Stage, facts: dict[str, dict[str, dict[str, str]]]) -> str:
    """The failure in words: what differs first, by how much, and what each framework says of it.

    facts: by framework, then by the model that was asked ("everything trains" or "steps"), then by layer.
    """
    if stage == ROUNDING:
        return f"{stage.name}: float32 costs one side {found.error:.0f} times what it costs the other (allowed {found.allowed:g})"
    of = "steps" if stage.part in ("optimiser", "whole step") or tensor == "loss" else "everything trains"
    sides = "; ".join(f"{name}: {_fact(tensor, stage, said[of])}" for name, said in facts.items())
    size = (
        "is not on both sides"
        if not found.tensors
        else f"differs by {found.error:.1e} of its norm (allowed {found.allowed:.1e})"
    )
    return f"{stage.name}: {tensor} {size}; {sides}"


def _fact(tensor: str, stage: StageKind, facts: Mapping[str, str]) -> str:
    """The words about the tensor's layer; about the optimiser where that alone was asked."""
    if stage.part == "optimiser":
        return facts["optimiser"]
    layer = tensor if tensor in facts else tensor.rpartition(".")[0]
    said = facts.get(layer, "no such layer" if layer else "")
    return f"{said}; {facts['optimiser']}" if stage.part == "whole step" else said

"""PURE: two frameworks' traces of the same arithmetic -> in which stage and tensor they part, if they do.

A tensor's error is the norm of the difference over the larger norm, the absolute floor added below, so that a tensor of
rounding noise alone is no difference.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from common.types import Stage

# Shares of a tensor's norm. Float64 rounds at 1e-16: 1e-9 leaves seven digits for a network's depth. In float32 two
# orders of summation differ by 1e-5 in the forward pass of 50 layers.
ALLOWED = {
    "initial weights": 0.0, "float64 forward": 1e-9, "float64 training forward": 1e-9, "float64 loss": 1e-9,
    "float64 gradients": 1e-9, "batch norm's statistics": 1e-9, "float32 forward": 1e-4, "float32 loss": 1e-4,
    **{f"optimiser, step {k}": 1e-6 for k in range(1, 6)}, **{f"whole step {k}": 1e-6 for k in range(1, 6)},
}  # fmt: skip
OWN_ERRORS = 10.0  # float32 gradients: so many times what float32 costs either framework against its own float64
LEAST_32 = 1e-6  # and that is at least so much: a framework may by chance come nearer
FLOOR = 1e-12  # of a norm, float64; a gradient of that size moves no weight
FLOOR_32 = 1e-6  # the same in float32
Arrays = Mapping[str, np.ndarray]


def error(a: np.ndarray, b: np.ndarray, allowed: float, floor: float = FLOOR) -> float:
    """0 where equal; above `allowed` where they differ by more than that share of the larger norm and the floor."""
    if a.shape != b.shape:
        return float("inf")
    a, b = a.astype(np.float64), b.astype(np.float64)
    apart, size = float(np.linalg.norm(a - b)), max(float(np.linalg.norm(a)), float(np.linalg.norm(b)))
    if not np.isfinite(apart):
        return float("inf")
    return apart / (size + floor / allowed if allowed else size or 1.0) if apart else 0.0


def compare(a: Arrays, b: Arrays) -> tuple[list[Stage], str, str]:
    """Every stage up to the first that fails; its name and tensor, both empty where none does.

    a: the reference's trace, in the order of the computation.
    """
    stages: list[Stage] = []
    layers = {tensor.rpartition(".")[0] for tensor in _tensors(a, "initial weights")}
    for name in [*ALLOWED, "float32 gradients"]:
        here, there = (_tensors(side, name) for side in (a, b))
        names, lacking = [n for n in here if n in there], sorted(here.keys() ^ there.keys())
        if name.endswith("forward"):  # further names are of steps between layers, which each library cuts as it likes
            lacking = sorted(layers - set(names))
        if lacking:
            stages.append(_stage(name, 0, lacking[0], float("inf"), 0.0))
            return stages, name, lacking[0]
        found = []
        for tensor in names:
            key = f"{name}/{tensor}"
            allowed = ALLOWED[name] if name in ALLOWED else _own(a, b, tensor)
            floor = FLOOR_32 if name.startswith("float32") else FLOOR
            found.append((tensor, error(a[key], b[key], allowed, floor), allowed))
        failing = next((f for f in found if f[1] > f[2]), None)
        worst = failing or max(found, key=lambda f: f[1] / f[2] if f[2] else f[1], default=("", 0.0, 0.0))
        stages.append(_stage(name, len(found), *worst))
        if failing:
            return stages, name, failing[0]
    return stages, "", ""


def _stage(name: str, tensors: int, worst: str, found: float, allowed: float) -> Stage:
    return Stage(name=name, tensors=tensors, worst=worst, error=found, allowed=allowed)


def _tensors(side: Arrays, stage: str) -> dict[str, None]:
    names = side.files if hasattr(side, "files") else side
    return {n.removeprefix(f"{stage}/"): None for n in names if n.startswith(f"{stage}/")}


def _own(a: Arrays, b: Arrays, tensor: str) -> float:
    """Ten times what float32 costs the better framework against its own float64.

    The better one's: the worse one's own error would excuse itself, since the two float64 gradients are equal.
    """
    keys = f"float32 gradients/{tensor}", f"float64 gradients/{tensor}"
    return OWN_ERRORS * max(min(error(side[keys[0]], side[keys[1]], 1.0, FLOOR_32) for side in (a, b)), LEAST_32)


def described(stage: str, tensor: str, found: Stage, facts: dict[str, dict[str, dict[str, str]]]) -> str:
    """The failure in words: what differs first, by how much, and what each framework says of it.

    facts: by framework, then by the model that was asked ("everything trains" or "steps"), then by layer.
    """
    of = "steps" if stage.startswith(("optimiser", "whole")) or tensor == "loss" else "everything trains"
    sides = "; ".join(f"{name}: {_fact(tensor, stage, said[of])}" for name, said in facts.items())
    size = (
        "is not on both sides"
        if not found.tensors
        else f"differs by {found.error:.1e} of its norm (allowed {found.allowed:.1e})"
    )
    return f"{stage}: {tensor} {size}; {sides}"


def _fact(tensor: str, stage: str, facts: dict[str, Any]) -> str:
    """The words about the tensor's layer; about the optimiser where that alone was asked."""
    if stage.startswith("optimiser"):
        return facts["optimiser"]
    layer = tensor if tensor in facts else tensor.rpartition(".")[0]
    said = facts.get(layer, "no such layer" if layer else "")
    return f"{said}; {facts['optimiser']}" if stage.startswith("whole") else said

"""The stages in which the parity gate compares two frameworks' traces, in the order of their comparison."""

from dataclasses import dataclass
from typing import Literal

Precision = Literal["float32", "float64"]
Part = Literal["weights", "forward", "loss", "gradients", "statistics", "rounding", "optimiser", "whole step"]

STEPS = 5  # of the optimiser alone, and of the whole training step
FLOORS: dict[Precision, float] = {"float64": 1e-12, "float32": 1e-6}  # of a norm; rounding noise of a gradient of zero


@dataclass(frozen=True)
class StageKind:
    """A stage: its name, by which traces and results know it, and how its tensors are compared.

    allowed: error as a share of a tensor's norm; None: as measured on both frameworks. Float64 rounds at 1e-16: 1e-9
    leaves seven digits for a network's depth. In float32 two orders of summation differ by 1e-5 in the forward pass of
    50 layers.
    """

    name: str
    part: Part
    allowed: float | None
    precision: Precision = "float64"

    @property
    def floor(self) -> float:
        """Of a tensor's norm: smaller differences are rounding noise."""
        return FLOORS[self.precision]

    def key(self, tensor: str) -> str:
        """The name of one of its tensors in a trace."""
        return f"{self.name}/{tensor}"


WEIGHTS = StageKind("initial weights", "weights", 0.0)
FORWARD: dict[Precision, StageKind] = {
    "float64": StageKind("float64 forward", "forward", 1e-9),
    "float32": StageKind("float32 forward", "forward", 1e-4, "float32"),
}
TRAINING_FORWARD = StageKind("float64 training forward", "forward", 1e-9)
LOSS: dict[Precision, StageKind] = {
    "float64": StageKind("float64 loss", "loss", 1e-9),
    "float32": StageKind("float32 loss", "loss", 1e-4, "float32"),
}
GRADIENTS: dict[Precision, StageKind] = {
    "float64": StageKind("float64 gradients", "gradients", 1e-9),
    "float32": StageKind("float32 gradients", "gradients", None, "float32"),
}
STATISTICS = StageKind("batch norm's statistics", "statistics", 1e-9)
OPTIMISER = tuple(StageKind(f"optimiser, step {k}", "optimiser", 1e-6) for k in range(1, STEPS + 1))
WHOLE_STEPS = tuple(StageKind(f"whole step {k}", "whole step", 1e-6) for k in range(1, STEPS + 1))
ROUNDING = StageKind("float32 rounding", "rounding", None, "float32")  # has no tensors of its own in a trace
STAGES = (
    WEIGHTS, FORWARD["float64"], TRAINING_FORWARD, LOSS["float64"], GRADIENTS["float64"], STATISTICS, FORWARD["float32"],
    LOSS["float32"], *OPTIMISER, *WHOLE_STEPS, ROUNDING, GRADIENTS["float32"],
)  # fmt: skip

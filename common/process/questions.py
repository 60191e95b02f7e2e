"""The questions that a framework answers in a process of its own, each with the type of its answer."""

from common.core.results import Peaks, Tried
from common.core.specs import ExecutionConfig, Preprocessing, Value
from common.process.question import Question


class TryOut(Value):
    """A trial could begin: its model is built, and its weights file is read."""

    note: str  # on how the file was read
    fewest_normalised: int  # values per channel in a training step of one image; 0: no layer normalises over images


class Trace(Value):
    """What the parity gate wants to know beside the arrays that were written."""

    step_s: float
    facts: dict[str, dict[str, str]]  # stage -> layer -> fact


class FrozenPass(Value):
    """The frozen part over images in memory; images/s of the fastest of several calls each."""

    config: ExecutionConfig  # that the tuned lane finds
    tried: tuple[Tried, ...]
    tuned: float  # images/s in that config
    bare: float  # images/s in bfloat16, 64 at once, with the head behind it
    gflop: float  # of an image
    peak: float  # the machine's best GFLOP/s in the precision of the config
    moved_mb: float  # of an image
    copied_gb_s: float  # of copying as much as a micro batch moves in a layer


MODELS = Question("models", list[str])
ENVIRONMENT = Question("environment", dict[str, str])
PREPROCESSING = Question("preprocessing", Preprocessing)
EXPORT = Question("export", str)
TRACE = Question("trace", Trace)
PEAKS = Question("peaks", Peaks)
TRY_OUT = Question("try_out", TryOut)
RECEIPT_SECONDS = Question("receipt_seconds", float)
STEP_SECONDS = Question("step_seconds", dict[str, float])
TRACING_SECONDS = Question("tracing_seconds", dict[str, float])
FROZEN_PASS = Question("frozen_pass", FrozenPass)
PASSES = Question("passes", int)

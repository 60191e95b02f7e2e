"""Every value that was measured: events and files of trials as records, rows and results; frozen, units in the names."""

from dataclasses import dataclass
from typing import Any

from pydantic import Field, field_serializer, field_validator

from common.core.audit import PlanAudit, SplitSizes
from common.core.dataset import Reading
from common.core.formatting import config_text
from common.core.scores import References, TrialScores
from common.core.specs import SCHEMA_VERSION, ExecutionConfig, ModelSpec, Part, Payload, Status, Train, TrialSpec, Value

# Cores that others kept busy, over the trial's own threads: with nothing beside them trials on two cores saw .1 at most.
# Beside one process that computes, at .98, torch took 20 s an epoch instead of .8, TensorFlow 1.0 instead of .7.
CONTENDED = 0.1


class EpochRecord(Value):
    """What the harness measured in one epoch."""

    epoch: int  # from 1
    train_s: float
    first_step_s: float
    wait_s: float  # the training step waiting for its data
    images: int
    images_per_s: float
    train_loss: float
    validation_s: float
    validation_loss: float
    improved: bool
    parts: dict[str, float] = {}  # seconds of the training steps but the first, by what they did; empty: not told apart
    load_average: float  # 1 minute, all processes of the machine
    others: float | None = None  # cores that other processes kept busy while it trained; None: not known
    writing_s: float = 0.0  # receipts, and the checkpoint of the epoch before


class Contention(Value):
    """An episode in which other processes kept cores busy while the trial ran, as its parent saw it."""

    began_s: float  # since the trial's process was started
    ended_s: float  # when they were seen to be busy last
    cores: float  # that others kept busy, mean of the episode
    epochs: tuple[int, ...] = ()  # that trained or validated meanwhile


QUIET_LOOK_S = 1.0
QUIET_LOOKS = 3  # in a row, before the machine counts as quiet


class QuietWait(Value):
    """What came of holding the trial until other processes leave the machine alone (--wait-for-quiet)."""

    waited_s: float
    limit_s: float
    quiet: bool
    cores: float | None = None  # that others kept busy at the end; None: it cannot be known, and nothing was waited for


class Tried(Payload):
    """An execution config that the search measured, skipped, or saw fail."""

    part: Part
    config: ExecutionConfig = Field(alias="way")
    images_per_s: float | None = None
    build_s: float | None = None  # until the first images were done
    skipped: str = ""  # why
    failed: str = ""  # the error

    def __str__(self) -> str:
        rate = f"{self.images_per_s:.1f} images/s" if self.images_per_s is not None else ""
        return f"{config_text(self.config)}: {rate or self.skipped or f'failed, {self.failed}'}"


class EqualityGate(Payload):
    """Both lanes' logits compared, with the weights that the tuned trial ended with (common/trial/equality_gate.py)."""

    images: int
    error: float | None  # norm of the difference over the norm of the spread; None: it could not be computed
    allowed: float
    passed: bool
    failed: str = ""  # why it could not be computed; "": it was, or the log is older than this key
    seconds: float = 0.0  # 0: the log is older than this key


class Tuning(Payload):
    """What the tuned lane tried, chose, kept and found at its gate; false in the default lane."""

    skip_reason: str = Field("", alias="why not")  # why the frozen part is not run once per image; "": it is
    frozen: ExecutionConfig = {}  # chosen for the part; empty: nothing to choose
    trained: ExecutionConfig = {}
    forecast_frozen_s: float = 0.0  # for all images, from the rate that the search measured; 0: not searched
    forecast_trained_s: float = 0.0
    store: str = ""  # folder of the features, seen from the run's; empty: none are kept
    shape: tuple[int, ...] = ()  # of one image's features
    dtype: str = ""
    images: int = 0  # whose features the trial uses
    filled: int = 0  # of them computed by this trial; the others were found
    fill_s: float = 0.0
    tuning_s: float = 0.0  # everything before training but `fill_s`
    facts: dict[str, str] = {}  # that differ from the default lane's
    tried: tuple[Tried, ...] = ()
    gate: tuple[EqualityGate, ...] = ()

    def config(self, part: Part) -> ExecutionConfig:
        return self.frozen if part == "frozen" else self.trained

    def precision(self, part: Part) -> str:
        return str(self.config(part).get("precision", "float32"))


Peaks = dict[str, dict[str, float]]  # GFLOP/s by precision and product


class UpperBounds(Payload):
    """What loading alone, computing alone and the machine could reach (`--ceilings`); false where that was not asked for."""

    skip_reason: str = Field("", alias="why not")  # why they were not measured
    loader_cold: float = Field(0.0, alias="loader cold")  # images/s
    loader_warm: float = Field(0.0, alias="loader warm")
    compute: float = 0.0  # images/s of training from one batch in memory
    peaks: Peaks = Field({}, alias="peak gflops")
    peaks_of_others: dict[str, Peaks] = Field({}, alias="peak gflops of others")  # by framework; {}: not installed
    seconds: float = 0.0  # that measuring took, after the trial


class ParentRecord(Value):
    """What the parent saw of a trial, however it ended: parent.json."""

    status: Status
    reason: str = ""
    spec: str = ""  # TrialSpec.identity(); "": never to be resumed
    log_tail: str = ""  # of a trial that did not end well
    wall_s: float = 0.0  # this and the next over all times that the trial was resumed
    peak_memory_bytes: int = 0
    memory_method: str = ""
    resumed_after: tuple[int, ...] = ()
    receipts: tuple[str, ...] = ()
    receipt_fault: str | None = None
    node: str = ""
    machines: tuple[dict[str, str], ...] = ()
    contention: tuple[Contention, ...] = ()
    quiet_wait: QuietWait | None = None


NOT_AS_THE_RECIPE_SAYS = "not as the recipe says"  # a key of `facts`: how the adapter departs from the recipe


class TrialRecord(Value):
    """A finished or failed trial, read back from its folder."""

    spec: TrialSpec
    status: Status
    reason: str = ""
    log_tail: str = ""
    repeat_command: str = ""
    facts: dict[str, Any] = {}  # read from live objects by the adapter
    environment: dict[str, str] = {}
    received: dict[str, str] = {}  # the first training batch, as the step received it
    weights_report: dict[str, int] = {}  # how many tensors were loaded, missing and unexpected
    weights_names: dict[str, tuple[str, ...]] = {}  # the missing and the unexpected ones
    start_s: float = 0.0  # process start to first epoch: import, build, load
    epochs: tuple[EpochRecord, ...] = ()
    prediction_s: float = 0.0
    test_s: float = 0.0  # of the test table's prediction
    writing_s: float = 0.0  # the last checkpoint, logits, weights
    lived_s: float = 0.0  # process start to its last word
    wall_s: float = 0.0
    peak_memory_bytes: int = 0  # trial process and its workers
    memory_method: str = ""
    node: str = ""  # of a cluster
    contention: tuple[Contention, ...] = ()
    quiet_wait: QuietWait | None = None  # before it was begun or taken up the last time
    machines: tuple[dict[str, str], ...] = ()  # what counts of it, each time that the trial was begun or taken up
    peak_device_bytes: int = 0
    resumed_after: tuple[int, ...] = ()  # epochs after which it was taken up again
    tuning: Tuning = Tuning()
    ceilings: UpperBounds = UpperBounds()
    receipts: tuple[str, ...] = ()  # of each epoch: a hash of what the training steps received, in order
    receipt_fault: str | None = None  # where that is not what the plan says; "": nowhere; None: not looked at


class RunRecord(Value):
    """What a run is about, written before its first trial."""

    schema_version: int = SCHEMA_VERSION
    id: str = ""  # no other run has it; empty in records that are older than it
    name: str
    suite: str
    command: str
    started: str  # common/core/clock.py
    dataset: str
    published: dict[str, dict[str, dict[str, float]]] = {}  # others' rows on this data, by percentile
    class_names: tuple[str, ...]
    class_numbers: tuple[int, ...] = ()  # the table's own number of each class, where its labels are numbers
    reading: Reading | None = None  # how the data was read; None in older runs
    rows: int
    image_side: int
    percentiles: tuple[float, ...]
    labels: str
    splits: dict[str, SplitSizes]  # by seed
    audits: dict[str, PlanAudit]  # by PlanName
    machine: dict[str, str]
    decoded: int = 0  # images, for this run: others were found decoded
    decode_s: float = 0.0  # that, and checking what was found
    trials: tuple[str, ...]  # folder names, in order
    notes: tuple[str, ...] = ()
    folder: str = ""  # from the project's folder: the commands that repeat a trial name it so
    asked_device: str = "auto"
    pixels_hash: str = ""
    images_hash: str = ""  # of what the image files hold; empty: drawn by the harness, or of an older run
    predict_at: float = 90.0
    first_rows: dict[str, tuple[int, ...]] = {}  # a few images' 0/1 rows
    settings: dict[str, Any] = {}  # what the user asked for, to make the same run again
    made_by: dict[str, str] = {}  # hashes of the code, versions of the packages: common/core/fingerprint.py


class Stage(Value):
    """One thing that two frameworks were compared in: the worst of its tensors, in shares of its allowance."""

    name: str
    tensors: int
    worst: str  # the tensor with the largest error
    error: float  # of it: norm of the difference over the larger norm
    allowed: float


GATES = "parity.json"  # those of a run, in its folder


class Gate(Value):
    """Whether two frameworks do the same arithmetic for one model: the parity gate's findings."""

    model: ModelSpec
    train: Train  # the part that trained in the whole steps
    weighted: bool = False  # positives weighed in the loss
    reference: str  # framework
    other: str
    passed: bool
    stages: tuple[Stage, ...] = ()
    failure: str = ""  # the first diverging tensor, its error, and both sides' facts about it
    step_s: dict[str, float] = {}  # by framework: one float32 training step of everything
    side: int = 0
    images: int = 0


class Paired(Value):
    """Two lines' F1 on the same validation images, all their repeats together."""

    a: tuple[str, ...]  # trials, by seed
    b: tuple[str, ...]
    lanes: bool = False  # of both lanes of one framework; else of two frameworks
    percentile: str
    difference: float  # a's mean less b's
    p: float  # of the paired test over images (common/analysis/stats.py), each image's differences summed over the seeds

    def turned(self) -> "Paired":
        """The same test of b against a."""
        return self.model_copy(update={"a": self.b, "b": self.a, "difference": -self.difference})


class Row(Value):
    """A trial's record with its scores: one line of a table."""

    record: TrialRecord
    scores: TrialScores | None  # None, in JSON {}: the trial did not finish

    @field_validator("scores", mode="before")
    @classmethod
    def _read(cls, scores: Any) -> Any:
        return scores or None

    @field_serializer("scores")
    def _written(self, scores: TrialScores | None) -> dict[str, Any]:
        return scores.model_dump() if scores else {}


class Results(Value):
    """Everything the tables and figures are made of."""

    schema_version: int = SCHEMA_VERSION
    run: RunRecord
    rows: tuple[Row, ...]
    gates: tuple[Gate, ...] = ()
    paired: tuple[Paired, ...] = ()  # of one model and feed on two frameworks, or in both lanes
    references: dict[str, References]  # by seed
    sample_rows: tuple[str, ...] = ()  # id and labels of each image in samples.npz; empty where that file was left out


@dataclass(frozen=True)
class Seen:
    """An episode that has just begun, for the display."""

    cores: float  # that others keep busy, mean since it began
    threads: int  # the trial's own
    began: float  # seconds since 1970
    process: str  # which of them uses most, in words; "" where it cannot be seen
    epoch: int  # that trains now; 0: none


@dataclass(frozen=True)
class Waiting:
    """What the display shows meanwhile."""

    cores: float  # that others use now
    process: str  # which of them uses most, in words; "" where it cannot be seen
    waited_s: float
    left_s: float

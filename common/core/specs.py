"""Every value that is asked for and given: frozen, typed, units in the names. What was found: common/core/results.py."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

if TYPE_CHECKING:
    import numpy as np  # `--help` reads the settings, and with them this file: it must not wait for NumPy

SCHEMA_VERSION = 1

Train = Literal["head", "last-block", "all"]
Balance = Literal["none", "oversample", "undersample", "weighted"]
Split = Literal["random", "iterative", "given"]  # given: by the data set's author
Unknown = Literal["fail", "absent", "drop"]
Augment = Literal["none", "train", "everywhere"]
Schedule = Literal["constant", "plateau"]
FrozenNorm = Literal["inference", "drift"]
Formulas = Literal["library", "matched"]
Precision = Literal["float32", "float64"]
Lane = Literal["default", "tuned"]  # how fast a framework is driven, the mathematics being the same
FeatureType = Literal["float16", "float32"]  # what features are kept in
ExecutionConfig = dict[str, str | int]  # how a part of a model executes: setting -> value
SearchSpace = dict[str, tuple[str | int, ...]]  # the values of each setting; the search begins with the first of each
Part = Literal["frozen", "trained"]  # of a model, each with an execution config of its own
Device = Literal["cpu", "cuda"]
Status = Literal["ok", "failed", "killed", "timeout", "stalled", "interrupted", "missing"]


class Value(BaseModel):
    """A frozen JSON value; an unknown field is an error, so an old file cannot be misread."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)  # built when first used: --help needs none

    @classmethod
    def from_trial_file(cls, values: Any) -> Self:
        """The value that a trial or its parent logged. Keys of other versions are ignored, in nested values too."""
        return cls.model_validate(values, extra="ignore")


class Payload(Value):
    """A value whose JSON holds only the keys that were given, under the names of schema version 1. False where none was."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    @model_serializer(mode="wrap")
    def _given(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        given = {type(self).model_fields[name].alias or name for name in self.model_fields_set}
        return {name: value for name, value in dump(self).items() if name in given}

    def __bool__(self) -> bool:
        return bool(self.model_fields_set)


@dataclass(frozen=True)
class Plan:
    """Which rows train and validate, and in which order: data, not a seed."""

    train_rows: "np.ndarray"  # int32 [n_train], sorted
    validation_rows: "np.ndarray"  # int32 [n_validation], sorted
    visits: "np.ndarray"  # int32 [n_visits]: rows of the train split after balancing, with repetition
    orders: "np.ndarray"  # int32 [epochs, n_visits]: row to visit at each position of each epoch
    test_rows: "np.ndarray"  # int32 [n_test], numbered on from the labelled rows
    # Numbers from 0 to 1 for the crop and flip of each visit (common/data/decode.py); empty without augmentation.
    crops: "np.ndarray"  # float32 [epochs, n_visits, 23]
    validation_crops: "np.ndarray"  # float32 [epochs + 1, n_validation, 23]; the last for the prediction
    test_crops: "np.ndarray"  # float32 [n_test, 23]


class Preprocessing(Value):
    """(x[channels] - mean) / std on 0..255 values. It belongs to the weights (docs/fairness.md)."""

    channels: Literal["rgb", "bgr"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class ModelSpec(Value):
    """An architecture by its library's name, and its variant where the library has several."""

    name: str
    variant: str = ""

    def __str__(self) -> str:
        return f"{self.name}:{self.variant}" if self.variant else self.name


class PlanSpec(Value):
    """What a plan is drawn from, beside the labels."""

    seed: int
    split: Split = "random"
    balance: Balance = "none"
    shuffle: bool = True
    augment: Augment = "none"


class BuildSpec(Value):
    """What an adapter builds: a network with its trained part, loss and optimiser."""

    model: ModelSpec
    classes: int
    side: int  # pixels
    preprocessing: Preprocessing
    train: Train
    learning_rate: float
    schedule: Schedule = "constant"
    frozen_norm: FrozenNorm = "inference"
    positive_weights: tuple[float, ...] = ()  # of each class in the loss; empty: 1
    # library: batch norm, Adam, padding and dropout as each library has them; matched: one form of each, torch's, and
    # no dropout (docs/fairness.md)
    formulas: Formulas = "library"
    precision: Precision = "float32"  # of everything; float64: for the parity gate
    optimiser: Literal["adam", "sgd"] = "adam"  # sgd, without momentum: for the parity gate


class WeightsSpec(Value):
    """Initial weights: a safetensors file under canonical names, or none (random)."""

    source: str  # packaged, imagenet, random, or the file's name
    path: str = ""  # from the run folder; empty: random, by the library's own initialisation, or drawn
    sha256: str = ""
    preprocessing: Preprocessing | None = None  # None: not resolved yet
    note: str = ""  # why it is not what was asked for, or what was assumed
    head: bool = False  # the file's own head is taken, not a new one
    assumed: bool = False  # the file names neither, so variant or preprocessing are the model's usual ones

    @property
    def random(self) -> bool:
        return not self.path


class Recipe(Value):
    """What is trained and how."""

    name: str = "default"
    train: Train  # what was asked for; with random weights everything trains
    learning_rate: float
    batch_size: int
    epochs: int
    schedule: Schedule = "constant"  # plateau: a tenth of it once the validation loss has not fallen for 2 epochs
    frozen_norm: FrozenNorm = "inference"  # drift: batch statistics, and moving running ones, in frozen layers too
    formulas: Formulas = "library"
    keep_frozen: bool = False  # the frozen part stays frozen with random weights too


class FeedSpec(Value):
    """Where the child finds its batches. Paths are seen from the run folder."""

    plan: str  # plan .npz
    plan_hash: str
    balance: Balance
    labels: str  # .npz: ids, labels of all rows
    labels_hash: str = ""
    pixels: str  # folder of the uint8 store; empty: everything is decoded from the files
    pixels_hash: str = ""
    files: str = ""  # .npz with the paths of all rows, where anything is decoded while it trains
    augment: Augment = "none"
    split: Split = "random"
    shuffle: bool = True
    image_side: int
    workers: int
    classes: int
    train_images: int  # visits per epoch
    validation_images: int
    test_images: int = 0


class Job(Value):
    """What a suite lists: a trial before data, weights and seed are known."""

    framework: str
    model: ModelSpec
    train: Train
    balance: Balance = "none"
    keep_frozen: bool = False  # with random weights too, where otherwise everything trains


@dataclass(frozen=True)
class JobKey:
    """What a job is: equal for all trials that repeat it with another seed. `dataclasses.replace` gives a related job's
    key, such as that of the same job in the default lane."""

    framework: str
    model: ModelSpec
    weights: str  # their source
    train: Train  # what was asked for
    trained_part: Train  # what trains in fact
    recipe: str  # its name
    balance: Balance
    lane: Lane
    devices: int

    @property
    def work(self) -> tuple[ModelSpec, Train, Balance]:
        """What frameworks must have in common to be compared."""
        return self.model, self.trained_part, self.balance


class ProcessSpec(Value):
    """How the child's process is set up, the same for every trial of a run."""

    device: Device
    deterministic: bool
    threads: int
    devices: int = 1  # over which each batch is spread
    timeout_s: float  # 0: none
    stall_s: float = 0.0  # a trial without an event for so long is ended; 0: never
    wait_for_quiet_s: float = 0.0  # hold the trial for so long until other processes are idle; 0: begin at once


def trained_part(recipe: Recipe, weights: WeightsSpec) -> Train:
    """What trains in fact: random weights leave nothing to freeze, unless the job keeps it so."""
    return "all" if weights.random and not recipe.keep_frozen else recipe.train


class TrialSpec(Value):
    """One framework, model, recipe, feed and seed: a process of its own."""

    schema_version: int = SCHEMA_VERSION
    name: str
    framework: str
    model: ModelSpec
    weights: WeightsSpec
    recipe: Recipe
    feed: FeedSpec
    process: ProcessSpec
    lane: Lane = "default"
    features: FeatureType = "float16"  # the tuned lane's
    ceilings: bool = False  # measured after training
    peaks_of: tuple[str, ...] = ()  # frameworks beside its own that then measure the machine's peak too
    seed: int
    repeat: int

    @property
    def trained_part(self) -> Train:
        return trained_part(self.recipe, self.weights)

    def job(self) -> Job:
        """The entry of a suite that the trial was made from."""
        return Job(framework=self.framework, model=self.model, train=self.recipe.train, balance=self.feed.balance,
                   keep_frozen=self.recipe.keep_frozen)  # fmt: skip

    def job_key(self) -> JobKey:
        """The identity of the job that the trial repeats."""
        return JobKey(
            framework=self.framework, model=self.model, weights=self.weights.source, train=self.recipe.train,
            trained_part=self.trained_part, recipe=self.recipe.name, balance=self.feed.balance, lane=self.lane,
            devices=self.process.devices,
        )  # fmt: skip

    @property
    def nothing_kept(self) -> str:
        """Why the frozen part's output cannot be kept from one epoch to the next; "" where it can, for all that the spec tells."""
        if self.trained_part == "all":
            return "nothing is frozen, so nothing can be kept"
        if self.feed.augment != "none":
            return "the pixels are augmented, so no image comes twice"
        if self.recipe.frozen_norm == "drift":
            return "frozen batch norm drifts, so the frozen part changes with every step"
        return ""

    def identity(self) -> str:
        """Equal where two trials are to do the same: everything but where their files lie and how long they may take."""
        places: dict[str, set[str] | bool] = {
            "feed": {"pixels"},
            "weights": {"path"},
            "process": {"timeout_s", "stall_s", "wait_for_quiet_s"},
            "name": True,
            "repeat": True,
        }
        return hashlib.sha256(self.model_dump_json(exclude=places).encode()).hexdigest()[:16]

"""The settings of a run, each declared once: type, default, limit and flag. common/cli/options.py makes the parser of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field

from common.core.specs import (
    Augment,
    Balance,
    FeatureType,
    Formulas,
    FrozenNorm,
    Lane,
    Schedule,
    Split,
    Train,
    Unknown,
    Value,
)

LEARNING_RATE, HEAD_LEARNING_RATE = 1e-3, 3e-3  # of the default recipe; the second where only the head trains
WAIT_FOR_QUIET_S, LEAST_QUIET_S = 600.0, 5.0  # a shorter limit is over before a quiet machine has been seen

Percentiles = Annotated[tuple[float, ...], AfterValidator(lambda values: tuple(sorted(set(values))))]


class Limit(NamedTuple):
    """Which numbers a flag accepts."""

    fits: Callable[[float], bool]
    text: str  # what they are, for the error message


POSITIVE = Limit(lambda n: n >= 1, "1 or more")
SEVERAL = Limit(lambda n: n >= 2, "2 or more")
NOT_NEGATIVE = Limit(lambda n: n >= 0, "0 or more")
POSITIVE_NUMBER = Limit(lambda x: 0 < x < float("inf"), "above 0")
PERCENTILE = Limit(lambda x: 0 <= x < 100, "a percentile from 0 to below 100")
SEED = Limit(lambda n: 0 <= n < 2**31, "from 0 to below 2**31, as the libraries' generators want it")
QUIET_SECONDS = Limit(lambda x: LEAST_QUIET_S <= x < float("inf"), f"{LEAST_QUIET_S:g} seconds or more")

# The groups of flags in --help, in this order.
WHAT, HOW, DATA = "what runs", "how it trains", "data"
READING = "how the data is read (default: decided from the data, and printed)"
VISITS, MACHINE = "what an epoch visits", "machine"
GROUPS = (WHAT, HOW, DATA, READING, VISITS, MACHINE)


@dataclass(frozen=True)
class Flag:
    """The flag of a setting."""

    group: str  # of GROUPS
    help: str  # {default} stands for the declared default
    metavar: str | None = None
    name: str = ""  # empty: that of the setting
    limit: Limit | None = None  # of a number, or of each where there are several
    bare: float | None = None  # the value where the flag is given without one; None: it needs one


def setting(default: Any, group: str, help: str, metavar: str | None = None, **more: Any) -> Any:
    """A field with a default and a flag; more: further fields of Flag. Recipes and suites alone set what has no flag."""
    field = Field(default)
    field.metadata.append(Flag(group, help, metavar, **more))
    return field


class ReadOptions(Value):
    """How the user wants a data set to be read. Empty: the reader decides from the data and states it in the Reading."""

    split: Split = setting(
        "random",
        DATA,
        "80/20; iterative: every label spread over both parts; given: as the data's author split it "
        "(default: {default})",
    )
    images: str = setting("", READING, "the folder that holds the images, from here or from the data", "FOLDER")
    image_column: str = setting("", READING, "the column that names the images", "NAME")
    # Several: 0/1 columns. One: whatever form its cells have.
    label_columns: tuple[str, ...] = setting(
        (), READING, "one column of labels, or a 0/1 column for each class", "NAME"
    )
    label_separator: tuple[str, ...] = setting(
        (), READING, "what separates the labels of a cell: a sign such as ';', several of them, space, or none", "SIGN"
    )
    ignore_columns: tuple[str, ...] = setting((), READING, "columns that are not used", "NAME")
    group_column: str = setting("", READING, "e.g. a patient: all images of a group on one side of the split", "NAME")
    split_column: str = setting("", READING, "the column of the author's split, for --split given", "NAME")
    unknown: Unknown = setting(
        "fail",
        READING,
        "-1, blank or NaN as a label: refuse, count as absent, or leave those images out (default: {default})",
    )
    delimiter: str = setting("", READING, "between the cells of a table; tab for a tab", "SIGN")
    encoding: str = setting("", READING, "of the table, e.g. latin-1 (default: by its mark, else utf-8)", "NAME")


NO_OPTIONS = ReadOptions()


class Settings(ReadOptions):
    """What the user wants to run. None, "" or (): chosen by the suite, the frameworks, the data or the machine."""

    suite: str = setting("", WHAT, "a named list of trials (see list), e.g. paper")
    frameworks: tuple[str, ...] = setting((), WHAT, "see list (default: all real ones)", "NAME")
    models: tuple[str, ...] = setting(
        (), WHAT, "on every framework that has it (default: each framework's own; see list)", "NAME[:VARIANT]"
    )
    repeats: int = setting(1, WHAT, "times, each with the next seed (default: {default})", limit=POSITIVE)

    recipe: str = setting("default", HOW, "a set of the values below (see list; default: {default})", "NAME")
    epochs: int = setting(2, HOW, "passes over the training split (default: {default})", limit=POSITIVE)
    batch_size: int = setting(32, HOW, "images a step; never changed by itself (default: {default})", limit=POSITIVE)
    learning_rate: float | None = setting(
        None, HOW, f"default: {HEAD_LEARNING_RATE:g} for a head alone, else {LEARNING_RATE:g}", limit=POSITIVE_NUMBER
    )
    train: Train = setting("head", HOW, "the part that trains (default: {default})")
    keep_frozen: bool = setting(
        False, HOW, "the frozen part stays frozen with random weights too: for its speed, not for its scores"
    )
    lanes: tuple[Lane, ...] = setting(
        ("default",),
        HOW,
        "how fast each framework is driven: default, tuned (the same mathematics as fast as it can), or both",
        "LANE",
        name="lane",
    )
    ceilings: bool = setting(
        False,
        HOW,
        "after each trial: what loading alone, computing alone and the machine could reach, and what bounds it",
    )
    features: FeatureType = setting("float16", HOW, "what the tuned lane keeps features in (default: {default})")
    weights: tuple[str, ...] = setting(
        ("auto",),
        HOW,
        "auto, imagenet, random or a .safetensors, .pth or .weights.h5 file; MODEL=CHOICE for one model "
        "(default: {default})",
        "CHOICE",
    )
    init_from: str = setting("", HOW, "start from the weights that a finished run trained, head and all", "RUN")
    schedule: Schedule = "constant"
    frozen_norm: FrozenNorm = "inference"
    formulas: Formulas = "library"

    data: str = setting("demo", DATA, "a folder, a table, or demo (default: {default}, drawn on first use)", "PATH")
    format: str = setting("", DATA, "of the data (default: the one that recognises it; see list)", "NAME")
    limit: int | None = setting(None, DATA, "the first N images only (of a test table too)", "N", limit=POSITIVE)
    seed: int = setting(0, DATA, "of the split, the order and the head (default: {default})", limit=SEED)
    percentiles: Percentiles = setting((80.0, 85.0, 90.0, 95.0), DATA, "default: {default}", "P", limit=PERCENTILE)
    on_bad_image: Literal["fail", "skip"] = setting(
        "fail", DATA, "refuse to start, or train without them (default: {default})"
    )

    image_size: int | None = setting(
        None, VISITS, "side of the square images (default: 224; of the demo 64)", "PIXELS", limit=POSITIVE
    )
    balance: Balance = setting(
        "none", VISITS, "of the training split; weighted: a weight on positives in the loss (default: {default})"
    )
    augment: Augment = setting(
        "none", VISITS, "random crops and flips, drawn once for all frameworks (default: {default})"
    )
    pixels: Literal["store", "decode"] = setting(
        "store",
        VISITS,
        "decoded once into a store, or in every epoch by the frameworks' loader workers (default: {default})",
    )
    predict_at: float = setting(
        90.0,
        VISITS,
        "percentile of predictions.csv, where there is a test table (default: {default})",
        "P",
        limit=PERCENTILE,
    )
    shuffle: bool = True

    device: Literal["auto", "cpu", "cuda"] = setting("auto", MACHINE, "one for all trials (default: {default})")
    deterministic: bool = setting(False, MACHINE, "the frameworks' deterministic kernels")
    workers: int | None = setting(
        None, MACHINE, "loader workers (default: 0; where they decode, 1 for every 4 cores)", "N", limit=NOT_NEGATIVE
    )
    devices: tuple[int, ...] = setting(
        (1,),
        MACHINE,
        "spread each batch over N devices (of the CPU: N parts that share its threads); several: a trial for each "
        "(default: {default})",
        "N",
        limit=POSITIVE,
    )
    threads: int | None = setting(None, MACHINE, "of each trial (default: this machine's cores)", "N", limit=POSITIVE)
    launcher: str = setting("local", MACHINE, "where trials run: local, or a cluster's (see list)", "NAME")
    address: str = setting("auto", MACHINE, "of the cluster (default: {default}, the one that this machine is part of)")
    timeout_s: float = setting(
        0.0, MACHINE, "end a trial after this", "SECONDS", name="timeout", limit=POSITIVE_NUMBER
    )  # no limit
    stall_s: float = setting(
        900.0,
        MACHINE,
        "end a trial that says nothing for so long (default: {default})",
        "SECONDS",
        name="stall",
        limit=POSITIVE_NUMBER,
    )
    wait_for_quiet_s: float = setting(
        0.0,
        MACHINE,
        "hold each trial until other processes leave the machine idle, for SECONDS at most "
        f"(default where no number is given: {WAIT_FOR_QUIET_S:g})",
        "SECONDS",
        name="wait-for-quiet",
        limit=QUIET_SECONDS,
        bare=WAIT_FOR_QUIET_S,
    )  # a trial begins at once
    results_dir: str = setting("results", MACHINE, "where run folders go (default: {default})", "DIR")
    track: str = setting("", MACHINE, "send the records elsewhere too, e.g. mlflow (see list)", "NAME")
    name: str = setting("", MACHINE, "of the run folder (default: date, time and what ran)")
    command: str = ""  # the command line that starts the same run again

    @property
    def seeds(self) -> range:
        """One for each repeat."""
        return range(self.seed, self.seed + self.repeats)

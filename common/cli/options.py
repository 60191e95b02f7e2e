"""The flags of a run: their names, limits and help."""

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from common.cli.parser import Parser

EXAMPLES = """\
examples:
  run_bench.py --frameworks torch tf --epochs 2        the main job, on the embedded data set
  run_bench.py --suite smoke                           one small model on each framework
  run_bench.py --data ../comp5329 --models efficientnet_lite0 --repeats 3
  run_bench.py --frameworks torch --models resnet50:v1 --weights w.safetensors --train last-block
  run_bench.py --recipe authors --frameworks torch --models resnet50
  run_bench.py --resume results/RUN                    go on where a run stopped
  run_bench.py data --data ../comp5329                 look at a data set without training
  run_bench.py --data ../xrays --label-columns Mass Edema --group-column patient --unknown absent
  run_bench.py parity resnet50:v1.5                    prove that both frameworks do the same arithmetic
  run_bench.py --suite matched --repeats 5             every architecture on both, the same work
  run_bench.py --models efficientnet_lite0 --lane default tuned   how much faster, for the same scores
  run_bench.py compare results/RUN                     who is faster, and what of it is the framework's
  run_bench.py check results/RUN --baseline results/baselines/smoke.json

exit codes: 0 all trials finished, 1 a trial failed, 2 bad input, 130 Ctrl-C
"""


def bounded(kind: type, fits: Callable[[Any], bool], words: str) -> Callable[[str], Any]:
    """An argument's type: a number of that kind, refused in these words where it does not fit."""

    def parse(text: str) -> Any:
        value = kind(text)
        if not fits(value):
            raise argparse.ArgumentTypeError(f"{text} is not {words}")
        return value

    parse.__name__ = kind.__name__  # argparse names it where the text is no number at all
    return parse


positive = bounded(int, lambda n: n >= 1, "1 or more")
several = bounded(int, lambda n: n >= 2, "2 or more")
not_negative = bounded(int, lambda n: n >= 0, "0 or more")
positive_number = bounded(float, lambda x: 0 < x < float("inf"), "above 0")
WAIT_FOR_QUIET_S, LEAST_QUIET_S = 600.0, 5.0  # a shorter limit is over before a quiet machine has been seen
quiet_seconds = bounded(float, lambda x: LEAST_QUIET_S <= x < float("inf"), f"{LEAST_QUIET_S:g} seconds or more")
percentile = bounded(float, lambda x: 0 <= x < 100, "a percentile from 0 to below 100")
seed = bounded(int, lambda n: 0 <= n < 2**31, "from 0 to below 2**31, as the libraries' generators want it")


def data_flags(parser: Parser) -> None:
    """Which data, and how it is split: a run's and the `data` verb's."""
    data = parser.add_argument_group("data")
    data.add_argument("--data", metavar="PATH", help="a folder, a table, or demo (default: demo, drawn on first use)")
    data.add_argument("--format", metavar="NAME", help="of the data (default: the one that recognises it; see list)")
    data.add_argument("--limit", type=positive, metavar="N", help="the first N images only (of a test table too)")
    data.add_argument(
        "--split", choices=("random", "iterative", "given"),
        help="80/20; iterative: every label spread over both parts; given: as the data's author split it (default: random)",
    )  # fmt: skip
    data.add_argument("--seed", type=seed, help="of the split, the order and the head (default: 0)")
    data.add_argument("--percentiles", nargs="+", type=percentile, metavar="P", help="default: 80 85 90 95")
    data.add_argument(
        "--on-bad-image", choices=("fail", "skip"), help="refuse to start, or train without them (default: fail)"
    )
    reading_flags(parser)


def reading_flags(parser: Parser) -> None:
    """How the data is read, where the reader's own choice is not meant; a run prints what it read."""
    table = parser.add_argument_group("how the data is read (default: decided from the data, and printed)")
    table.add_argument(
        "--images", metavar="FOLDER", help="the folder that holds the images, from here or from the data"
    )
    table.add_argument("--image-column", metavar="NAME", help="the column that names the images")
    table.add_argument(
        "--label-columns", nargs="+", metavar="NAME", help="one column of labels, or a 0/1 column for each class"
    )
    table.add_argument(
        "--label-separator", nargs="+", metavar="SIGN",
        help="what separates the labels of a cell: a sign such as ';', several of them, space, or none",
    )  # fmt: skip
    table.add_argument("--ignore-columns", nargs="+", metavar="NAME", help="columns that are not used")
    table.add_argument(
        "--group-column", metavar="NAME", help="e.g. a patient: all images of a group on one side of the split"
    )
    table.add_argument("--split-column", metavar="NAME", help="the column of the author's split, for --split given")
    table.add_argument(
        "--unknown", choices=("fail", "absent", "drop"),
        help="-1, blank or NaN as a label: refuse, count as absent, or leave those images out (default: fail)",
    )  # fmt: skip
    table.add_argument("--delimiter", metavar="SIGN", help="between the cells of a table; tab for a tab")
    table.add_argument(
        "--encoding", metavar="NAME", help="of the table, e.g. latin-1 (default: by its mark, else utf-8)"
    )


def trials_parser(verbs: Mapping[str, str]) -> Parser:
    """verbs: what else the command line can do, for the help: name -> what it does."""
    others = "\n".join(f"  {name:14} {about}" for name, about in verbs.items())
    parser = Parser(
        prog="run_bench.py", epilog=f"verbs (run_bench.py VERB --help):\n{others}\n\n{EXAMPLES}",
        description="Compare deep-learning frameworks on multi-label image classification: the same split, order and "
        "pixels for each. Without a verb, trials run.",
    )  # fmt: skip
    what = parser.add_argument_group("what runs")
    what.add_argument("--suite", help="a named list of trials (see list), e.g. paper")
    what.add_argument("--frameworks", nargs="+", metavar="NAME", help="see list (default: all real ones)")
    what.add_argument(
        "--models", nargs="+", metavar="NAME[:VARIANT]",
        help="on every framework that has it (default: each framework's own; see list)",
    )  # fmt: skip
    what.add_argument("--repeats", type=positive, help="times, each with the next seed (default: 1)")
    what.add_argument(
        "--resume", metavar="RUN", help="go on with a run: finished trials stand, others go on after their last epoch"
    )
    how = parser.add_argument_group("how it trains")
    how.add_argument("--recipe", metavar="NAME", help="a set of the values below (see list; default: default)")
    how.add_argument("--epochs", type=positive, help="passes over the training split (default: 2)")
    how.add_argument("--batch-size", type=positive, help="images a step; never changed by itself (default: 32)")
    how.add_argument("--learning-rate", type=positive_number, help="default: 3e-3 for a head alone, else 1e-3")
    how.add_argument("--train", choices=("head", "last-block", "all"), help="the part that trains (default: head)")
    how.add_argument(
        "--keep-frozen", action="store_true", default=None,
        help="the frozen part stays frozen with random weights too: for its speed, not for its scores",
    )  # fmt: skip
    how.add_argument(
        "--lane", nargs="+", choices=("default", "tuned"), dest="lanes", metavar="LANE",
        help="how fast each framework is driven: default, tuned (the same mathematics as fast as it can), or both",
    )  # fmt: skip
    how.add_argument(
        "--ceilings", action="store_true", default=None,
        help="after each trial: what loading alone, computing alone and the machine could reach, and what bounds it",
    )  # fmt: skip
    how.add_argument(
        "--features", choices=("float16", "float32"), help="what the tuned lane keeps features in (default: float16)"
    )
    how.add_argument(
        "--weights", nargs="+", metavar="CHOICE",
        help="auto, imagenet, random or a .safetensors, .pth or .weights.h5 file; MODEL=CHOICE for one model "
        "(default: auto)",
    )  # fmt: skip
    how.add_argument(
        "--init-from", metavar="RUN", help="start from the weights that a finished run trained, head and all"
    )
    data_flags(parser)
    feed = parser.add_argument_group("what an epoch visits")
    feed.add_argument(
        "--image-size", type=positive, metavar="PIXELS", help="side of the square images (default: 224; of the demo 64)"
    )
    feed.add_argument(
        "--balance", choices=("none", "oversample", "undersample", "weighted"),
        help="of the training split; weighted: a weight on positives in the loss (default: none)",
    )  # fmt: skip
    feed.add_argument(
        "--augment", choices=("none", "train", "everywhere"),
        help="random crops and flips, drawn once for all frameworks (default: none)",
    )  # fmt: skip
    feed.add_argument(
        "--pixels", choices=("store", "decode"),
        help="decoded once into a store, or in every epoch by the frameworks' loader workers (default: store)",
    )  # fmt: skip
    feed.add_argument(
        "--predict-at", type=percentile, metavar="P", help="percentile of predictions.csv, where there is a test table "
        "(default: 90)",
    )  # fmt: skip
    machine = parser.add_argument_group("machine")
    machine.add_argument("--device", choices=("auto", "cpu", "cuda"), help="one for all trials (default: auto)")
    machine.add_argument(
        "--deterministic", action="store_true", default=None, help="the frameworks' deterministic kernels"
    )
    machine.add_argument(
        "--workers",
        type=not_negative,
        metavar="N",
        help="loader workers (default: 0; where they decode, 1 for every 4 cores)",
    )
    machine.add_argument(
        "--devices", nargs="+", type=positive, metavar="N",
        help="spread each batch over N devices (of the CPU: N parts that share its threads); several: a trial for each "
        "(default: 1)",
    )  # fmt: skip
    machine.add_argument("--threads", type=positive, metavar="N", help="of each trial (default: this machine's cores)")
    machine.add_argument("--launcher", metavar="NAME", help="where trials run: local, or a cluster's (see list)")
    machine.add_argument("--address", help="of the cluster (default: auto, the one that this machine is part of)")
    machine.add_argument(
        "--timeout", type=positive_number, metavar="SECONDS", dest="timeout_s", help="end a trial after this"
    )
    machine.add_argument(
        "--stall", type=positive_number, metavar="SECONDS", dest="stall_s",
        help="end a trial that says nothing for so long (default: 900)",
    )  # fmt: skip
    machine.add_argument(
        "--wait-for-quiet", nargs="?", const=WAIT_FOR_QUIET_S, type=quiet_seconds, metavar="SECONDS",
        dest="wait_for_quiet_s",
        help="hold each trial until other processes leave the machine idle, for SECONDS at most "
        f"(default where no number is given: {WAIT_FOR_QUIET_S:g})",
    )  # fmt: skip
    machine.add_argument("--results-dir", metavar="DIR", help="where run folders go (default: results)")
    machine.add_argument("--track", metavar="NAME", help="send the records elsewhere too, e.g. mlflow (see list)")
    machine.add_argument("--name", help="of the run folder (default: date, time and what ran)")
    return parser

#!/usr/bin/env python3
"""The command line: parse, call, print, exit code. Heavy imports wait until the words are understood."""

import argparse
import shlex
import signal
import sys
from pathlib import Path

EXAMPLES = """\
examples:
  run_bench.py --frameworks torch tf --epochs 2        the main job, on the embedded data set
  run_bench.py --suite smoke                           one small model on each framework
  run_bench.py --data ../comp5329 --models efficientnet_lite0 --repeats 3
  run_bench.py --frameworks torch --models resnet50:v1 --weights w.safetensors --train last-block
  run_bench.py list                                    frameworks, models, suites, formats
  run_bench.py report results/RUN                      make a run's tables and figures again
  run_bench.py self overhead                           the harness against a bare loop

exit codes: 0 all trials finished, 1 a trial failed, 2 bad input, 130 Ctrl-C
"""


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not 1 or more")
    return value


def positive_number(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def percentile(text: str) -> float:
    value = float(text)
    if not 0 <= value < 100:
        raise argparse.ArgumentTypeError(f"{text} is not a percentile from 0 to below 100")
    return value


def not_negative(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is below 0")
    return value


def seed(text: str) -> int:
    value = not_negative(text)
    if value >= 2**31:
        raise argparse.ArgumentTypeError(f"{value} is not below 2**31, as the libraries' generators want it")
    return value


def trials_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_bench.py", formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EXAMPLES,
        description="Compare deep-learning frameworks on multi-label image classification: the same split, order and "
        "pixels for each.\nVerbs: list, report, self (run_bench.py VERB --help). Without a verb, trials run:",
    )  # fmt: skip
    what = parser.add_argument_group("what runs")
    what.add_argument("--suite", default="", help="a named list of trials (see list), e.g. paper")
    what.add_argument("--frameworks", nargs="+", default=[], metavar="NAME", help="default: torch tf")
    what.add_argument(
        "--models", nargs="+", default=[], metavar="NAME[:VARIANT]",
        help="on every framework that has it (default: each framework's own; see list)",
    )  # fmt: skip
    what.add_argument("--repeats", type=positive, help="times, each with the next seed (default: 1)")
    how = parser.add_argument_group("how it trains")
    how.add_argument("--epochs", type=positive, help="passes over the training split (default: 2)")
    how.add_argument("--batch-size", type=positive, help="images a step; never changed by itself (default: 32)")
    how.add_argument("--learning-rate", type=positive_number, help="default: 3e-3 for a head alone, else 1e-3")
    how.add_argument("--train", choices=("head", "last-block", "all"), help="the part that trains (default: head)")
    how.add_argument(
        "--weights", nargs="+", metavar="CHOICE",
        help="auto, imagenet, random or a .safetensors file; MODEL=CHOICE for one model (default: auto)",
    )  # fmt: skip
    how.add_argument("--seed", type=seed, help="of the split, the order and the head (default: 0)")
    data = parser.add_argument_group("data")
    data.add_argument("--data", metavar="PATH", help="a folder, or demo (default: demo, drawn on first use)")
    data.add_argument(
        "--image-size", type=positive, metavar="PIXELS", help="side of the square images (default: the data's)"
    )
    data.add_argument("--limit", type=positive, metavar="N", help="the first N images only")
    data.add_argument("--balance", choices=("none", "oversample"), help="of the training split (default: none)")
    data.add_argument("--percentiles", nargs="+", type=percentile, metavar="P", help="default: 80 85 90 95")
    machine = parser.add_argument_group("machine")
    machine.add_argument("--device", choices=("auto", "cpu", "cuda"), help="one for all trials (default: auto)")
    machine.add_argument(
        "--deterministic", action="store_true", default=None, help="the frameworks' deterministic kernels"
    )
    machine.add_argument("--workers", type=not_negative, metavar="N", help="loader workers (default: 0)")
    machine.add_argument(
        "--timeout", type=positive_number, metavar="SECONDS", dest="timeout_s", help="end a trial after this"
    )
    machine.add_argument("--results-dir", metavar="DIR", help="where run folders go (default: results)")
    machine.add_argument("--name", help="of the run folder (default: date, time and what ran)")
    return parser


def run_trials_command(arguments: list[str]) -> int:
    given = {k: v for k, v in vars(trials_parser().parse_args(arguments)).items() if v not in (None, [], "")}

    from rich.console import Console

    from common import loading, prepare, runner
    from common.child import uninterrupted
    from common.errors import InputError
    from common.progress import Display, announce, filling
    from common.types import Settings

    if given.get("suite") and (given.keys() & {"frameworks", "models", "train", "balance"}):
        raise InputError(
            "--suite names its own frameworks, models, trained parts and balance; leave those out, or leave out --suite"
        )
    defaults = loading.suite(given["suite"]).DEFAULTS if "suite" in given else {}
    settings = Settings(**(defaults | given), command=shlex.join(["python", "run_bench.py", *arguments]))
    console = Console()
    try:
        with filling(console) as (say, progress):
            folder, run, specs = prepare.make_run(settings, say, progress)
    except KeyboardInterrupt:
        print("\nrun_bench.py: stopped before the first trial", file=sys.stderr)
        return 130
    announce(console, run, specs)
    stopped = False
    try:
        runner.run_trials(folder, specs, Display(console))
    except KeyboardInterrupt:
        stopped = True

    from common.report.terminal import show_results
    from common.report.write import write_report

    with uninterrupted():
        results = write_report(folder)
        show_results(console, results, folder)
    if stopped:
        return 130
    return 0 if all(row.record.status == "ok" for row in results.rows) else 1


def list_command(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="run_bench.py list", description="Frameworks, models, suites and formats.")
    parser.add_argument("--all", metavar="FRAMEWORK", help="every model of one framework, by asking it (a few seconds)")
    options = parser.parse_args(arguments)

    from rich.console import Console

    from common import loading
    from common.child import ask
    from common.report.table import Table
    from common.report.terminal import show

    console = Console()
    if options.all:
        print("\n".join(ask(loading.framework_card(options.all).NAME, "models")))
        return 0
    cards = sorted(loading.framework_cards().values(), key=lambda c: not c.DEFAULT_MODELS)  # what only tests use: last
    rows = tuple((c.NAME, ", ".join(c.ALIASES), c.ABOUT) for c in cards)
    show(console, Table("Frameworks", ("name", "also", "what"), rows))
    rows = tuple(
        (c.NAME, name + (" *" if name in c.DEFAULT_MODELS else ""), ", ".join(m.variants), m.about)
        for c in cards
        for name, m in c.MODELS.items()
    )
    rows += tuple((c.NAME, c.OTHER_MODELS, "", f"run_bench.py list --all {c.NAME}") for c in cards if c.OTHER_MODELS)
    show(console, Table("Models (* by default)", ("framework", "model", "variants", "what"), rows))
    show(console, Table("Suites", ("name", "what"), tuple((n, s.ABOUT) for n, s in loading.suites().items())))
    show(
        console,
        Table("Formats", ("name", "looks like"), tuple((n, f.LOOKS_LIKE) for n, f in loading.formats().items())),
    )
    return 0


def report_command(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="run_bench.py report", description="Make a run's tables and figures again from its files; nothing runs."
    )
    parser.add_argument("run", type=Path, help="the run's folder, e.g. results/2026-11-23-120000-torch-tf-demo")
    options = parser.parse_args(arguments)

    from rich.console import Console

    from common.report.terminal import show_results
    from common.report.write import write_report

    show_results(Console(), write_report(options.run), options.run)
    return 0


def self_command(arguments: list[str]) -> int:
    from benchmarks import self as measurements

    return measurements.main(arguments)


VERBS = {"list": list_command, "report": report_command, "self": self_command}


ENDING = (signal.SIGINT, signal.SIGTERM)


def end_once(number: int, frame: object) -> None:
    """The first Ctrl-C ends the run; a second would only leave its report unwritten."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    from common.errors import InputError

    # Ctrl-C works in the background too, where shells have it ignored. A polite kill does what Ctrl-C does: the
    # children end and the run stays readable.
    for number in ENDING:
        signal.signal(number, end_once)
    try:
        if arguments and arguments[0] in VERBS:
            return VERBS[arguments[0]](arguments[1:])
        if arguments and not arguments[0].startswith("-"):
            from common.errors import unknown

            raise unknown("verb", arguments[0], VERBS, "without a verb, trials run: see --help")
        return run_trials_command(arguments)
    except (
        InputError,
        OSError,
        UnicodeError,
    ) as error:  # the last two: a folder or file that cannot be read or written
        print(f"run_bench.py: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

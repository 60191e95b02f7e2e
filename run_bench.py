#!/usr/bin/env python3
"""The command line: parse, call, print, exit code. Heavy imports wait until the arguments are understood."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # `python -P` and PYTHONSAFEPATH leave it out

from common.core import encoding, registry
from common.core.errors import InputError, unknown
from common.core.signals import listen, uninterrupted

if TYPE_CHECKING:
    from common.core.results import Results, RunRecord
    from common.core.specs import TrialSpec
    from common.report.terminal import Console


def trials(arguments: list[str]) -> int:
    """Folder -> plan -> trials -> logits -> rows -> tables."""
    given = parse_args(arguments)

    from common.core.locks import lock_scope
    from common.report.terminal import Console

    console = Console()
    with lock_scope():
        folder, run, specs = prepare_run(console, given, arguments)
        stopped = run_trials(console, folder, run, specs, given)
        results = write_report(console, folder, run.settings.get("track", ""))
    if stopped:
        return 130
    return 0 if all(row.record.status == "ok" for row in results.rows) else 1


def parse_args(arguments: list[str]) -> dict[str, Any]:
    """The values of the flags that were given, by setting."""
    from common.cli.options import trials_parser

    parser = trials_parser({name: command.ABOUT for name, command in registry.commands().items()})
    given = parser.parse(arguments).given()
    flags = {action.dest: action.option_strings[-1] for action in parser._actions}
    others = ", ".join(flags[name] for name in given if name not in ("resume", "address"))  # another cluster may go on
    if "resume" in given and others:
        raise InputError(f"--resume goes on as the run was begun; leave out {others}")
    return given


def prepare_run(
    console: "Console", given: dict[str, Any], arguments: list[str]
) -> tuple[Path, "RunRecord", list["TrialSpec"]]:
    """Plan a run, or reopen a stopped one. Return its folder, its record and its trials."""
    from common.report.progress import filling
    from common.run import prepare, resume
    from common.run.jobs import make_settings

    try:
        with filling(console) as (say, progress):
            if "resume" in given:
                folder = Path(given["resume"])
                return folder, *resume.reopen(folder, say, progress)
            return prepare.make_run(make_settings(given, arguments), say, progress)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped before the first trial") from None


def run_trials(
    console: "Console", folder: Path, run: "RunRecord", specs: list["TrialSpec"], given: dict[str, Any]
) -> bool:
    """Run the trials and return whether Ctrl-C stopped them. Any failure is an InputError: finished trials are kept."""
    from common.core.formatting import command
    from common.report.progress import Display, announce
    from common.run import gate
    from common.run.rescue import go_on_with

    announce(console, run, specs)
    try:
        with go_on_with(command("--resume", folder), folder):
            gate.before(folder, specs, Display(console).say)
            settings = run.settings | given
            launcher = registry.launcher(settings["launcher"])
            launcher.run_trials(folder, specs, console, "resume" in given, settings["address"])
    except KeyboardInterrupt:
        return True
    return False


def write_report(console: "Console", folder: Path, track: str = "") -> "Results":
    """Read the run's results from its files, write and show the report, and send the records to the tracker, if any."""
    from common.core.formatting import command
    from common.run.rescue import go_on_with

    again = command("report", folder, *(("--track", track) if track else ()))
    with go_on_with(again, folder):
        from common.report import write
        from common.report.terminal import show_results

        with uninterrupted():
            results = write.write_report(folder)
            show_results(console, results, folder)
    if track:  # a server may not answer for minutes: Ctrl-C ends it
        try:
            with go_on_with(again, folder):
                console.show_line(f"sent to {registry.tracker(track).send(results, folder)}")
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"the records were not sent; to send them, run: {again}") from None
    return results


def nothing_empty(arguments: list[str]) -> None:
    """InputError for an empty word: `--data "$UNSET"` would quietly take the default."""
    for before, word in zip(["run_bench.py", *arguments], arguments):
        if word == "" or (word.startswith("--") and word.endswith("=")):
            where = word or f"the word after {before}"
            raise InputError(f"{where} is empty: a variable of the shell that is not set? leave it out, or fill it in")


def main(arguments: list[str]) -> int:
    """Run a command line and return its exit code. It leaves signal handlers and locks as they were."""
    encoding.show_what_fits()
    try:
        nothing_empty(arguments)
        if not arguments or arguments[0].startswith("-"):
            return trials(arguments)
        if arguments[0] not in registry.commands():
            raise unknown("verb", arguments[0], registry.commands(), "without a verb, trials run: see --help")
        from common.cli import command

        return command.main(registry.commands()[arguments[0]], f"run_bench.py {arguments[0]}", arguments[1:])
    except (InputError, OSError, UnicodeError) as error:  # the last two: what cannot be read or written
        from common.core.files import os_error_text

        text = os_error_text(error) if isinstance(error, OSError) else error
        print(f"run_bench.py: error: {text}", file=sys.stderr)
        return 2
    except SystemExit as done:  # argparse has printed the help
        return int(done.code or 0)
    except KeyboardInterrupt as stop:
        print(*(f"\nrun_bench.py: {words}" for words in stop.args), file=sys.stderr)
        return 130


if __name__ == "__main__":
    encoding.use_utf8_names()
    listen()
    sys.exit(main(sys.argv[1:]))

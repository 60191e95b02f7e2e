#!/usr/bin/env python3
"""The command line: parse, call, print, exit code. Heavy imports wait until the words are understood."""

import shlex
import sys
from pathlib import Path

from common.parser import Parser


def run_trials_command(arguments: list[str]) -> int:
    from common.options import trials_parser

    words = vars(trials_parser().parse_args(arguments))
    given = {k: v for k, v in words.items() if v not in (None, [], "") or (k == "resume" and v == "")}

    from rich.console import Console

    from common import gate, prepare, resume, runner
    from common.errors import InputError
    from common.progress import Display, announce, filling
    from common.signals import uninterrupted

    console = Console()
    try:
        with filling(console) as (say, progress):
            if "resume" in given:
                folder = resume_folder(given)
                run, specs = resume.reopen(folder, say, progress)
            else:
                folder, run, specs = prepare.make_run(settings_of(given, arguments), say, progress)
    except KeyboardInterrupt:
        print("\nrun_bench.py: stopped before the first trial", file=sys.stderr)
        return 130
    announce(console, run, specs)
    stopped = False
    try:
        gate.before(folder, specs, Display(console).say)
        runner.run_trials(folder, specs, Display(console), "resume" in given)
    except KeyboardInterrupt:
        stopped = True
    except (OSError, InputError) as error:  # a full disk, most likely: what the trial has done so far is kept
        raise InputError(f"{error}; when that is mended, go on with: {resume_line(folder)}") from error

    from common.report.terminal import show_results
    from common.report.write import write_report

    try:
        with uninterrupted():
            results = write_report(folder)
            show_results(console, results, folder)
    except OSError as error:
        words = shlex.join(["uv", "run", "python", "run_bench.py", "report", str(folder)])
        raise InputError(f"{error}; the trials' results are kept: when that is mended, run: {words}") from error
    if stopped:
        console.print(f"\nto go on: {resume_line(folder)}", highlight=False, soft_wrap=True)
        return 130
    return 0 if all(row.record.status == "ok" for row in results.rows) else 1


def resume_line(folder: Path) -> str:
    return f"uv run python run_bench.py --resume {shlex.quote(str(folder))}"


def settings_of(given: dict, arguments: list[str]) -> "Settings":  # noqa: F821 (imported late, as all that is heavy)
    """The recipe's values, then the suite's, then the user's own."""
    from common import loading
    from common.errors import InputError
    from common.types import Settings

    if given.get("suite") and (given.keys() & {"frameworks", "models", "train", "balance"}):
        raise InputError(
            "--suite names its own frameworks, models, trained parts and balance; leave those out, or leave out --suite"
        )
    if "init_from" in given and "weights" in given:
        raise InputError("--init-from brings its own weights; leave out --weights, or leave out --init-from")
    suite = loading.suite(given["suite"]).DEFAULTS if "suite" in given else {}
    recipe = loading.recipe((suite | given).get("recipe", "default")).SETTINGS
    return Settings(**(recipe | suite | given), command=shlex.join(["uv", "run", "python", "run_bench.py", *arguments]))


def resume_folder(given: dict) -> Path:
    from common.errors import InputError
    from common.options import trials_parser

    if not given["resume"]:
        raise InputError("--resume needs the folder of a run, e.g. results/RUN")
    flags = {action.dest: action.option_strings[-1] for action in trials_parser()._actions}
    others = ", ".join(flags[name] for name in given if name != "resume")
    if others:
        raise InputError(f"--resume goes on as the run was begun; leave out {others}")
    return Path(given["resume"])


def list_command(arguments: list[str]) -> int:
    parser = Parser(prog="run_bench.py list", description="Frameworks, models, suites, recipes, formats.")
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
    show(console, Table("Recipes", ("name", "what"), tuple((n, r.ABOUT) for n, r in loading.recipes().items())))
    show(console, Table("Suites", ("name", "what"), tuple((n, s.ABOUT) for n, s in loading.suites().items())))
    show(
        console,
        Table("Formats", ("name", "looks like"), tuple((n, f.LOOKS_LIKE) for n, f in loading.formats().items())),
    )
    return 0


def report_command(arguments: list[str]) -> int:
    parser = Parser(
        prog="run_bench.py report", description="Make a run's tables and figures again from its files; nothing runs."
    )
    parser.add_argument("run", type=Path, help="the run's folder, e.g. results/2026-11-23-120000-torch-tf-demo")
    options = parser.parse_args(arguments)

    from rich.console import Console

    from common.records import read_run
    from common.report.terminal import show_results
    from common.report.write import write_report
    from common.runner import prove_alone

    prove_alone(options.run, read_run(options.run).trials)
    show_results(Console(), write_report(options.run), options.run)
    return 0


def data_command(arguments: list[str]) -> int:
    from common.options import data_flags

    parser = Parser(
        prog="run_bench.py data",
        description="Look at a data set without training: counts, label sets, distribution, samples, and what a model's "
        "F1 will lie between.",
    )
    data_flags(parser)
    parser.add_argument(
        "--results-dir", default="results", metavar="DIR", help="where its page goes (default: results)"
    )
    given = {k: v for k, v in vars(parser.parse_args(arguments)).items() if v is not None}

    from rich.console import Console

    from common.report.survey import write_survey
    from common.report.terminal import show
    from common.types import Settings

    console = Console()
    page, tables = write_survey(Settings(**given))
    for table in tables:
        show(console, table)
    console.print(f"\npage: {page}", highlight=False, soft_wrap=True)
    return 0


def check_command(arguments: list[str]) -> int:
    parser = Parser(
        prog="run_bench.py check",
        description="Hold a run's metrics against a baseline's. Only a worsening fails.",
        epilog="exit codes: 0 fine, 1 worse, 2 could not run, 3 not comparable, 4 nothing compared",
    )
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument(
        "--baseline", type=Path, required=True, metavar="FILE", help="e.g. results/baselines/smoke.json"
    )
    change = parser.add_mutually_exclusive_group()
    change.add_argument(
        "--update-baseline", action="store_true", help="make this run the baseline, after the comparison"
    )
    change.add_argument(
        "--append",
        action="store_true",
        help="add the run's further seeds to the baseline, unless it got worse on a seed of both",
    )
    parser.add_argument("--fail-on-times", action="store_true", help="seconds and memory fail the check too")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table for a pull request")
    options = parser.parse_args(arguments)

    from rich.console import Console

    from common import baselines
    from common.check import NOT_COMPARABLE, WORSE, compare, summarise
    from common.errors import OtherSchema
    from common.files import write_text
    from common.records import read_results
    from common.report.markdown import table as markdown
    from common.report.terminal import show
    from common.report.verdict import verdict_table

    try:
        now = summarise(read_results(options.run))
        before = baselines.read(options.baseline, replaced=options.update_baseline)
    except OtherSchema as error:
        print(f"run_bench.py: not comparable: {error}", file=sys.stderr)
        return NOT_COMPARABLE
    code = 0
    if before is not None:
        report = compare(now, before, options.fail_on_times)
        table, code = verdict_table(report, options.fail_on_times), report.exit_code
        if report.lines or not options.append:  # seeds that are new to the baseline have nothing to be held against
            show(Console(), table)
        if options.markdown:
            write_text(options.markdown, markdown(table) + "\n")
    if options.update_baseline:
        baselines.write(options.baseline, now)
        print(f"baseline written: {options.baseline} ({len(now.rows)} rows)")
        return 0
    if options.append and before is not None and code != WORSE:
        baselines.write(options.baseline, baselines.appended(before, now))
        print(f"seeds appended: {options.baseline}")
        return 0
    return code


def check_adapter_command(arguments: list[str]) -> int:
    parser = Parser(
        prog="run_bench.py check-adapter",
        description="Hold one framework's adapter against the contract, line by line, in a process of its own.",
        epilog="example: run_bench.py check-adapter torch --model efficientnet_lite0\n"
        "exit codes: 0 kept, 1 broken, 2 bad input\n"
        "docs/adding-a-framework.md goes from an empty file to a row in the table",
    )
    parser.add_argument("framework", help="its name in frameworks/ (see list)")
    parser.add_argument("--model", default="", metavar="NAME[:VARIANT]", help="default: its default one")
    options = parser.parse_args(arguments)

    import subprocess

    from common import loading, select
    from common.child import PROJECT, environment
    from common.machine import cores
    from common.types import Settings

    name = loading.framework_card(options.framework).NAME
    if options.model:
        select.jobs(Settings(frameworks=(name,), models=(options.model,)))  # bad input where there is no such model
    command = [sys.executable, "-m", "pytest", "tests/contract.py", "-o", "addopts=", "--tb=short", "-v", "--no-header", "-W", "ignore",
               "--framework", name, "--model", options.model]  # fmt: skip
    code = subprocess.run(command, cwd=PROJECT, env=environment(cores(), "cpu")).returncode
    return code if code in (0, 1) else 2  # pytest was stopped, or could not begin


def compare_command(arguments: list[str]) -> int:
    parser = Parser(
        prog="run_bench.py compare",
        description="Speed, equal work, and what of a difference is the framework's: of a whole run, or of two of its rows.",
        epilog='example: run_bench.py compare results/RUN "torch resnet50:v1" "tf resnet50:v1"',
    )
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("rows", nargs="*", default=[], metavar="ROW", help="two rows, by their names in the tables")
    options = parser.parse_args(arguments)

    from rich.console import Console

    from common.errors import InputError
    from common.records import read_results
    from common.report import compared
    from common.report.terminal import show

    if len(options.rows) not in (0, 2):
        raise InputError('compare takes a run, or a run and two of its rows: compare RUN "torch vgg19" "tf vgg19"')
    results = read_results(options.run)
    if not any(row.record.status == "ok" for row in results.rows):
        raise InputError(f"no trial of '{options.run}' finished; go on with: {resume_line(options.run)}")
    for table in compared.tables(results, *options.rows):
        show(Console(), table)
    return 0


def parity_command(arguments: list[str]) -> int:
    from common.options import parity_parser

    words = vars(parity_parser().parse_args(arguments))

    from rich.console import Console

    from common import gate, loading
    from common.progress import Display
    from common.report.compared import gates_table
    from common.report.terminal import show

    console = Console()
    given = {k: v for k, v in words.items() if v not in (None, [])}
    if not given.keys() & {"models", "frameworks", "train"}:
        given["suite"] = "matched"
    elif "models" not in given:
        given["models"] = list(dict.fromkeys(str(job.model) for job in loading.suite("matched").JOBS))
    settings = settings_of(given | {"recipe": "matched"}, [])
    findings = gate.asked(settings, Display(console).say)
    show(console, gates_table(tuple(findings)))
    return 0 if all(found.passed for found in findings) else 1


def self_command(arguments: list[str]) -> int:
    from benchmarks import self as measurements

    return measurements.main(arguments)


VERBS = {
    "list": list_command, "data": data_command, "report": report_command, "compare": compare_command,
    "parity": parity_command, "check": check_command, "check-adapter": check_adapter_command, "self": self_command,
}  # fmt: skip


def main(arguments: list[str]) -> int:
    from common.errors import InputError
    from common.signals import listen

    listen()
    try:
        if arguments and arguments[0] in VERBS:
            return VERBS[arguments[0]](arguments[1:])
        if arguments and not arguments[0].startswith("-"):
            from common.errors import unknown

            raise unknown("verb", arguments[0], VERBS, "without a verb, trials run: see --help")
        return run_trials_command(arguments)
    except (InputError, OSError, UnicodeError) as error:  # the last two: what cannot be read or written
        print(f"run_bench.py: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

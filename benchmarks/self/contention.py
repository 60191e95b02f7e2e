"""Training beside a busy process, by framework and OpenMP wait policy, over the same on a quiet machine: in turn."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from common.cli.options import positive, positive_number
from common.cli.parser import Options, Parser
from common.core import registry
from common.core.errors import InputError, unknown
from common.core.files import PROJECT
from common.core.formatting import time_text
from common.core.machine import cores
from common.core.openmp import POLICIES, POLICY
from common.core.results import CONTENDED
from common.core.specs import BuildSpec, ModelSpec, ProcessSpec
from common.process.cpu_contention import Neighbours
from common.process.questions import PASSES
from common.process.spawn import end, log_tail, start
from common.report.output import Output
from frameworks.contract import UNCHANGED

ABOUT = "training beside a busy process, by OpenMP wait policy, over a quiet machine (no limit)"
MODEL = ModelSpec(name="efficientnet_lite0")
CLASSES = 20
MEASURED = ("default", "passive", "spin-1000", "spin-10000")  # of POLICIES
BASE = "default"  # whose quiet passes the cost of the others is measured against
CONDITIONS = {"quiet": None, "busy": 0, "nice 19": 19}  # name -> niceness of the processes beside it
COST = 1.03  # a policy that makes quiet passes longer by more is not recommended, where the rounds agree on it
MEASURE_S = 1.0  # of each policy in each condition and round
ANSWER_S = 300.0  # a pass that takes longer is given up
END_S = 5.0
SETTLE_S = 0.3  # from the start of a busy process to the first pass beside it
LEAST_ROUNDS = 3
BURN = "import sys, os; from common.core.signals import die_with; die_with(int(sys.argv[1])); os.nice(int(sys.argv[2]))\nwhile 1: pass"
EPILOG = """\
example, 6 to 8 minutes on two cores; nothing else may run meanwhile:
  run_bench.py self contention --rounds 7
  run_bench.py self contention --policies default passive bound   thread affinity too
"""

Times = dict[tuple[str, str, str], list[float]]  # (framework, policy, condition) -> seconds of a pass, by round


def run(options: Options, output: Output) -> int:
    policies = _policies(options.policies)
    names = [registry.framework_info(name).NAME for name in options.frameworks]
    began = time.monotonic()
    seconds: Times = {}
    others: list[float | None] = []
    with contextlib.ExitStack() as stack:
        kinds = [(name, policy) for name in names for policy in policies]
        output.show_line(f"{len(kinds)} processes are started: {len(names)} frameworks x {len(policies)} policies")
        workers = {kind: stack.enter_context(_worker(*kind, options)) for kind in kinds}
        for worker in workers.values():
            worker.answer()  # its first pass, which builds what the others use
        output.show_line(f"they are ready after {time_text(time.monotonic() - began)}, first pass included")
        for number in range(options.rounds):
            since = time.monotonic()
            _round(number, workers, options.busy, seconds, others)
            took_s, spent_s = time.monotonic() - since, time.monotonic() - began
            output.show_line(f"round {number + 1} of {options.rounds}: {time_text(took_s)}")
            if number + 1 >= LEAST_ROUNDS and spent_s + took_s > 60 * options.minutes:
                output.show_line(f"another round would exceed --minutes {options.minutes:g}: it ends here")
                break
    output.show_line(f"\n{table(seconds, names, policies)}")
    output.show_line(f"\n{_context(options, len(next(iter(seconds.values()))))}")
    output.show_line(disturbed(others) or recommendation(seconds, names, policies))
    return 0


def add_flags(parser: Parser) -> None:
    parser.add_argument("--frameworks", nargs="+", default=registry.real(MODEL.name))
    parser.add_argument("--model", default=MODEL.name)
    parser.add_argument(
        "--policies", nargs="+", default=MEASURED, metavar="NAME",
        help=f"of {', '.join(POLICIES)}; {BASE} is always measured (default: {' '.join(MEASURED)})",
    )  # fmt: skip
    parser.add_argument("--rounds", type=positive, default=7, help="each measures every policy in every condition")
    parser.add_argument(
        "--minutes", type=positive_number, default=8.0, help="no further round where it would exceed this"
    )
    parser.add_argument("--busy", type=positive, default=1, metavar="N", help="processes that compute beside it")
    parser.add_argument("--threads", type=positive, default=cores())
    parser.add_argument("--batch-size", type=positive, default=32)
    parser.add_argument("--image-size", type=positive, default=64)
    parser.add_argument("--steps", type=positive, default=20, help="batches of a pass, kept in memory")


def _policies(asked: Sequence[str]) -> list[str]:
    """The policies to measure. InputError for one that is not known."""
    for policy in asked:
        if policy not in POLICIES:
            raise unknown("policy", policy, POLICIES)
    return list(dict.fromkeys([BASE, *asked]))


@dataclass
class _Worker:
    """A process that trains one pass whenever it is asked to, and waits in between without using a core."""

    name: str
    child: subprocess.Popen
    log: Path
    connection: socket.socket
    received: bytearray = field(default_factory=bytearray)

    def answer(self) -> float:
        """Seconds of the pass that was asked for. InputError where none comes."""
        try:
            while b"\n" not in self.received:
                if not (more := self.connection.recv(4096)):
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self.child.wait(END_S)  # its last words are in the log then
                    raise InputError(f"{self.name} ended before it was measured: {log_tail(self.log, 3)}")
                self.received += more
        except (TimeoutError, ConnectionError) as error:
            raise InputError(f"{self.name} gave no answer within {ANSWER_S:g} s ({error})") from None
        line, _, rest = bytes(self.received).partition(b"\n")
        self.received = bytearray(rest)
        return float(line)

    def pass_s(self) -> float:
        """Mean seconds of a pass, over as many as MEASURE_S holds."""
        took: list[float] = []
        while sum(took) < MEASURE_S:
            self.connection.sendall(b"pass\n")
            took.append(self.answer())
        return sum(took) / len(took)


@contextlib.contextmanager
def _worker(framework: str, policy: str, options: Options) -> Iterator[_Worker]:
    """The process, started and not yet waited for: all import their libraries at the same time."""
    spec = BuildSpec(
        model=ModelSpec(name=options.model), classes=CLASSES, side=options.image_size, preprocessing=UNCHANGED, train="head",
        learning_rate=1e-3,
    )  # fmt: skip
    process = ProcessSpec(device="cpu", deterministic=False, threads=options.threads, timeout_s=0)
    ours, theirs = socket.socketpair()
    with ours, theirs, tempfile.TemporaryDirectory() as folder:
        request, answer, log = (Path(folder) / name for name in ("request.json", "answer.json", "log.txt"))
        values = {
            "spec": spec.model_dump(),
            "images": options.batch_size,
            "steps": options.steps,
            "channel": theirs.fileno(),
        }
        asked = {"framework": framework, "question": PASSES.name, "process": process.model_dump(), "values": values}
        request.write_text(json.dumps(asked), encoding="utf-8")
        with open(log, "wb") as stream:
            child = start(
                "common.trial.query",
                [str(request), str(answer)],
                options.threads,
                "cpu",
                stream,
                policy,
                (theirs.fileno(),),
            )
        try:
            theirs.close()  # so that the child's end is seen here
            ours.settimeout(ANSWER_S)
            yield _Worker(f"{framework} ({policy})", child, log, ours)
        finally:
            end(child)


@contextlib.contextmanager
def _busy(niceness: int | None, processes: int) -> Iterator[None]:
    """So many processes that compute and do nothing else; none where niceness is None."""
    variables = os.environ | {"PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-c", BURN, str(os.getpid()), str(niceness)]
    children = [subprocess.Popen(command, env=variables) for _ in range(processes if niceness is not None else 0)]
    try:
        if children:
            time.sleep(SETTLE_S)
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()


def _round(
    number: int, workers: dict[tuple[str, str], _Worker], busy: int, seconds: Times, others: list[float | None]
) -> None:
    """Every worker in every condition, each round from another one on, so that no place in the order is always the same one's."""
    for condition in _turned(list(CONDITIONS), number):
        with _busy(CONDITIONS[condition], busy):
            since = Neighbours()
            for kind in _turned(list(workers), number):
                seconds.setdefault((*kind, condition), []).append(workers[kind].pass_s())
            if condition == "quiet":
                others.append(since.cores())


def _turned(items: list, by: int) -> list:
    by %= len(items)
    return items[by:] + items[:by]


def table(seconds: Times, frameworks: list[str], policies: list[str]) -> str:
    """Markdown: medians over the rounds, and ratios round by round as median (lowest to highest)."""
    beside = [name for name, niceness in CONDITIONS.items() if niceness is not None]
    header = ["framework", "policy", "quiet s", f"quiet, over {BASE}'s", *(f"{name} s" for name in beside)]
    header += [f"{name}, over quiet" for name in beside]
    lines = [f"| {' | '.join(header)} |", "|" + " --- |" * len(header)]
    for framework in frameworks:
        for policy in policies:
            quiet = seconds[framework, policy, "quiet"]
            cells = [framework, policy, f"{np.median(quiet):.2f}", _spread(cost(seconds, framework, policy))]
            cells += [f"{np.median(seconds[framework, policy, name]):.2f}" for name in beside]
            cells += [_spread(slower(seconds, framework, policy, name)) for name in beside]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def cost(seconds: Times, framework: str, policy: str) -> np.ndarray:
    """Quiet seconds over those of BASE, round by round."""
    return np.divide(seconds[framework, policy, "quiet"], seconds[framework, BASE, "quiet"])


def slower(seconds: Times, framework: str, policy: str, condition: str) -> np.ndarray:
    """Seconds in the condition over those of the same round on a quiet machine."""
    return np.divide(seconds[framework, policy, condition], seconds[framework, policy, "quiet"])


def _spread(values: np.ndarray) -> str:
    return f"{np.median(values):.2f} ({np.min(values):.2f} to {np.max(values):.2f})"


def recommended(seconds: Times, frameworks: list[str], policies: list[str]) -> str:
    """Of the policies that are not seen to cost anything on a quiet machine, the one whose slowest median beside others is the
    lowest. A policy costs something where its median is above COST on a framework, and three rounds of four show a cost."""
    beside = [name for name, niceness in CONDITIONS.items() if niceness is not None]

    def costs(policy: str) -> bool:
        each = [cost(seconds, framework, policy) for framework in frameworks]
        return any(np.median(ratios) > COST and np.quantile(ratios, 0.25) > 1 for ratios in each)

    def worst(policy: str) -> float:
        return max(float(np.median(slower(seconds, f, policy, name))) for f in frameworks for name in beside)

    return min((policy for policy in policies if not costs(policy)), key=worst)  # BASE costs nothing by definition


def recommendation(seconds: Times, frameworks: list[str], policies: list[str]) -> str:
    """One line: the policy, what it costs, what it gains, and whether it is the one that the harness sets."""
    best = recommended(seconds, frameworks, policies)
    variables = " ".join(f"{name}={value}" for name, value in POLICIES[best].items()) or "no variable"
    each = [
        f"{f} {np.median(cost(seconds, f, best)):.2f} times as long when quiet, {np.median(slower(seconds, f, best, 'busy')):.2f} "
        f"times beside a busy process ({BASE}: {np.median(slower(seconds, f, BASE, 'busy')):.2f})"
        for f in frameworks
    ]
    ours = "the harness sets it" if best == POLICY else f"the harness sets {POLICY}"
    return f"Recommended: {best} ({variables}; {ours}): {', '.join(each)}."


def disturbed(others: list[float | None]) -> str:
    """Why nothing is recommended: the machine was not quiet in the passes that were to be so. "" where it was."""
    known = [each for each in others if each is not None]
    if len(known) < len(others):
        return "Nothing is recommended: what other processes use of the machine cannot be measured here."
    if (most := max(known, default=0.0)) > CONTENDED * cores():
        return (
            f"Nothing is recommended: other processes used up to {most:.1f} cores while 'quiet' was measured. End them and "
            "measure again."
        )
    return ""


def _context(options: Options, rounds: int) -> str:
    return (
        f"Seconds of {options.steps} training steps of {options.batch_size} images in memory at {options.image_size} pixels, "
        f"{options.model}, {options.threads} threads on {cores()} cores, CPU. Medians of {rounds} rounds, each the mean over at least {MEASURE_S:g} s; ratios are taken "
        f"within a round (median, lowest to highest). busy: beside {options.busy} process{'es' * (options.busy > 1)} at normal "
        "priority; nice 19: at the lowest."
    )

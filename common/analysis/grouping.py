"""PURE: Results -> the lines of a table: the repeats of one job together, named, and marked where nothing is proven."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from common.core.formatting import time_text
from common.core.results import CONTENDED, Paired, Results, Row, TrialRecord
from common.core.scores import TrialScores
from common.core.specs import JobKey, TrialSpec

MARK = "†"  # behind a row that enters no ratio
CONTENDED_MARK = "‡"  # behind an epoch in which other processes used the machine
# Where the cores that others kept busy are not known, a minute's load over its own threads and workers: on two cores, 60
# trials with nothing beside them saw a load of 2.49 at most, trials beside other work 1.4 to 4.9.
BUSY = 1.25
REAL = 0.01  # a difference of F1 is called real where the paired test says so at this level, corrected for how many
# What tells two jobs of one framework and model apart in a label, in the order in which it is added.
WORDS: tuple[Callable[[JobKey], str], ...] = (
    lambda key: key.lane,
    lambda key: f"on {key.devices} device{'s' if key.devices > 1 else ''}",
    lambda key: key.train,
    lambda key: "not balanced" if key.balance == "none" else key.balance,
    lambda key: key.weights,
    lambda key: f"{key.trained_part} trained",
    lambda key: f"recipe {key.recipe}",
)


@dataclass(frozen=True)
class Group:
    """The repeats of one job: one line of a table. `rows` are the finished ones."""

    key: JobKey
    kind: str  # the model, and in what the job differs from others of the run with this framework and model
    rows: tuple[Row, ...]
    first: Row
    asked: int
    excluded: str | None = None  # why the group enters no ratio

    @property
    def name(self) -> str:
        return f"{self.key.framework} {self.kind}"

    @property
    def label(self) -> str:
        """The name as tables show it: marked where the group is excluded."""
        return f"{self.name} {MARK}" if self.excluded else self.name

    @property
    def spec(self) -> TrialSpec:
        """Of the first repeat."""
        return self.first.record.spec

    @property
    def record(self) -> TrialRecord:
        """Of the first repeat that finished; where none did, of the first."""
        return (self.rows[0] if self.rows else self.first).record

    @property
    def records(self) -> list[TrialRecord]:
        """Of the repeats that finished."""
        return [row.record for row in self.rows]

    @property
    def scores(self) -> list[TrialScores]:
        """Of the repeats that finished."""
        return [row.scores for row in self.rows if row.scores]

    def mean(self, values: Iterable[float]) -> float | None:
        values = list(values)
        return float(np.mean(values)) if values else None


def groups(results: Results) -> list[Group]:
    """Rows by the job that they repeat, in the order of the run."""
    jobs: dict[JobKey, list[Row]] = {}
    for row in results.rows:
        jobs.setdefault(row.record.spec.job_key(), []).append(row)
    found = [
        Group(key, kind, tuple(r for r in rows if r.record.status == "ok"), rows[0], len(rows))
        for kind, (key, rows) in zip(_kinds(list(jobs)), jobs.items())
    ]
    return [replace(g, excluded=_excluded(g, results)) for g in found]


def _excluded(group: Group, results: Results) -> str | None:
    """Why the group enters no ratio. Of a run without matched rows nothing was to be proven, and the page says so once; but
    what its steps received can be at fault."""
    matched = any(row.record.spec.recipe.formulas == "matched" for row in results.rows)
    return (unproven(group, results) if matched else fault(group, results.paired)) or None


def unproven(group: Group, results: Results) -> str:
    """Why nothing has proven that the group did the same work as others; "" where the gate and the receipts have."""
    spec = group.spec
    if spec.recipe.formulas != "matched":
        return "formulas of the library's own, which --recipe matched makes one"
    kind = spec.model, spec.trained_part, spec.feed.balance == "weighted"
    mine = [g for g in results.gates if (g.model, g.train, g.weighted) == kind]
    of = [g for g in mine if spec.framework == g.other] or [g for g in mine if spec.framework == g.reference]
    if not of:
        return "no parity gate was run for it"
    if not any(g.passed for g in of):
        return f"its parity gate failed ({of[0].failure})"
    if any(row.record.receipt_fault is None for row in group.rows):
        return "what its steps received was not looked at"
    return fault(group, results.paired)


def fault(group: Group, paired: tuple[Paired, ...]) -> str:
    """Where the steps of a trial did not receive what was planned, or the tuned lane did not compute what the default lane
    does; or where the repeats ran on unlike machines."""
    if len(apart := machines([group])) > 1:
        return f"it ran on unlike machines ({'; '.join(apart)})"
    found = [row.record.receipt_fault for row in group.rows if row.record.receipt_fault]
    if found:
        return f"its steps did not receive what was planned ({found[0]})"
    if failed := [gate for row in group.rows for gate in row.record.tuning.gate if not gate.passed]:
        if broken := [gate for gate in failed if gate.error is None]:
            return f"its logits could not be held against the default lane's ({broken[0].failed})"
        worst = max(failed, key=lambda gate: gate.error or 0.0)
        return f"its logits are {worst.error:.1%} of their spread from the default lane's (allowed {worst.allowed:.0%})"
    test, corrected = smallest_p(lane_tests(group, paired))
    if test and corrected < REAL:
        return f"its F1 at {test.percentile} is not the default lane's ({test.difference:+.4f}, p {corrected:.2g})"
    return ""


def machines(lines: Iterable[Group]) -> list[str]:
    """The machines on which the lines' trials ran, each once, in words."""
    each = (machine for g in lines for row in g.rows for machine in row.record.machines)
    return list(dict.fromkeys(", ".join(f"{name} {value}" for name, value in machine.items()) for machine in each))


def lane_tests(group: Group, paired: tuple[Paired, ...]) -> list[Paired]:
    """The paired tests of a tuned group against the default lane of its framework, on the same images; a difference is the
    tuned lane's F1 less the default lane's."""
    names = {row.record.spec.name for row in group.rows if row.record.spec.lane == "tuned"}
    return [test for test in both_ways(paired) if test.lanes and names & {*test.a}]


def both_ways(paired: Iterable[Paired]) -> Iterator[Paired]:
    """Each test as it is, and of b against a: results keep it in the order of the run."""
    for test in paired:
        yield test
        yield test.turned()


def smallest_p(tests: Iterable[Paired]) -> tuple[Paired | None, float]:
    """The test with the smallest p, and that p times how many there are (Bonferroni)."""
    tests = list(tests)
    worst = min(tests, key=lambda t: (t.p, -abs(t.difference)), default=None)
    return worst, min(1.0, worst.p * len(tests)) if worst else 1.0


def busy(lines: Iterable[Group]) -> str:
    """Whose seconds were measured while the machine had more to do than the trial, in words; "" where none were."""
    found = {g.label: words for g in lines if (words := _beside(g))}
    if not found:
        return ""
    return (
        f"The machine was busy: others ran beside {', '.join(f'{label} ({words})' for label, words in found.items())}. Such "
        "seconds say little, and not all frameworks lose alike (docs/fairness.md): run it again on a quiet machine."
    )


def _beside(group: Group) -> str:
    """What others took of the machine in the worst of the epochs, in words; "" where that was little."""
    spec, epochs = group.spec, [e for row in group.rows for e in row.record.epochs]
    others = max((e.others for e in epochs if e.others is not None), default=None)
    if others is not None:
        threads = spec.process.threads
        return f"up to {others:.1f} cores of its {threads}" if others > CONTENDED * threads else ""
    loads = [e.load_average / (spec.process.threads + spec.feed.workers) for e in epochs]
    load = max((load for load in loads if not math.isnan(load)), default=0.0)
    return f"a load of up to {load:.1f} for each of its threads" if load > BUSY else ""


def contended(record: TrialRecord) -> set[int]:
    """The epochs in which others used more of the machine than CONTENDED: as a mean, or in an episode that the parent saw."""
    limit = CONTENDED * record.spec.process.threads
    means = {e.epoch for e in record.epochs if e.others is not None and e.others > limit}
    return means | {epoch for episode in record.contention for epoch in episode.epochs}


def contention_notes(lines: Iterable[Group]) -> list[str]:
    """Whole sentences on what `busy` does not tell: shorter contention, and trials that began without the quiet they asked for."""
    found = []
    for g in lines:
        records = [row.record for row in g.rows]
        episodes = [episode for r in records for episode in r.contention]
        if episodes and not _beside(g):
            most = max(episode.cores for episode in episodes)
            total_s = sum(episode.ended_s - episode.began_s for episode in episodes)
            found.append(
                f"{g.label}: other processes used up to {most:.1f} cores for {time_text(total_s)} while it ran; the epochs "
                f"meanwhile are marked {CONTENDED_MARK} in the table of epochs."
            )
        for wait in (r.quiet_wait for r in records if r.quiet_wait and not r.quiet_wait.quiet):
            why = (
                f"others used {wait.cores:.1f} cores" if wait.cores is not None else "what others use is not known here"
            )
            found.append(
                f"{g.label}: the trial began on a machine that was not known to be quiet, after {time_text(wait.waited_s)} of "
                f"--wait-for-quiet {wait.limit_s:g} ({why})."
            )
    return found


def marked(lines: list[Group]) -> list[str]:
    """What the marks mean: each excluded line, and why it enters no ratio."""
    return [f"{g.label}: enters no ratio: {g.excluded}." for g in lines if g.excluded]


def _kinds(keys: list[JobKey]) -> list[str]:
    """The model of each job, with further words only where two jobs of one framework would read the same."""
    kinds = [str(key.model) for key in keys]
    for word in WORDS:
        found: dict[tuple[str, str], set[str]] = {}
        for key, kind in zip(keys, kinds):
            found.setdefault((key.framework, kind), set()).add(word(key))
        kinds = [f"{x} {word(key)}" if len(found[key.framework, x]) > 1 else x for key, x in zip(keys, kinds)]
    return kinds

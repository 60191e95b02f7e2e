"""PURE: Results -> the lines of a table: the repeats of one job together, named, and marked where nothing is proven."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from common.core.formatting import time_text
from common.core.results import CONTENDED, Paired, Results, Row, TrialRecord

MARK = "†"  # behind a row that enters no ratio
CONTENDED_MARK = "‡"  # behind an epoch in which other processes used the machine
# Where the cores that others kept busy are not known, a minute's load over its own threads and workers: on two cores, 60
# trials with nothing beside them saw a load of 2.49 at most, trials beside other work 1.4 to 4.9.
BUSY = 1.25
REAL = 0.01  # a difference of F1 is called real where the paired test says so at this level, corrected for how many


@dataclass(frozen=True)
class Group:
    """The repeats of one job: one line of a table. `rows` are the finished ones."""

    label: str
    rows: tuple[Row, ...]
    first: Row
    asked: int

    def mean(self, values: Iterable[float]) -> float | None:
        values = list(values)
        return float(np.mean(values)) if values else None


def groups(results: Results) -> list[Group]:
    """Rows by what they have in common but the seed, in the order of the run."""
    kinds: dict[tuple, list[Row]] = {}
    for row in results.rows:
        spec = row.record.spec
        key = (
            spec.framework,
            str(spec.model),
            spec.weights.source,
            spec.recipe.train,
            spec.feed.balance,
            spec.lane,
            spec.process.devices,
        )
        kinds.setdefault(key, []).append(row)
    labels = _labels(list(kinds))
    found = [
        Group(label, tuple(r for r in rows if r.record.status == "ok"), rows[0], len(rows))
        for label, rows in zip(labels, kinds.values())
    ]
    bad = [g for g in found if excluded(g, results)]
    return [replace(g, label=f"{g.label} {MARK}") if g in bad else g for g in found]


def excluded(group: Group, results: Results) -> str:
    """Why the group enters no ratio; "" where it may. Of a run without matched rows nothing was to be proven, and the page
    says so once; but what its steps received can be at fault."""
    matched = any(row.record.spec.recipe.formulas == "matched" for row in results.rows)
    return unproven(group, results) if matched else fault(group, results.paired)


def unproven(group: Group, results: Results) -> str:
    """Why nothing has proven that the group did the same work as others; "" where the gate and the receipts have."""
    spec = group.first.record.spec
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
    worst, corrected = smallest_p(lane_tests(group, paired))
    if worst and corrected < REAL:
        return f"its F1 at {worst.percentile} is not the default lane's ({worst.difference:+.4f}, p {corrected:.2g})"
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
    spec, epochs = group.first.record.spec, [e for row in group.rows for e in row.record.epochs]
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


def marked(lines: list[Group], results: Results) -> list[str]:
    """What the marks mean: each marked line, and why it enters no ratio."""
    bad = [g for g in lines if g.label.endswith(MARK)]
    return [f"{g.label}: enters no ratio: {excluded(g, results)}." for g in bad]


def _labels(keys: list[tuple]) -> list[str]:
    """'torch resnet50:v1.5', with further words only where two would read the same."""
    labels = [f"{k[0]} {k[1]}" for k in keys]
    keys = [
        (*k[:4], "not balanced" if k[4] == "none" else k[4], k[5], f"on {k[6]} device{'s' if k[6] > 1 else ''}")
        for k in keys
    ]
    for place in (5, 6, 3, 4, 2):
        kinds: dict[str, set[str]] = {}
        for label, key in zip(labels, keys):
            kinds.setdefault(label, set()).add(key[place])
        labels = [f"{x} {k[place]}" if len(kinds[x]) > 1 else x for x, k in zip(labels, keys)]
    return labels

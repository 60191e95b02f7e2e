"""PURE: Results -> the comparison: one line a job, what it was, what it cost, what came out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from common.analysis.comparison import seconds
from common.analysis.grouping import Group, busy, contention_notes, groups, marked
from common.core.errors import listed
from common.core.formatting import size_text
from common.core.results import NOT_AS_THE_RECIPE_SAYS, Results
from common.core.scores import REFERENCES, Reference, Scores
from common.report.table import NONE, ColumnNote, Table, count, number, percentile_names, share_of, shares, spread

LONGEST_REASON = 60  # characters of why a trial failed that stand in the table


def no_reference(which: Reference, scores: list[Scores]) -> str:
    return NONE


@dataclass(frozen=True)
class Column:
    """A column of the comparison: its header, the cell of a job, and that of the prior and the oracle (by seed)."""

    header: str
    cell: Callable[[Group], str]
    reference: Callable[[Reference, list[Scores]], str] = no_reference


def columns(top: str) -> list[Column]:
    """Every column, in order. top: the percentile of F1."""
    return [
        Column("row", lambda g: g.label, lambda which, scores: which),
        Column("framework", lambda g: g.key.framework),
        Column("model", lambda g: str(g.key.model)),
        Column("weights", _weights),
        Column("recipe", _recipe),
        Column("feed", _feed),
        Column("GMAC", lambda g: number(g.record.facts.get("gmac"), ".2f")),
        Column("parameters", lambda g: count(g.record.facts.get("parameters"))),
        Column("trainable", lambda g: count(g.record.facts.get("trainable_parameters"))),
        Column("epoch 1 s", lambda g: number(g.mean(r.epochs[0].train_s for r in g.records), ".1f")),
        Column("later epochs s", lambda g: number(g.mean(e.train_s for r in g.records for e in r.epochs[1:]), ".1f")),
        Column("validation s", lambda g: number(g.mean(e.validation_s for r in g.records for e in r.epochs), ".1f")),
        Column("prediction s", lambda g: number(g.mean(r.prediction_s for r in g.records), ".1f")),
        Column("images/s", lambda g: f"{np.median(1 / seconds(g)):.1f}" if g.rows else NONE),
        Column("wait s", lambda g: number(g.mean(sum(e.wait_s for e in r.epochs) for r in g.records), ".1f")),
        Column("peak memory", _peak_memory),
        Column("device memory", _device_memory),
        Column("val loss", _validation_loss),
        Column(
            f"F1 at {top}",
            lambda g: spread([s.percentiles[top].f1 for s in g.scores]),
            lambda which, scores: spread([s.percentiles[top].f1 for s in scores]),
        ),
        Column(
            "share",
            lambda g: shares(g, top),
            lambda which, scores: share_of(which),
        ),
    ]


def comparison_table(results: Results) -> Table:
    """One line a job, then the prior and the oracle."""
    found = columns(percentile_names(results)[-1])
    jobs = [tuple(column.cell(g) for column in found) for g in groups(results)]
    bounds = {which: [reference[which] for reference in results.references.values()] for which in REFERENCES}
    references = [tuple(column.reference(which, bounds[which]) for column in found) for which in REFERENCES]
    header = tuple(column.header for column in found)
    return Table("Comparison", header, (*jobs, *references), _notes(results))


def _weights(group: Group) -> str:
    weights, report = group.record.spec.weights, group.record.weights_report
    text = weights.source + (f" {weights.sha256[:8]}" if weights.sha256 else "")
    if report.get("missing") or report.get("unexpected"):
        text += f" ({report['loaded']} loaded, {report['missing']} missing, {report['unexpected']} unexpected)"
    return text


def _recipe(group: Group) -> str:
    recipe = group.record.spec.recipe
    part = group.record.spec.trained_part
    trained = part if part == recipe.train else f"{part}, not {recipe.train}"
    named = "" if recipe.name == "default" else f"{recipe.name}: "
    return f"{named}{trained}, lr {recipe.learning_rate:g}, batch {recipe.batch_size}"


def _feed(group: Group) -> str:
    feed = group.record.spec.feed
    parts = [
        f"{feed.train_images:,} at {feed.image_side} px",
        feed.balance if feed.balance != "none" else "",
        f"{feed.split} split" if feed.split != "random" else "",
        f"crops: {feed.augment}" if feed.augment != "none" else "",
        "" if feed.shuffle else "unshuffled",
        "" if feed.pixels else "decoded in every epoch",
        f"{feed.workers} workers" if feed.files else "",
    ]
    return ", ".join(filter(None, parts))


def _peak_memory(group: Group) -> str:
    watched = bool(group.rows) and bool(group.record.memory_method)
    return size_text(max(r.peak_memory_bytes for r in group.records)) if watched else NONE


def _device_memory(group: Group) -> str:
    most = max((r.peak_device_bytes for r in group.records), default=0)
    return size_text(most) if most else NONE


def _validation_loss(group: Group) -> str:
    """The mean over the repeats; why there is none, where none finished."""
    if not group.rows:
        return f"{group.record.status}: {group.record.reason}"[:LONGEST_REASON]
    return spread([s.validation_loss for s in group.scores], ".4f")


def _notes(results: Results) -> tuple[str | ColumnNote, ...]:
    lines = groups(results)
    methods = sorted({r.record.memory_method for r in results.rows if r.record.memory_method})
    notes: list[str | ColumnNote] = [
        *filter(None, [busy(lines)]),
        ColumnNote("GMAC", "multiply-accumulates of one image's forward pass, in 1e9."),
        ColumnNote(
            "images/s", "training, later epochs (of a single one: without its first step); median over the repeats."
        ),
        ColumnNote(
            "peak memory", "trial process and its workers" + (f", {' and '.join(methods)}." if methods else ".")
        ),
        ColumnNote("wait s", "training steps waiting for data, all epochs without their first step."),
        ColumnNote("val loss", "the lowest of the epochs, whose weights made the scores."),
    ]
    repeats = max((g.asked for g in lines), default=1)
    if repeats > 1:
        notes.append(
            f"Means over {repeats} repeats, each with a split seed of its own; ± is the standard deviation over them."
        )
    notes += contention_notes(lines)
    short = [g for g in lines if len(g.rows) < g.asked]
    notes += [f"{g.label}: {g.asked - len(g.rows)} of {g.asked} trials did not finish (see below)." for g in short]
    notes += marked(lines)
    notes += [f"{g.label}: {g.spec.weights.note}." for g in lines if g.spec.weights.note]
    notes += [note for g in lines for note in _job_notes(g)]
    return (*notes, *results.run.notes)


def _job_notes(group: Group) -> list[str]:
    """What is peculiar to one job."""
    notes = [f"tensors {what}: {listed(list(names))}." for what, names in group.record.weights_names.items() if names]
    found = [f"{group.label}: {note}" for note in notes]
    if any(not record.memory_method for record in group.records):
        found.append(f"{group.label}: a trial was repeated alone, unwatched: its memory and whole time are not known.")
    if lacks := group.record.facts.get(NOT_AS_THE_RECIPE_SAYS):
        found.append(f"{group.label}, {NOT_AS_THE_RECIPE_SAYS}: {lacks}.")
    if group.key.balance == "weighted":
        found.append(f"{group.label}: positives weigh more in its losses, which are on another scale for that.")
    again = sorted({e for record in group.records for e in record.resumed_after})
    return found + ([f"{group.label}: taken up again after epoch {', '.join(map(str, again))}."] if again else [])

"""PURE: Results -> tables of text, and the words under them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.analysis.comparison import seconds
from common.analysis.grouping import CONTENDED_MARK, MARK, Group, busy, contended, contention_notes, groups, marked
from common.analysis.stats import over_seeds
from common.core.errors import listed
from common.core.formatting import size_text
from common.core.results import CONTENDED, Results, Row, RunRecord
from common.report.reading import percentile_notes

NONE = "–"


@dataclass(frozen=True)
class Table:
    """A title, a header, rows of cells, and notes below. Every cell is text."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def only(self, title: str, columns: Iterable[str]) -> "Table":
        """Some of the columns, for a narrow terminal, without the notes ("column: ...") on the others."""
        columns = tuple(columns)
        places = [self.header.index(c) for c in columns]
        hidden = tuple(f"{c}: " for c in self.header if c not in columns)
        notes = tuple(note for note in self.notes if not note.startswith(hidden))
        return Table(title, columns, tuple(tuple(r[i] for i in places) for r in self.rows), notes)


def number(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)


def spread(values: list[float], form: str = ".3f") -> str:
    """'.472', or '.472 ± .004' (standard deviation over the repeats) where there are several."""
    if not values:
        return NONE
    text = format(float(np.mean(values)), form)
    return text + (f" ± {format(float(np.std(values, ddof=1)), form)}" if len(values) > 1 else "")


def count(n: int | None) -> str:
    return NONE if n is None else f"{n:,}"


def images_words(run: RunRecord) -> str:
    """How many images, how large, with how many outputs."""
    split = next(iter(run.splits.values()), {})
    used = split.get("train", 0) + split.get("validation", 0)
    images = f"{run.rows:,} images" + (f" ({used:,} of them used)" if used != run.rows else "")
    return f"{images} at {run.image_side} x {run.image_side}, {len(run.class_names)} outputs"


def percentile_names(results: Results) -> list[str]:
    return [f"{p:g}" for p in results.run.percentiles]


def f1_interval(group: Group, percentile: str) -> str:
    """'[.468, .476]': over the images of the one or two seeds (the widest), or over three seeds and more."""
    at = [row.scores["percentiles"][percentile] for row in group.rows]
    if not at:
        return NONE
    seeds = over_seeds(np.array([a["f1"] for a in at]))
    low, high = (seeds.low, seeds.high) if seeds else (min(a["f1_low"] for a in at), max(a["f1_high"] for a in at))
    return f"[{low:.3f}, {high:.3f}]"


def scores_table(results: Results) -> Table:
    """The paper's figure 13: precision, recall and F1 over images at each percentile."""
    names = percentile_names(results)
    rows = []
    for p in names:
        for group in groups(results):
            cells = [spread([r.scores["percentiles"][p][m] for r in group.rows]) for m in ("precision", "recall", "f1")]
            shares = [r.scores["percentiles"][p]["share"] for r in group.rows]
            share = spread([s for s in shares if s is not None], "z.2f")
            rows.append((p, group.label, *cells, share, f1_interval(group, p)))
        for which in ("prior", "oracle"):
            each = [ref[which]["percentiles"][p] for ref in results.references.values()]
            cells = [spread([e[m] for e in each]) for m in ("precision", "recall", "f1")]
            rows.append((p, which, *cells, "0" if which == "prior" else "1", NONE))
        for name, published in results.run.published.items():
            if p in published:
                rows.append(
                    (p, name, *(number(published[p].get(m), ".3f") for m in ("precision", "recall", "f1")), NONE, NONE)
                )
    notes = [
        "A label is picked where its score is strictly above that percentile of the image's own scores; precision, recall "
        "and F1 are averaged over images. prior: every image gets the class frequencies. oracle: the best that distinct "
        "scores can do. share: 0 at the prior, 1 at the oracle, below 0 worse than the prior.",
        "95 % of F1: bootstrap over the validation images; from 3 seeds on, Student's interval of the mean over seeds.",
        *percentile_notes(len(results.run.class_names), results.run.percentiles),
    ]
    return Table(
        "Scores by percentile",
        ("percentile", "row", "precision", "recall", "F1", "share of the way", "95 % of F1"),
        tuple(rows),
        tuple(notes),
    )


def comparison_table(results: Results) -> Table:
    """One line a job: what it was, what it cost, what came out."""
    top = percentile_names(results)[-1]
    header = (
        "row", "framework", "model", "weights", "recipe", "feed", "GMAC", "parameters", "trainable", "epoch 1 s",
        "later epochs s", "validation s", "prediction s", "images/s", "wait s", "peak memory", "device memory",
        "val loss", f"F1 at {top}", "share",
    )  # fmt: skip
    references = tuple(_reference_row(results, which, top, len(header)) for which in ("prior", "oracle"))
    rows = (*(_comparison_row(g, top) for g in groups(results)), *references)
    return Table("Comparison", header, rows, _comparison_notes(results))


def _reference_row(results: Results, which: str, top: str, columns: int) -> tuple[str, ...]:
    f1 = [ref[which]["percentiles"][top]["f1"] for ref in results.references.values()]
    return (which, *([NONE] * (columns - 3)), spread(f1), "0" if which == "prior" else "1")


def _comparison_row(group: Group, top: str) -> tuple[str, ...]:
    records = [row.record for row in group.rows]
    shown = records[0] if records else group.first.record
    spec, facts = shown.spec, shown.facts
    weights = spec.weights.source + (f" {spec.weights.sha256[:8]}" if spec.weights.sha256 else "")
    report = shown.weights_report
    if report.get("missing") or report.get("unexpected"):
        weights += f" ({report['loaded']} loaded, {report['missing']} missing, {report['unexpected']} unexpected)"
    part = facts.get("trained part", spec.recipe.train)
    trained = part if part == spec.recipe.train else f"{part}, not {spec.recipe.train}"
    named = "" if spec.recipe.name == "default" else f"{spec.recipe.name}: "
    recipe = f"{named}{trained}, lr {spec.recipe.learning_rate:g}, batch {spec.recipe.batch_size}"
    feed = f"{spec.feed.train_images:,} at {spec.feed.image_side} px"
    feed += f", {spec.feed.balance}" if spec.feed.balance != "none" else ""
    feed += f", {spec.feed.split} split" if spec.feed.split != "random" else ""
    feed += f", crops: {spec.feed.augment}" if spec.feed.augment != "none" else ""
    feed += "" if spec.feed.shuffle else ", unshuffled"
    feed += "" if spec.feed.pixels else ", decoded in every epoch"
    feed += f", {spec.feed.workers} workers" if spec.feed.files else ""
    identity = (group.label, spec.framework, str(spec.model), weights, recipe, feed)
    size = (number(facts.get("gmac"), ".2f"), count(facts.get("parameters")), count(facts.get("trainable_parameters")))
    if not records:
        reason = f"{shown.status}: {shown.reason}"
        return (*identity, *size, *([NONE] * 8), reason[:60], NONE, NONE)
    later = [e for r in records for e in r.epochs[1:]]
    device = max(r.peak_device_bytes for r in records)
    values = (
        number(group.mean(r.epochs[0].train_s for r in records), ".1f"),
        number(group.mean(e.train_s for e in later), ".1f"),
        number(group.mean(e.validation_s for r in records for e in r.epochs), ".1f"),
        number(group.mean(r.prediction_s for r in records), ".1f"),
        f"{np.median(1 / seconds(group)):.1f}",
        number(group.mean(sum(e.wait_s for e in r.epochs) for r in records), ".1f"),
        size_text(max(r.peak_memory_bytes for r in records)) if records[0].memory_method else NONE,
        size_text(device) if device else NONE,
        spread([row.scores["validation_loss"] for row in group.rows], ".4f"),
        spread([row.scores["percentiles"][top]["f1"] for row in group.rows]),
        spread([s for row in group.rows if (s := row.scores["percentiles"][top]["share"]) is not None], "z.2f"),
    )
    return (*identity, *size, *values)


def _comparison_notes(results: Results) -> tuple[str, ...]:
    methods = sorted({r.record.memory_method for r in results.rows if r.record.memory_method})
    notes = [
        "GMAC: multiply-accumulates of one image's forward pass, in 1e9.",
        "images/s: training, later epochs (of a single one: without its first step); median over the repeats.",
        "peak memory: trial process and its workers" + (f", {' and '.join(methods)}." if methods else "."),
        "wait s: training steps waiting for data, all epochs without their first step.",
        "val loss: the lowest of the epochs, whose weights made the scores.",
    ]
    repeats = max((g.asked for g in groups(results)), default=1)
    if repeats > 1:
        notes.append(
            f"Means over {repeats} repeats, each with a split seed of its own; ± is the standard deviation over them."
        )
    notes = [*([said] if (said := busy(groups(results))) else []), *notes]
    notes += contention_notes(groups(results))
    short = [g for g in groups(results) if len(g.rows) < g.asked]
    notes += [f"{g.label}: {g.asked - len(g.rows)} of {g.asked} trials did not finish (see below)." for g in short]
    notes += marked(groups(results))
    notes += [f"{g.label}: {g.spec.weights.note}." for g in groups(results) if g.spec.weights.note]
    for g in groups(results):
        names = (g.rows[0] if g.rows else g.first).record.weights_names
        notes += [f"{g.label}: tensors {what}: {listed(list(found))}." for what, found in names.items() if found]
        if any(row.record.status == "ok" and not row.record.memory_method for row in g.rows):
            notes.append(f"{g.label}: a trial was repeated alone, unwatched: its memory and whole time are not known.")
        if lacks := (g.rows[0] if g.rows else g.first).record.facts.get("not as the recipe says"):
            notes.append(f"{g.label}, not as the recipe says: {lacks}.")
        if g.spec.feed.balance == "weighted":
            notes.append(f"{g.label}: positives weigh more in its losses, which are on another scale for that.")
        again = sorted({e for row in g.rows for e in row.record.resumed_after})
        notes += [f"{g.label}: taken up again after epoch {', '.join(map(str, again))}."] if again else []
    return (*notes, *results.run.notes)


def further_scores_table(results: Results) -> Table:
    """Macro and micro averages, mAP and the best single threshold."""
    top = percentile_names(results)[-1]
    rows = []
    for group in groups(results):
        at = [row.scores["percentiles"][top] for row in group.rows]
        cells = [
            spread([a[f"{kind}_{m}"] for a in at]) for kind in ("macro", "micro") for m in ("precision", "recall", "f1")
        ]
        maps = spread([row.scores["mAP"] for row in group.rows])
        rows.append((group.label, *cells, maps, spread([row.scores["threshold"]["f1"] for row in group.rows])))
    for which in ("prior", "oracle"):
        each = [ref[which] for ref in results.references.values()]
        # The oracle's labels beyond the true ones go by class number, which macro averages would take for a score.
        cells = [
            spread([e["percentiles"][top][f"{kind}_{m}"] for e in each])
            if (which, kind) != ("oracle", "macro")
            else NONE
            for kind in ("macro", "micro")
            for m in ("precision", "recall", "f1")
        ]
        rows.append((which, *cells, spread([e["mAP"] for e in each]), spread([e["threshold"]["f1"] for e in each])))
    empty = sorted({c for ref in results.references.values() for c in ref["prior"]["classes_without_positives"]})
    notes = [
        "macro: mean over classes; micro: over all labels; mAP: mean over classes of the average precision.",
        "F1 at one threshold for all images and labels: chosen on one half of the validation split, scored on the other.",
    ]
    if empty:
        names = ", ".join(f"{c} ({results.run.class_names[c]})" for c in empty)
        notes.append(f"Classes without positives in a validation split, left out of macro averages and mAP: {names}.")
    header = (
        "row",
        *(f"{k} {m} at {top}" for k in ("macro", "micro") for m in ("precision", "recall", "F1")),
        "mAP",
        "F1, one threshold",
    )
    return Table("Further scores", header, tuple(rows), tuple(notes))


def epochs_table(results: Results) -> Table:
    """The paper's figure 12 for every trial."""
    rows = []
    bad = {row.record.spec.name for g in groups(results) if g.excluded for row in g.rows}
    for row in results.rows:
        record = row.record
        name = record.spec.name + (f" {MARK}" if record.spec.name in bad else "")
        crowded = contended(record)
        for e in record.epochs:
            number_of = f"{e.epoch} {CONTENDED_MARK}" if e.epoch in crowded else str(e.epoch)
            rows.append(
                (
                    name, number_of, f"{e.train_s:.1f}", f"{e.first_step_s:.2f}", f"{e.wait_s:.2f}",
                    f"{e.validation_s:.1f}", f"{e.images_per_s:.1f}", f"{e.train_loss:.5f}", f"{e.validation_loss:.5f}",
                    "yes" if e.improved else "no", f"{e.load_average:.1f}", number(e.others, ".2f"),
                )
            )  # fmt: skip
    header = (
        "trial", "epoch", "train s", "first step s", "wait s", "validation s", "images/s", "train loss", "val loss",
        "best so far", "machine load", "others' cores",
    )  # fmt: skip
    note = (
        "The first step is part of its epoch. Validation loss: the harness's own, from the logits, in float64. Machine "
        "load: processes that wanted a core, all of the machine's, mean of a minute. Others' cores: kept busy by other processes "
        "while the epoch trained, mean."
    )
    flag = (
        f"{CONTENDED_MARK}: other processes used more than {CONTENDED:.0%} of what the trial's threads can use, as the mean of "
        "the epoch or for some seconds of it. The times of such an epoch are too long; run it again on a quiet machine "
        "(--wait-for-quiet)."
    )
    return Table(
        "Epochs", header, tuple(rows), (note, flag) if any(contended(row.record) for row in results.rows) else (note,)
    )


def figures(results: Results) -> dict[str, str]:
    """File below the run folder -> what it shows; none where no trial finished."""
    done = [row.record for row in results.rows if row.record.status == "ok"]
    if not done:
        return {}
    found = {
        "figures/by_percentile.png": "F1 by percentile, between prior and oracle",
        "figures/by_epoch.png": "validation loss and F1 by epoch",
        "figures/time_against_f1.png": "training time against F1, one mark a trial",
    }
    watched = {"figures/where_time_went.png": "seconds of a whole trial, by what they went into"}
    return found | (watched if any(record.memory_method for record in done) else {})


def data_figures(results: Results) -> dict[str, str]:
    """The same for the data: the paper's figures 1, 2 and 4."""
    found = {"figures/distribution.png": "positives of each label in the training split, before and after balancing"}
    return found | ({"figures/samples.png": "training images with their labels"} if results.sample_rows else {})


def failures(results: Results) -> list[Row]:
    return [row for row in results.rows if row.record.status != "ok"]


def environment_table(results: Results) -> Table:
    """The machine, and each framework's own words."""
    rows = [(key, value) for key, value in results.run.machine.items()]
    seen: dict[str, dict[str, Any]] = {}
    for row in results.rows:
        if row.record.environment:
            seen.setdefault(row.record.spec.framework, row.record.environment)
    rows += [(f"{name}: {key}", str(value)) for name, env in seen.items() for key, value in env.items()]
    return Table("Environment", ("what", "value"), tuple(rows))

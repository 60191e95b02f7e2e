"""PURE: Results -> tables of text, and the words under them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from common.analysis.grouping import CONTENDED_MARK, MARK, Group, contended, groups
from common.analysis.stats import over_seeds
from common.core.results import CONTENDED, Results, Row, RunRecord
from common.core.scores import REFERENCES, PercentileScores, Reference, Scores
from common.report.reading import percentile_notes

NONE = "–"
INTERVAL = "95 % of F1"


@dataclass(frozen=True)
class ColumnNote:
    """A note that explains one column."""

    column: str
    text: str

    def __str__(self) -> str:
        return f"{self.column}: {self.text}"


@dataclass(frozen=True)
class Table:
    """A title, a header, rows of cells, and notes below. Every cell is text."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str | ColumnNote, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The notes as people read them."""
        return tuple(map(str, self.notes))

    def only(self, title: str, columns: Iterable[str]) -> "Table":
        """Some of the columns, for a narrow terminal, without the notes on the others."""
        columns = tuple(columns)
        places = [self.header.index(c) for c in columns]
        notes = tuple(note for note in self.notes if not isinstance(note, ColumnNote) or note.column in columns)
        return Table(title, columns, tuple(tuple(r[i] for i in places) for r in self.rows), notes)


def number(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)


def spread(values: list[float], form: str = ".3f", narrow: bool = False) -> str:
    """'0.472', or '0.472 ± 0.004' (standard deviation over the repeats) where there are several; narrow: '0.472±.004'."""
    if not values:
        return NONE
    text = format(float(np.mean(values)), form)
    if len(values) == 1:
        return text
    deviation = format(float(np.std(values, ddof=1)), form)
    return f"{text}±{deviation.removeprefix('0')}" if narrow else f"{text} ± {deviation}"


def shares(group: Group, percentile: str, narrow: bool = False) -> str:
    """Of the way from the prior to the oracle."""
    found = (scores.percentiles[percentile].share for scores in group.scores)
    return spread([share for share in found if share is not None], "z.2f", narrow)


def share_of(which: Reference) -> str:
    """The same of the prior and the oracle themselves."""
    return "0" if which == "prior" else "1"


def count(n: int | None) -> str:
    return NONE if n is None else f"{n:,}"


def images_words(run: RunRecord) -> str:
    """How many images, how large, with how many outputs."""
    used = next((split.train + split.validation for split in run.splits.values()), 0)
    images = f"{run.rows:,} images" + (f" ({used:,} of them used)" if used != run.rows else "")
    return f"{images} at {run.image_side} x {run.image_side}, {len(run.class_names)} outputs"


def percentile_names(results: Results) -> list[str]:
    return [f"{p:g}" for p in results.run.percentiles]


def f1_interval(group: Group, percentile: str) -> str:
    """'[.468, .476]': over the images of the one or two seeds (the widest), or over three seeds and more."""
    at = [scores.percentiles[percentile] for scores in group.scores]
    if not at:
        return NONE
    seeds = over_seeds(np.array([a.f1 for a in at]))
    low, high = (seeds.low, seeds.high) if seeds else (min(a.f1_low for a in at), max(a.f1_high for a in at))
    return f"[{low:.3f}, {high:.3f}]"


def means(each: Iterable[PercentileScores], *names: str) -> list[str]:
    """The mean of each of the scores."""
    each = list(each)
    return [spread([getattr(scores, name) for scores in each]) for name in names]


def scores_table(results: Results) -> Table:
    """The paper's figure 13: precision, recall and F1 over images at each percentile."""
    names, rows = ("precision", "recall", "f1"), []
    for p in percentile_names(results):
        for group in groups(results):
            at = [scores.percentiles[p] for scores in group.scores]
            rows.append((p, group.label, *means(at, *names), shares(group, p), f1_interval(group, p)))
        for which in REFERENCES:
            cells = means((ref[which].percentiles[p] for ref in results.references.values()), *names)
            rows.append((p, which, *cells, share_of(which), NONE))
        for name, published in results.run.published.items():
            if p in published:
                rows.append((p, name, *(number(published[p].get(m), ".3f") for m in names), NONE, NONE))
    interval = ColumnNote(
        INTERVAL, "bootstrap over the validation images; from 3 seeds on, Student's interval of the mean over seeds."
    )
    picked, *others = scores_notes(results)
    header = ("percentile", "row", "precision", "recall", "F1", "share of the way", INTERVAL)
    return Table("Scores by percentile", header, tuple(rows), (picked, interval, *others))


def scores_notes(results: Results) -> tuple[str, ...]:
    """How scores at a percentile are to be read: the first note says it, the others what is peculiar to these percentiles."""
    return (
        "A label is picked where its score is strictly above that percentile of the image's own scores; precision, recall "
        "and F1 are averaged over images. prior: every image gets the class frequencies. oracle: the best that distinct "
        "scores can do. share: 0 at the prior, 1 at the oracle, below 0 worse than the prior.",
        *percentile_notes(len(results.run.class_names), results.run.percentiles),
    )


def further_scores_table(results: Results) -> Table:
    """Macro and micro averages, mAP and the best single threshold."""
    top = percentile_names(results)[-1]
    macro, micro = ([f"{kind}_{name}" for name in ("precision", "recall", "f1")] for kind in ("macro", "micro"))
    rows = []
    for group in groups(results):
        cells = means((scores.percentiles[top] for scores in group.scores), *macro, *micro)
        rows.append((group.label, *cells, *_whole(group.scores)))
    for which in REFERENCES:
        each = [ref[which] for ref in results.references.values()]
        at = [scores.percentiles[top] for scores in each]
        # The oracle's labels beyond the true ones go by class number, which macro averages would take for a score.
        cells = [NONE] * len(macro) if which == "oracle" else means(at, *macro)
        rows.append((which, *cells, *means(at, *micro), *_whole(each)))
    empty = sorted({c for ref in results.references.values() for c in ref["prior"].classes_without_positives})
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


def _whole(each: Sequence[Scores]) -> tuple[str, str]:
    """mAP, and F1 at one threshold."""
    return spread([scores.mAP for scores in each]), spread([scores.threshold.f1 for scores in each])


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
    seen: dict[str, dict[str, str]] = {}
    for row in results.rows:
        if row.record.environment:
            seen.setdefault(row.record.spec.framework, row.record.environment)
    rows += [(f"{name}: {key}", str(value)) for name, env in seen.items() for key, value in env.items()]
    return Table("Environment", ("what", "value"), tuple(rows))

"""PURE: what is known of a data set and its plans -> tables."""

from collections.abc import Sequence

import numpy as np

from common.core.audit import PlanAudit, SplitSizes, of_first_seed
from common.core.scores import REFERENCES, References
from common.report.table import Table, count, number

BAR = 24  # characters of the longest bar
MOST_COLUMNS = 40  # of the 0/1 rows that are shown
MOST_SETS = 10


def reading_table(lines: list[tuple[str, str]]) -> Table:
    """How the data was read (common/data/reading.py)."""
    return Table("How the data was read", ("what", "read as"), tuple(lines))


def plans_table(audits: dict[str, PlanAudit], splits: dict[str, SplitSizes], notes: Sequence[str] = ()) -> Table:
    """What each plan visits, before and after balancing. notes: on the splits."""
    rows, before = [], None
    for name, a in audits.items():
        sides = {"after": a.after} if a.before == before else {"before": a.before, "after": a.after}
        before = a.before  # all plans of a seed begin alike
        for side, s in sides.items():
            worst = max((r for r in s.IRLbl if r is not None), default=None)
            mean = number(s.MeanIR, ".2f")
            rows.append((f"{name}, {side}", count(s.images), count(s.unique_images), mean, number(worst, ".1f")))
    words = "; ".join(
        f"seed {seed}: {s.train:,} train, {s.validation:,} validation"
        + (f", {s.test:,} test" if s.test else "") + f", hash {s.split_hash}"
        for seed, s in splits.items()
    )  # fmt: skip
    note = "IRLbl: positives of the most frequent label over this label's; MeanIR: its mean (Charte et al. 2015)."
    header = ("plan", "images per epoch", "unique images", "MeanIR", "largest IRLbl")
    return Table("Data", header, tuple(rows), (f"Splits: {words}.", *notes, note))


def labels_table(class_names: tuple[str, ...], audits: dict[str, PlanAudit]) -> Table:
    """Positives of each label in the training split, before and after each balancing of the first seed (the paper's
    figures 1 and 2 as numbers)."""
    if not audits:
        return Table("Labels of the training split", ("label", "name", "positives", "IRLbl"), ())
    seed, shown = of_first_seed(audits)
    before = next(iter(shown.values())).before
    changed = {name: a.after for name, a in shown.items() if a.after.label_counts != before.label_counts}
    top = max([*before.label_counts, 1])
    rows = []
    for c, (name, n) in enumerate(zip(class_names, before.label_counts)):
        after = [text for a in changed.values() for text in (count(a.label_counts[c]), number(a.IRLbl[c], ".1f"))]
        bar = "█" * round(BAR * n / top) or ("▏" if n else "")
        rows.append((str(c), name, count(n), number(before.IRLbl[c], ".1f"), bar, *after))
    header = ["label", "name", "positives", "IRLbl", "positives, to scale"]
    header += [text for name in changed for text in (f"{name}: positives", f"{name}: IRLbl")]
    return Table(f"Labels of the training split (seed {seed})", tuple(header), tuple(rows))


def rows_table(ids: Sequence[str], rows: Sequence[Sequence[int]], class_names: tuple[str, ...]) -> Table:
    """The first images as 0/1 rows (the paper's figure 3)."""
    columns = range(min(len(class_names), MOST_COLUMNS))
    cells = tuple((image, *(str(row[c]) for c in columns)) for image, row in zip(ids, rows))
    notes = (f"The first {MOST_COLUMNS} of {len(class_names)} labels.",) if len(class_names) > MOST_COLUMNS else ()
    return Table("Images as 0/1 rows", ("image", *map(str, columns)), cells, notes)


def label_sets_table(labels: np.ndarray, class_names: tuple[str, ...]) -> Table:
    """The most frequent label sets. labels: 0/1 [n, classes]."""
    sets, counts = np.unique(labels, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_SETS]
    rows = tuple(
        (", ".join(class_names[c] for c in np.flatnonzero(sets[i])) or "none", count(int(counts[i])),
         f"{counts[i] / len(labels):.1%}") for i in order
    )  # fmt: skip
    each = labels.sum(axis=1)
    notes = (
        f"{len(sets):,} distinct label sets; {each.mean():.2f} labels an image, at most {int(each.max())}; "
        f"{int((each == 0).sum()):,} images without a label.",
    )
    return Table(f"The {len(rows)} most frequent label sets", ("label set", "images", "share"), rows, notes)


def reference_table(references: dict[str, References], percentiles: tuple[float, ...]) -> Table:
    """F1 of the scorers that never look and always know: what a model's F1 lies between."""
    names = [f"{p:g}" for p in percentiles]
    rows = tuple(
        (f"{which} ({seed})", *(f"{scores[which].percentiles[p].f1:.3f}" for p in names))
        for seed, scores in references.items()
        for which in REFERENCES
    )
    return Table("F1 of those who never look and always know", ("row", *(f"F1 at {p}" for p in names)), rows)

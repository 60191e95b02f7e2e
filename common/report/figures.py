"""Results -> PNG figures, the same bytes for the same results."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.analysis.grouping import Group, groups
from common.analysis.timing import PARTS
from common.core.audit import PlanAudit, of_first_seed
from common.core.files import replacing
from common.core.results import Results
from common.core.scores import Reference
from common.report.canvas import plt
from common.report.table import figures, percentile_names
from common.report.timing import by_part, shown

LINES = ("-", "--", "-.", ":")
REFERENCE_LINES: dict[Reference, str] = {"oracle": "-", "prior": ":"}
MARKS = "osD^vP*X"
MOST_LABELS = 80  # bars of the distribution that can still be read


def _style(all_groups: list[Group], group: Group) -> dict:
    """Colour by framework, line and mark by model: the same everywhere on the page. Every second framework's mark is
    small and full, the others' large and hollow, so that two rows at one point are both seen."""
    frameworks = list(dict.fromkeys(g.key.framework for g in all_groups))
    kinds = list(dict.fromkeys(g.kind for g in all_groups))
    kind = kinds.index(group.kind)
    place = frameworks.index(group.key.framework)
    return {
        "color": f"C{place}", "linestyle": LINES[kind % len(LINES)], "marker": MARKS[kind % len(MARKS)],
        "markersize": 11 - 5 * (place % 2), "markerfacecolor": "none" if place % 2 == 0 else f"C{place}",
        "markeredgewidth": 1.8, "label": group.label,
    }  # fmt: skip


def save(figure: plt.Figure, path: Path) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)


def _mean_by_epoch(lists: Sequence[Sequence[float]]) -> np.ndarray:
    return np.mean([values for values in lists if len(values) == len(lists[0])], axis=0)


def _reference_lines(axes: plt.Axes, results: Results) -> None:
    """Prior and oracle at the last percentile."""
    name = percentile_names(results)[-1]
    for which, style in REFERENCE_LINES.items():
        f1 = float(np.mean([ref[which].percentiles[name].f1 for ref in results.references.values()]))
        axes.axhline(f1, color="0.6", linewidth=4, alpha=0.5, linestyle=style, label=which, zorder=0)


def by_epoch(results: Results, path: Path) -> None:
    """Validation loss and F1 at the last percentile, by epoch."""
    shown = [g for g in groups(results) if g.rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2))
    for group in shown:
        style = _style(shown, group)
        losses = _mean_by_epoch([[e.validation_loss for e in row.record.epochs] for row in group.rows])
        left.plot(range(1, len(losses) + 1), losses, **style)
        f1 = _mean_by_epoch([scores.f1_by_epoch for scores in group.scores])
        right.plot(range(1, len(f1) + 1), f1, **style)
    _reference_lines(right, results)
    for axes, what in ((left, "validation loss"), (right, f"F1 at the {results.run.percentiles[-1]:g}th percentile")):
        axes.set(xlabel="epoch", ylabel=what)
        axes.xaxis.set_major_locator(plt.MaxNLocator(integer=True))
        axes.ticklabel_format(axis="y", useOffset=False)
        axes.set_xlim(0.5, max(max((len(r.record.epochs) for g in shown for r in g.rows), default=1), 2) + 0.5)
        axes.grid(alpha=0.3)
    figure.legend(
        *right.get_legend_handles_labels(), loc="upper center", ncols=2, bbox_to_anchor=(0.5, 0.0), fontsize=9
    )
    save(figure, path)


def by_percentile(results: Results, path: Path) -> None:
    """F1 by percentile, between prior and oracle."""
    shown = [g for g in groups(results) if g.rows]
    names = percentile_names(results)
    figure, axes = plt.subplots(figsize=(8, 4.6))
    for which, line in REFERENCE_LINES.items():
        values = [np.mean([ref[which].percentiles[p].f1 for ref in results.references.values()]) for p in names]
        axes.plot(names, values, color="0.6", linewidth=4, alpha=0.5, label=which, linestyle=line)
    for group in shown:
        values = [np.mean([scores.percentiles[p].f1 for scores in group.scores]) for p in names]
        axes.plot(names, values, **_style(shown, group))
    for name, published in results.run.published.items():
        theirs = [published.get(p, {}).get("f1", math.nan) for p in names]
        axes.plot(names, theirs, color="black", marker="x", linewidth=1, label=name.replace(": ", ":\n"))
    axes.set(xlabel="percentile of the image's own scores", ylabel="F1, averaged over images")
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9)
    save(figure, path)


def time_against_f1(results: Results, path: Path) -> None:
    """Seconds of training and validation against F1: up and to the left is better."""
    shown = [g for g in groups(results) if g.rows]
    name = percentile_names(results)[-1]
    figure, axes = plt.subplots(figsize=(8, 4.6))
    for group in shown:
        style = _style(shown, group) | {"linestyle": "none"}
        seconds = [sum(e.train_s + e.validation_s for e in row.record.epochs) for row in group.rows]
        axes.plot(seconds, [scores.percentiles[name].f1 for scores in group.scores], **style)
    _reference_lines(axes, results)
    axes.set(
        xlabel="seconds of training and validation, all epochs (log scale)",
        ylabel=f"F1 at the {name}th percentile",
        xscale="log",
    )
    axes.xaxis.set_major_formatter(plt.FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(plt.FormatStrFormatter("%g"))
    axes.tick_params(axis="x", which="both", labelsize=8)
    axes.grid(alpha=0.3, which="both")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9)
    save(figure, path)


def distribution(class_names: tuple[str, ...], audits: dict[str, PlanAudit], path: Path) -> None:
    """Positives of each label, before and after each balancing of the first seed (the paper's figures 1 and 2)."""
    _, first = of_first_seed(audits)
    before = next(iter(first.values())).before.label_counts
    after = {f"after: {balance}": audit.after.label_counts for balance, audit in first.items()}
    bars = {"before": before} | {name: counts for name, counts in after.items() if counts != before}
    shown = range(min(len(class_names), MOST_LABELS))
    more = f", the first {MOST_LABELS} of {len(class_names)} labels" if len(class_names) > MOST_LABELS else ""
    figure, axes = plt.subplots(figsize=(max(6, 0.42 * len(shown) * len(bars)), 4.2))
    width = 0.8 / len(bars)
    for i, (label, counts) in enumerate(bars.items()):
        axes.bar([c + i * width for c in shown], [counts[c] for c in shown], width, label=label, color=f"C{i}")
    axes.set(ylabel=f"positives in the training split (log scale){more}", yscale="symlog")
    axes.set_xticks(
        [c + 0.4 - width / 2 for c in shown],
        [class_names[c] for c in shown],
        rotation=60,
        ha="right",
        fontsize=8,
        parse_math=False,
    )
    axes.grid(alpha=0.3, axis="y")
    axes.legend(fontsize=9)
    save(figure, path)


def samples(images: np.ndarray, words: tuple[str, ...], path: Path) -> None:
    """Images with their labels below (the paper's figure 4). images: uint8 [n, side, side, 3]."""
    columns = min(4, len(images))
    rows = -(-len(images) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(2.4 * columns, 2.8 * rows), squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, image, text in zip(grid.flat, images, words):
        axes.imshow(image)
        axes.set_title(textwrap.fill(text, 30), fontsize=7, parse_math=False)  # a $ in a name is a $
    save(figure, path)


def where_time_went(results: Results, path: Path) -> None:
    """Stacked bars: seconds of a whole trial by what they went into, one bar a row of the tables."""
    rows = shown(results)
    found = [by_part(g) for g in rows]
    figure, axes = plt.subplots(figsize=(9, 1.4 + 0.45 * len(rows)))
    left, place = np.zeros(len(rows)), np.arange(len(rows))
    names = [name for name in PARTS if any(name in f for f in found)]
    for name in names:
        widths = np.array([max(f.get(name, 0.0), 0.0) for f in found])
        axes.barh(place, widths, left=left, label=name, color=plt.get_cmap("tab20")(PARTS.index(name) / len(PARTS)))
        left += widths
    axes.set_yticks(place, [g.label for g in rows])
    axes.invert_yaxis()
    axes.set_xlabel("seconds")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.3), ncol=4, fontsize=8)
    save(figure, path)


DRAWN = {
    "figures/by_percentile.png": by_percentile,
    "figures/by_epoch.png": by_epoch,
    "figures/time_against_f1.png": time_against_f1,
    "figures/where_time_went.png": where_time_went,
}


def draw(results: Results, folder: Path) -> None:
    """Write every figure that the results have below `folder`."""
    for name in figures(results):
        DRAWN[name](results, folder / name)
    distribution(results.run.class_names, results.run.audits, folder / "figures/distribution.png")
    if results.sample_rows:
        with np.load(folder / "samples.npz") as arrays:
            samples(arrays["images"], results.sample_rows, folder / "figures/samples.png")

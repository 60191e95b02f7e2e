"""The runs of a folder -> their history: tables, a figure, and the page that holds both."""

from pathlib import Path
from typing import NamedTuple

from common.analysis.history import LEAST, Point, Series, history
from common.analysis.records import read_results
from common.analysis.summary import EPOCH_S, PEAK_MEMORY, summarise
from common.core.clock import start_text
from common.core.errors import InputError
from common.core.files import write_text
from common.report.canvas import plt
from common.report.figures import save
from common.report.html import html_page
from common.report.markdown import Section, joined, linked, table
from common.report.table import NONE, Table

FIGURE = "figures/history.png"
FORMS = {EPOCH_S: ".1f", PEAK_MEMORY: ".0f"}  # of F1: three digits


class Written(NamedTuple):
    """What was found, and where it stands."""

    tables: list[Table]
    files: list[Path]


def write_history(folder: Path, row: str = "") -> Written:
    """The history of all runs in the folder, of the rows whose label, or run, has the words `row`; nothing where there are none.
    A run that cannot be read is named below the table, and left out."""
    runs, unread = [], []
    for file in sorted(folder.glob("*/run.json")):
        try:
            results = read_results(file.parent)
            runs.append((results.run.started, summarise(results)))
        except (InputError, OSError) as error:
            unread.append(f"Left out: {error}.")
    found = [series for series in history(runs) if any(row in name for name in (series.label, *_runs(series)))]
    if not found:
        return Written([], [])
    tables = [steps_table(found), runs_table(found, unread)]
    draw(found, folder / FIGURE)
    words = "F1 at the last percentile, seconds of an epoch and memory, run by run; dotted: a step"
    sections = [Section(part) for part in ("# History", table(tables[0]), linked({FIGURE: words}), table(tables[1]))]
    files = [folder / name for name in ("history.md", "history.html", FIGURE)]
    write_text(files[0], joined(sections))
    write_text(files[1], html_page("History", sections, {FIGURE: (folder / FIGURE).read_bytes()}))
    return Written(tables, files)


def _runs(series: Series) -> list[str]:
    return [point.run for points in series.points.values() for point in points]


def runs_table(found: list[Series], unread: list[str]) -> Table:
    """One line for every run of every job, oldest first."""
    rows = []
    for series in found:
        metrics = list(series.points)
        for points in zip(*series.points.values()):
            cells = [_value(metric, point) for metric, point in zip(metrics, points)]
            rows.append((series.label, series.machine, start_text(points[0].started), points[0].run, *cells))
    note = "F1, seconds of an epoch (of later ones), memory: means over a run's seeds, from three seeds on with the 95 % interval."
    header = ("row", "machine", "started", "run", "F1", EPOCH_S, PEAK_MEMORY)
    return Table("Runs", header, tuple(rows), (note, *unread))


def steps_table(found: list[Series]) -> Table:
    """Where a metric left what the runs before let expect."""
    rows = tuple(
        (series.label, metric, step.run, f"{step.before:{_form(metric)}}", f"{step.after:{_form(metric)}}",
         f"{step.after / step.before - 1:+.1%}" if step.before else NONE, "; ".join(step.changed) or NONE)
        for series in found for metric, steps in series.steps.items() for step in steps
    )  # fmt: skip
    short = sum(len(next(iter(series.points.values()))) <= LEAST for series in found)
    notes = [
        "A step: outside the interval in which the runs since the last step let a further one be expected with 99 %."
    ]
    notes += [f"{short} of {len(found)} rows have {LEAST} runs or fewer, too few for that."] if short else []
    header = ("row", "metric", "at the run", "before (mean)", "then", "change", "what else changed")
    return Table("Steps", header, rows, tuple(notes))


def draw(found: list[Series], path: Path) -> None:
    """A panel for each metric, runs in order; a step is a dotted line."""
    metrics = ("F1", EPOCH_S, PEAK_MEMORY)
    figure, panels = plt.subplots(len(metrics), 1, figsize=(9, 8), sharex=False)
    for i, series in enumerate(found):
        for axes, (metric, points) in zip(panels, series.points.items()):
            values = [p.value for p in points]
            line = axes.plot(range(len(values)), values, marker="o", color=f"C{i}", label=series.label)
            for at, point in enumerate(points):
                if point.low is not None:
                    axes.plot([at, at], [point.low, point.high], color=line[0].get_color(), linewidth=4, alpha=0.3)
            for step in series.steps[metric]:
                axes.axvline([p.run for p in points].index(step.run) - 0.5, color=f"C{i}", linestyle=":")
    for axes, metric in zip(panels, metrics):
        axes.set(ylabel=metric, xlabel="run of its row, oldest first")
        axes.xaxis.set_major_locator(plt.MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="upper center", bbox_to_anchor=(0.5, 0.0), fontsize=8)
    save(figure, path)


def _form(metric: str) -> str:
    return FORMS.get(metric, ".3f")


def _value(metric: str, point: Point) -> str:
    text = f"{point.value:{_form(metric)}}"
    return text if point.low is None else f"{text} [{point.low:{_form(metric)}}, {point.high:{_form(metric)}}]"

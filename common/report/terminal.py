"""Results -> the tables a person reads at the end of a run."""

import os
import re
import sys
from pathlib import Path
from typing import Literal

from rich import box
from rich.console import Console as RichConsole
from rich.markup import escape
from rich.table import Table as RichTable

from common.analysis.comparison import pairs
from common.analysis.grouping import groups
from common.core.formatting import command
from common.core.results import Results
from common.core.scores import REFERENCES
from common.report.ceilings import asked, ceilings_table
from common.report.comparison_table import comparison_table
from common.report.output import Output
from common.report.table import (
    NONE,
    Table,
    data_figures,
    failures,
    figures,
    number,
    percentile_names,
    scores_notes,
    share_of,
    shares,
    spread,
)
from common.report.timing import by_part, sentences, shown

WHAT = ("row", "weights", "recipe", "GMAC", "trainable")
COST = ("row", "epoch 1 s", "later epochs s", "validation s", "prediction s", "images/s", "peak memory")
SHORT = {"later epochs s": "later s", "validation s": "valid. s", "prediction s": "pred. s", "peak memory": "memory"}
WIDEST = 24  # characters of a column that cannot break
STOPPED = ("interrupted", "missing")
NUMBER = re.compile(r"[-\d.,±– ]+( [KMG]iB)?")


class Console(RichConsole):
    """The terminal. It goes on, in silence, where nobody reads any more (`| head`): rich's own would end a run of hours without
    a word."""

    @property
    def progress(self) -> RichConsole:
        return self

    def show_table(self, table: Table, notes: bool = True) -> None:
        show(self, table, notes)

    def show_line(self, text: str = "", style: str = "", wrap: bool = False) -> None:
        self.print(text, style=style, highlight=False, soft_wrap=not wrap, markup=False)

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show(console: RichConsole, t: Table, notes: bool = True) -> None:
    """The table, without its last columns where the terminal is too narrow for them: cut cells would be other numbers."""
    widths = [_width(t, i) for i in range(len(t.header))]
    shown = len(t.header)
    while shown > 2 and sum(widths[:shown]) + shown + 1 > console.width:  # a space before each column, one after
        shown -= 1
    widths = _widened(t, widths[:shown], console.width - shown - 1)
    hidden = t.header[shown:] if t.rows else ()
    t = Table(t.title, t.header[:shown], tuple(row[:shown] for row in t.rows), t.notes)
    rich = RichTable(
        title=escape(t.title),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 0),
    )
    for i, name in enumerate(t.header):
        justify: Literal["right", "left"] = "right" if _numeric(t, i) else "left"
        rich.add_column(SHORT.get(name, name), justify=justify, width=widths[i])
    for row in t.rows:
        rich.add_row(*map(escape, row))
    console.print(rich if t.rows else f"[bold]{escape(t.title)}")
    for note in t.texts if notes else ():
        console.print(escape(note), style="dim", highlight=False)
    if hidden:
        words = ", ".join(hidden)
        said = f"Too wide for this terminal: {escape(words)}; make it wider, or read the report."
        console.print(said, style="dim", highlight=False)


def _numeric(t: Table, column: int) -> bool:
    return column > 0 and all(NUMBER.fullmatch(row[column]) for row in t.rows)


def _width(t: Table, column: int) -> int:
    """The least that a column needs: numbers do not break over lines, other cells and headers only between words."""
    cells = [row[column] for row in t.rows]
    pieces = cells if _numeric(t, column) else [word for cell in cells for word in cell.split()]
    name = t.header[column]
    return min(max(map(len, [*pieces, *SHORT.get(name, name).split()]), default=0), WIDEST)


def _widened(t: Table, widths: list[int], room: int) -> list[int]:
    """The widths, each as much larger as its longest cell wants, while there is room: the one that lacks least first.

    Left to itself, rich shrinks columns below their least width, and cuts the last ones off.
    """
    columns = [[SHORT.get(name, name), *(row[i] for row in t.rows)] for i, name in enumerate(t.header)]
    lacks = [max(map(len, cells)) - width for cells, width in zip(columns, widths)]
    widths = list(widths)
    for i in sorted(range(len(widths)), key=lambda i: lacks[i]):
        given = max(0, min(lacks[i], room - sum(widths)))
        widths[i] += given
    return widths


def scores_by_row(results: Results) -> Table:
    """F1 at every percentile, one line a row: the paper's table turned, so that it fits a terminal."""
    percentiles = percentile_names(results)
    lines = []
    for g in groups(results):
        f1 = ([s.percentiles[p].f1 for s in g.scores] for p in percentiles)
        lines.append(
            (g.label, *(spread(values, narrow=True) for values in f1), shares(g, percentiles[-1], narrow=True))
        )
    for which in REFERENCES:
        f1 = ([reference[which].percentiles[p].f1 for reference in results.references.values()] for p in percentiles)
        lines.append((which, *(spread(values, narrow=True) for values in f1), share_of(which)))
    for name, published in results.run.published.items():
        if published.keys() & set(percentiles):
            lines.append((name, *(number(published.get(p, {}).get("f1"), ".3f") for p in percentiles), NONE))
    header = ("row", *(f"F1 at {p}" for p in percentiles), f"share at {percentiles[-1]}")
    return Table("Scores (F1 averaged over images)", header, tuple(lines), scores_notes(results))


def show_results(output: Output, results: Results, folder: Path) -> None:
    """What ran, what it cost, what came out; what failed, with the way to repeat it; where the report lies."""
    comparison = comparison_table(results)
    output.show_line()
    output.show_table(comparison.only("What ran", WHAT), notes=False)
    output.show_table(comparison.only("What it cost", COST))
    output.show_line()
    output.show_table(scores_by_row(results))
    if asked(results):
        output.show_table(ceilings_table(results))
    if shown(results):
        output.show_line("\nWhere the time went", "bold")
    for g in shown(results):
        for sentence in sentences(g, by_part(g)):
            output.show_line(f"{g.label}: {sentence}", wrap=True)
    for row in failures(results):
        record = row.record
        if record.status == "missing":
            continue
        output.show_line(f"\n{record.spec.name}: {record.status}: {record.reason}", "red")
        log = folder / "trials" / record.spec.name / "log.txt"
        output.show_line(f"  log: {log}")
        if record.status == "interrupted":
            continue
        output.show_line(f"  repeat it alone, from the project's folder, then `report`: {record.repeat_command}")
    if left := [row for row in results.rows if row.record.status in STOPPED]:
        words = command("--resume", folder)
        output.show_line(f"\n{len(left)} of {len(results.rows)} trials were stopped or not begun; to go on: {words}")
    if found := pairs(groups(results), results):
        words = command("compare", folder)
        proven = any(p.ratio for p in found)
        output.show_line(
            f"\nwhich framework is faster: {words if proven else 'these rows do not say; run them with --recipe matched'}"
        )
    output.show_line(f"\nreport: {folder / 'results.md'}")
    output.show_line(f"page: {folder / 'index.html'} (the same, for a browser)")
    for name, about in (figures(results) | data_figures(results)).items():
        output.show_line(f"figure: {folder / name} ({about})")

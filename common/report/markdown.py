"""PURE: Results -> the page of a run in Markdown, section by section."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from common.analysis.grouping import groups
from common.core.clock import start_text
from common.core.results import Results
from common.report import compared
from common.report.ceilings import asked, ceilings_table
from common.report.comparison_table import comparison_table
from common.report.data import labels_table, plans_table, reading_table, rows_table
from common.report.differences import differences
from common.report.reading import read_as
from common.report.table import (
    Table,
    data_figures,
    environment_table,
    epochs_table,
    failures,
    figures,
    further_scores_table,
    images_words,
    scores_table,
)
from common.report.timing import shown, timing_table

NO_RANKING = (
    "No ranking of frameworks is given here: these rows differ in more than the framework (see below), and nothing proves "
    "that they did the same work. `--recipe matched` and `--suite matched` put it to the proof."
)


# What would be an escape, code, emphasis, a tag, a link, an entity, or at the beginning a heading, quote, list or rule. Brackets
# alone are none of it, so that intervals stay as they are.
SPECIAL = re.compile(
    r"([\\`*<]|(?<=\])[(\[:]|(?<!\w)_|_(?!\w)|&(?=#?\w+;)|^[#>]|^[-+](?=\s)|^[-=](?=[-=\s]*$)|(?<=^\d)[.)](?=\s))"
)


def table(t: Table, level: int = 2) -> str:
    """A title, a pipe table (none without rows), and its notes."""

    def line(cells: tuple[str, ...]) -> str:
        return "| " + " | ".join(plain(cell).replace("|", "\\|") for cell in cells) + " |"

    lines = ["#" * level + f" {plain(t.title)}"]
    lines += ["", line(t.header), "|" + " --- |" * len(t.header), *map(line, t.rows)] if t.rows else []
    return "\n".join(lines + [text for note in t.texts for text in ("", plain(note))])


def plain(text: str) -> str:
    """One line that Markdown shows as it is: a label may be named `![a](b.png)`, which would fetch a file."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split("\n")))


@dataclass(frozen=True)
class Section:
    """A part of a page, in Markdown. folded: closed at first in the HTML page, for few read it; then it begins with its
    heading. highlight: the HTML page marks the cells in which the rows of its tables differ."""

    text: str
    folded: bool = False
    highlight: bool = False


def joined(sections: Iterable[Section]) -> str:
    """The page in Markdown."""
    return "\n\n".join(section.text.strip("\n") for section in sections) + "\n"


def page(results: Results) -> list[Section]:
    """The whole page of a run."""
    run = results.run
    matched = any(row.record.spec.recipe.formulas == "matched" for row in results.rows)
    different = differences(groups(results))
    found = [Section(_head(results)), Section(table(scores_table(results)))]
    found.append(Section(table(comparison_table(results)), highlight=True))
    parts = [table(t) for t in compared.tables(results)] + ([] if matched else [NO_RANKING])
    parts += [table(timing_table(results))] if shown(results) else []
    parts += [table(ceilings_table(results))] if asked(results) else []
    parts += [linked(figures(results))]
    parts += [_failures(results)] if failures(results) else []
    parts += [_different(different)] if different else []
    parts += [table(further_scores_table(results))]
    found += [*map(Section, parts), Section(table(epochs_table(results)), folded=True)]
    if run.reading:
        found.append(Section(table(reading_table(read_as(run.reading, run.class_names, run.percentiles)))))
    found += [Section(table(plans_table(run.audits, run.splits))), Section(linked(data_figures(results)))]
    found.append(Section(table(labels_table(run.class_names, run.audits)), folded=True))
    if run.first_rows:
        first = rows_table(list(run.first_rows), list(run.first_rows.values()), run.class_names)
        found.append(Section(table(first), folded=True))
    return [*found, Section(table(environment_table(results)), folded=True)]


def _head(results: Results) -> str:
    run = results.run
    lines = [
        f"# {plain(run.name)}",
        "",
        f"{plain(run.dataset)}: {images_words(run)}. Started {start_text(run.started)} with",
        "",
        *(f"    {line}" for line in run.command.splitlines()),
    ]
    return "\n".join(lines)


def _different(found: list[tuple[str, str]]) -> str:
    lines = (f"- **{plain(what)}**: {plain(rest)}" for what, rest in found)
    return "## What the rows do not have in common\n\n" + "\n".join(lines)


def linked(found: dict[str, str]) -> str:
    """Figures with their words, as links below the page's folder."""
    return "\n".join(f"![{about}]({name})\n\n{about}\n" for name, about in found.items())


def _failures(results: Results) -> str:
    blocks = ["## Trials that did not finish"]
    for row in failures(results):
        record = row.record
        tail = "\n".join(f"    {line}" for line in record.log_tail.splitlines())
        block = f"**{record.spec.name}**: {record.status}. {plain(record.reason)}\n\nTo repeat it alone, from the project's folder, then `report`:\n\n    {record.repeat_command}"
        blocks.append(block + (f"\n\nThe end of its log:\n\n{tail}" if tail else ""))
    return "\n\n".join(blocks)

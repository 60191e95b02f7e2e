"""PURE: Results -> where the time went: seconds by part, plain sentences, and what would shorten it."""

from typing import get_args

import numpy as np

from common.analysis.grouping import Group, groups
from common.analysis.timing import (  # fmt: skip
    FIRST,
    HELD,
    PARTS,
    START,
    TUNING,
    VALIDATION,
    WAIT,
    WORTH_SAYING,
    counted,
    frozen_again_s,
    made_all,
    parts,
    tells_waits,
    unaccounted,
    watched,
    whole_s,
)
from common.core.formatting import config_text, time_text
from common.core.results import Results, Tuning
from common.core.specs import Part
from common.report.table import NONE, Table

PARTS_OF_MODEL: tuple[Part, ...] = get_args(Part)
FITS = 0.02  # of the whole: the parts may fall short of it, or exceed it, by so much


def by_part(group: Group) -> dict[str, float]:
    """Seconds of each part, mean over the repeats that count; PARTS' order."""
    each = [parts(row.record) for row in counted(group.rows)]
    return {name: float(np.mean([p.get(name, 0.0) for p in each])) for name in PARTS if any(name in p for p in each)}


def shown(results: Results) -> list[Group]:
    """The groups whose trials were watched from outside: of others the whole is not known."""
    return [g for g in groups(results) if g.rows and len(watched(g.rows)) == len(g.rows)]


def timing_table(results: Results) -> Table:
    """Seconds of a trial by what they went into, and their share of the whole."""
    each = {g.label: by_part(g) for g in shown(results)}
    columns = [name for name in PARTS if any(name in found for found in each.values())]
    rows, notes = [], []
    for g in shown(results):
        found = each[g.label]
        whole = sum(found.values())
        cells = (f"{found[name]:.1f} ({found[name] / whole:.0%})" if name in found else NONE for name in columns)
        rows.append((g.label, f"{whole:.1f}", *cells))
        notes += [f"{g.label}: {sentence}" for sentence in sentences(g, found)]
        if tuning := g.rows[0].record.tuning:
            notes.append(f"{g.label}: {tuning_text(tuning)}")
        if kept := [row for row in g.rows if not made_all(row.record)]:
            took = np.median([whole_s(row.record) for row in kept])
            only = "" if len(kept) == len(g.rows) else "not counted here: "
            notes.append(
                f"{g.label}: {only}{len(kept)} of {len(g.rows)} trials found features that an earlier one had kept, and took "
                f"{time_text(float(took))}."
            )
        notes += [f"{g.label}: {words}" for words in (*_unfit(g), *_unlike(g))]
    run = results.run
    decoded = f"{run.decoded:,} images decoded now" if run.decoded else "all images had been decoded before"
    if run.decode_s:
        notes.append(f"Before the first trial, once for all: {time_text(run.decode_s)} for the pixels, {decoded}.")
    notes.append(
        "Seconds of a whole trial, from its process's start to its end, mean over the repeats that made their own features. start: import, build, load. "
        "first step: of every epoch, in which graphs are built. validation: the last prediction and the test table too. steps: training steps "
        "that were not taken apart. wait for data: between steps; on Keras, handing the batch over to the compiled step is part of it. writing: receipts, "
        "checkpoints, logits, weights. ending: of the process, after its last word. other: what no clock was held to; what a stop lost."
    )
    return Table("Where the time went", ("row", "whole s", *columns), tuple(rows), tuple(notes))


def _unfit(group: Group) -> list[str]:
    """Where the parts do not make up the whole, in words."""
    timed = [
        row for row in group.rows if row.record.lived_s and not row.record.resumed_after
    ]  # older runs timed no ending
    each = [unaccounted(row.record) for row in timed]
    over = min(unaccounted(row.record) for row in group.rows)
    found = [f"its parts exceed the whole by {-over:.1%}: do not trust them."] if over < -FITS else []
    if each and max(each) > FITS:
        found.append(f"its parts leave {max(each):.1%} of the whole open: something takes time that has no part.")
    return found


def _unlike(group: Group) -> list[str]:
    """Which parts the repeats of a tuned row executed in different configs: their seconds are then of unlike things."""
    found = []
    for part in PARTS_OF_MODEL:
        rows = counted(group.rows) if part == "frozen" else group.rows
        configs = dict.fromkeys(config_text(config) for row in rows if (config := row.record.tuning.config(part)))
        if len(configs) > 1:
            found.append(
                f"its repeats ran the {part} part in unlike ways ({'; '.join(configs)}): each searches for itself."
            )
    return found


def sentences(group: Group, found: dict[str, float]) -> list[str]:
    """What took most, and what would shorten it, from the measured parts."""
    whole = sum(found.values())
    name, most = max(found.items(), key=lambda item: item[1])
    said = [f"of {time_text(whole)} the largest part, {most / whole:.0%}, went into: {name}."]
    again = float(np.mean([frozen_again_s(row.record) for row in counted(group.rows)]))
    if again > WORTH_SAYING * whole:
        said.append(
            f"the frozen part ran more than once over the same images: keeping its output (--lane tuned) would save "
            f"{time_text(again)} of {time_text(whole)}, and running each part faster what comes on top."
        )
    if found.get(WAIT, 0.0) > WORTH_SAYING * whole and tells_waits(group.first.record):
        said.append(
            f"between steps training waited {time_text(found[WAIT])} for data: without that it would take "
            f"{time_text(whole - found[WAIT])}."
        )
    short = sum(found.get(n, 0.0) for n in (START, FIRST, TUNING))
    if short > 0.5 * whole:
        said.append(
            f"{short / whole:.0%} went into start and first steps: times of so short a trial say little of the framework."
        )
    if found.get(VALIDATION, 0.0) > 0.3 * whole:
        said.append(
            f"validation took {found[VALIDATION] / whole:.0%} of the time; fewer epochs, or a smaller split, would shorten it."
        )
    for row in group.rows:
        tuning = row.record.tuning
        if tuning.filled and tuning.forecast_frozen_s >= 1.0:  # less is noise
            forecast_s = tuning.forecast_frozen_s * tuning.filled / (tuning.images or tuning.filled)
            said.append(_held("the frozen part", forecast_s, tuning.fill_s))
            break
    trained = group.rows[0].record
    if trained.tuning.forecast_trained_s >= 1.0:
        said.append(_held("training", trained.tuning.forecast_trained_s, sum(e.train_s for e in trained.epochs)))
    return said


def tuning_text(tuning: Tuning) -> str:
    """What the tuned lane tried and chose for each part, and what its store holds."""
    parts = [f"nothing is kept: {tuning.skip_reason}"] if tuning.skip_reason else []
    if tuning.shape:
        filled = f"{tuning.filled:,} images in {tuning.fill_s:.1f} s" if tuning.filled else "kept from an earlier trial"
        parts.append(f"features of {tuning.dtype} {list(tuning.shape)}, {filled}")
    for part in PARTS_OF_MODEL:
        if config := tuning.config(part):
            tried = "; ".join(str(each) for each in tuning.tried if each.part == part)
            parts.append(f"{part} part: {config_text(config)}" + (f" (tried: {tried})" if tried else ""))
    return "; ".join(parts) + "."


def _held(what: str, forecast_s: float, took_s: float) -> str:
    off = took_s / forecast_s - 1
    held = "held" if abs(off) <= HELD else "did not hold"
    return f"the forecast of {time_text(forecast_s)} for {what} {held} ({off:+.0%})."

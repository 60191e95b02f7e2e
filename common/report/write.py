"""A run folder's report: results.json, results.csv, figures, results.md, index.html; made again from its files at any time."""

from pathlib import Path

import numpy as np
import pandas as pd

from common.analysis.grouping import groups
from common.analysis.records import read_results
from common.analysis.scores import picks
from common.core.errors import readable
from common.core.files import write_json, write_text
from common.core.results import Results
from common.report.figures import draw
from common.report.html import html_page
from common.report.markdown import Section, joined, page
from common.report.table import data_figures, figures


def write_report(folder: Path) -> Results:
    """Read the run's files, score them, and write every table and figure."""
    results = read_results(folder)
    sections = page_of(results)  # first: what cannot be told is not drawn either
    write_json(folder / "results.json", results.model_dump())
    write_text(folder / "results.csv", csv(results))
    draw(results, folder)
    write_predictions(folder, results)
    write_text(folder / "results.md", joined(sections))
    drawn = {name: (folder / name).read_bytes() for name in figures(results) | data_figures(results)}
    write_text(folder / "index.html", html_page(results.run.name, sections, drawn))
    return results


def page_of(results: Results) -> list[Section]:
    """The page, section by section. InputError where what the run says of its data is damaged."""
    with readable(f"the run '{results.run.name}'"):
        return page(results)


def write_predictions(folder: Path, results: Results) -> None:
    """predictions.csv of every trial that has seen a test table, in the competition's form: labels by the table's own numbers,
    or by their places where its labels are names."""
    for row in results.rows:
        trial, spec = folder / "trials" / row.record.spec.name, row.record.spec
        if row.record.status != "ok" or not spec.feed.test_images:
            continue
        with np.load(trial / "logits.npz") as logits, np.load(folder / spec.feed.plan) as plan:
            chosen = picks(logits["test"], results.run.predict_at)
            rows = plan["test_rows"] - results.run.rows  # numbered on from the labelled ones
        with np.load(folder / spec.feed.labels) as arrays:
            ids = arrays["test_ids"][rows]
        numbers = np.array(results.run.class_numbers or range(chosen.shape[1]))
        labels = [" ".join(map(str, numbers[c])) for c in chosen]
        write_text(trial / "predictions.csv", pd.DataFrame({"ImageID": ids, "Labels": labels}).to_csv(index=False))


def csv(results: Results) -> str:
    """One line a trial, flat, for a spreadsheet."""
    lines = []
    why = {row.record.spec.name: g.excluded or "" for g in groups(results) for row in (g.first, *g.rows)}
    for row in results.rows:
        why.setdefault(row.record.spec.name, "")  # a trial that failed beside others that did not
        r, spec = row.record, row.record.spec
        line = {
            "trial": spec.name, "framework": spec.framework, "model": str(spec.model), "weights": spec.weights.source,
            "train": spec.trained_part, "balance": spec.feed.balance, "seed": spec.seed,
            "status": r.status, "reason": r.reason, "enters_no_ratio": why[spec.name], "gmac": r.facts.get("gmac"), "parameters": r.facts.get("parameters"),
            "trainable_parameters": r.facts.get("trainable_parameters"), "start_s": r.start_s,
            "prediction_s": r.prediction_s, "wall_s": r.wall_s, "peak_memory_bytes": r.peak_memory_bytes,
            "peak_device_bytes": r.peak_device_bytes,
        }  # fmt: skip
        for e in r.epochs:
            line |= {f"epoch{e.epoch}_{k}": v for k, v in e.model_dump().items() if k != "epoch"}
        scores = row.scores
        for p, values in (scores.percentiles if scores else {}).items():
            line |= {f"{k}_at_{p}": v for k, v in values.model_dump().items()}
        line |= {"mAP": scores and scores.mAP, "validation_loss": scores and scores.validation_loss}
        lines.append(line)
    return pd.DataFrame(lines).to_csv(index=False)

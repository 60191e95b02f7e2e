"""A data set without a trial: its tables, figures and page."""

from pathlib import Path

import numpy as np

from common import plan, prepare
from common.balance import audit
from common.decode import ImageError, decode
from common.files import write_text
from common.report.data import label_sets_table, labels_table, plans_table, reference_table, rows_table
from common.report.figures import distribution, samples
from common.report.markdown import linked, table
from common.report.table import Table
from common.scores import oracle_scores, prior_scores, score
from common.types import Dataset, PlanSpec, Settings

BALANCES = ("none", "oversample", "undersample")


def write_survey(settings: Settings) -> tuple[Path, list[Table]]:
    """The page's file and its tables. InputError where the data cannot be used."""
    dataset = prepare.read_data(settings)
    folder = Path(settings.results_dir) / f"data-{dataset.name}"
    plans = {b: _plan(dataset, settings, b) for b in BALANCES}
    drawn = plans["none"]
    audits = {
        f"seed {settings.seed}, balance {b}": audit(dataset.labels, p.train_rows, p.visits) for b, p in plans.items()
    }
    splits = {
        str(settings.seed): {
            "train": len(drawn.train_rows), "validation": len(drawn.validation_rows), "test": len(dataset.test_ids),
            "split_hash": plan.hashes(drawn)["split"],
        }
    }  # fmt: skip
    truth = dataset.labels[drawn.validation_rows]
    counts = dataset.labels[drawn.train_rows].sum(axis=0, dtype=np.int64)
    both = {"prior": prior_scores(counts, len(truth)), "oracle": oracle_scores(truth)}
    references = {f"seed {settings.seed}": {k: score(v, truth, settings.percentiles) for k, v in both.items()}}
    rows = [[int(v) for v in row] for row in dataset.labels[:5]]
    tables = [
        _size_table(dataset), label_sets_table(dataset.labels, dataset.class_names),
        labels_table(dataset.class_names, audits), plans_table(audits, splits),
        reference_table(references, settings.percentiles), rows_table(dataset.ids[:5].tolist(), rows, dataset.class_names),
    ]  # fmt: skip
    drawn_figures = {"figures/distribution.png": "positives of each label in the training split"}
    distribution(dataset.class_names, audits, folder / "figures/distribution.png")
    words, images = _sample_images(dataset, drawn.train_rows)
    if len(images):
        drawn_figures["figures/samples.png"] = "training images with their labels"
        samples(images, words, folder / "figures/samples.png")
    else:
        tables[0] = Table(tables[0].title, tables[0].header, tables[0].rows, ("No samples: the images are not there.",))
    text = [f"# {dataset.name}", *map(table, tables), linked(drawn_figures)]
    write_text(folder / "data.md", "\n\n".join(text) + "\n")
    return folder / "data.md", tables


def _plan(dataset: Dataset, settings: Settings, balance: str):
    return plan.make_plan(dataset.labels, PlanSpec(seed=settings.seed, split=settings.split, balance=balance), 1)


def _size_table(dataset: Dataset) -> Table:
    counts = dataset.labels.sum(axis=0, dtype=np.int64)
    rows = (
        ("images", f"{len(dataset):,}"), ("test images, without labels", f"{len(dataset.test_ids):,}"),
        ("labels", str(len(dataset.class_names))), ("labels that never occur", str(int((counts == 0).sum()))),
        ("positives", f"{int(counts.sum()):,}"), ("positives by label", " ".join(map(str, counts))),
    )  # fmt: skip
    return Table(dataset.name, ("what", "value"), rows)


def _sample_images(dataset: Dataset, rows: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Words and pixels of a few images; those that cannot be decoded are left out."""
    words, images = [], []
    for row in prepare.sample_rows(rows):
        try:
            pixels = decode(str(dataset.paths[row]), prepare.SAMPLE_SIDE)
        except ImageError:
            continue
        names = ", ".join(dataset.class_names[c] for c in np.flatnonzero(dataset.labels[row])) or "none"
        words.append(f"{dataset.ids[row]}: {names}")
        images.append(np.frombuffer(pixels, np.uint8).reshape(prepare.SAMPLE_SIDE, prepare.SAMPLE_SIDE, 3))
    return tuple(words), np.array(images)

"""A data set without a trial: its tables, figures and page."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from common.analysis.records import image_words, reference_scores
from common.core.callbacks import Progress, Say
from common.core.dataset import Dataset
from common.core.files import check_writable, write_text
from common.core.settings import Settings
from common.core.specs import Balance
from common.data.bad_images import check_missing, without_bad
from common.data.decode import ImageError, decode
from common.data.plan import few_notes
from common.report.data import label_sets_table, labels_table, plans_table, reference_table, rows_table
from common.report.figures import distribution, samples
from common.report.markdown import linked, table
from common.report.reading import classes_text
from common.report.table import Table
from common.run import prepare
from common.run.plans import described as planned
from common.run.plans import draw_plans
from common.run.samples import FIRST, SAMPLE_SIDE, sample_rows

BALANCES: tuple[Balance, ...] = ("none", "oversample", "undersample")  # those that change what is visited


def write_survey(settings: Settings, dataset: Dataset, reading: Table) -> tuple[Path, list[Table]]:
    """The page's file and its tables, of which `reading` is the first. InputError where the data cannot be used."""
    check_writable(Path(settings.results_dir), "--results-dir")
    folder = Path(settings.results_dir) / f"data-{dataset.name}"
    everyone, tests = np.arange(len(dataset)), np.arange(len(dataset), len(dataset) + len(dataset.test_ids))
    plans = draw_plans(settings.model_copy(update={"epochs": 1}), dataset, BALANCES, everyone, tests)
    splits, audits = planned(dataset, plans)
    drawn = plans[settings.seed, "none"]
    train, truth = dataset.labels[drawn.train_rows], dataset.labels[drawn.validation_rows]
    references = {f"seed {settings.seed}": reference_scores(train, truth, settings.percentiles)}
    rows = [[int(v) for v in row] for row in dataset.labels[:FIRST]]
    tables = [
        reading,
        _size_table(dataset),
        label_sets_table(dataset.labels, dataset.class_names),
        labels_table(dataset.class_names, audits),
        plans_table(audits, splits, few_notes(plans.values())),
        reference_table(references, settings.percentiles),
        rows_table(dataset.ids[:FIRST].tolist(), rows, dataset.class_names),
    ]
    drawn_figures = {"figures/distribution.png": "positives of each label in the training split"}
    distribution(dataset.class_names, audits, folder / "figures/distribution.png")
    words, images = _sample_images(dataset, drawn.train_rows)
    if len(images):
        drawn_figures["figures/samples.png"] = "training images with their labels"
        samples(images, words, folder / "figures/samples.png")
    else:
        tables[1] = replace(tables[1], notes=(*tables[1].notes, "No samples: the images are not there."))
    text = [f"# {dataset.name}", *map(table, tables), linked(drawn_figures)]
    write_text(folder / "data.md", "\n\n".join(text) + "\n")
    return folder / "data.md", tables


def _size_table(dataset: Dataset) -> Table:
    counts = dataset.labels.sum(axis=0, dtype=np.int64)
    never = tuple(name for name, n in zip(dataset.class_names, counts) if not n)
    rows = (
        ("images", f"{len(dataset):,}"),
        ("test images, without labels", f"{len(dataset.test_ids):,}"),
        ("labels", str(len(dataset.class_names))),
        ("labels that never occur", f"{len(never)}: {classes_text(never)}" if never else "0"),
        ("positives", f"{int(counts.sum()):,}"),
        ("positives by label", " ".join(map(str, counts))),
    )
    return Table(dataset.name, ("what", "value"), rows)


def _sample_images(dataset: Dataset, rows: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Words and pixels of a few images; those that cannot be decoded are left out."""
    words, images = [], []
    for row in sample_rows(rows):
        try:
            pixels = decode(str(dataset.paths[row]), SAMPLE_SIDE)
        except ImageError:
            continue
        words.append(image_words(dataset.ids[row], dataset.labels[row], dataset.class_names))
        images.append(np.frombuffer(pixels, np.uint8).reshape(SAMPLE_SIDE, SAMPLE_SIDE, 3))
    return tuple(words), np.array(images)


def check_images(settings: Settings, dataset: Dataset, say: Say, progress: Progress) -> list[str]:
    """Decode every image once and return notes on those that a run would leave out.

    InputError that lists every image that a run would refuse.
    """
    check_missing(settings, dataset)
    pixels = prepare.decode_all(settings.model_copy(update={"pixels": "decode"}), dataset, say, progress)
    return without_bad(settings, dataset, pixels.bad)[2]

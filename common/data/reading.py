"""Readings of a data set that are refused: no labels, one class, an image in two rows."""

from collections import Counter

from common.core.dataset import Dataset
from common.core.errors import InputError, listed


def check(dataset: Dataset) -> None:
    """InputError where no run could make sense of what was read: an image in two rows, twin classes, nothing to tell apart."""
    check_names(dataset)
    table = f"'{dataset.name}'" + (f" ({dataset.reading.table})" if dataset.reading else "")
    twins = [f"'{name}' ({n} times)" for name, n in Counter(dataset.class_names).items() if n > 1]
    if twins:
        raise InputError(f"{table} has several classes of one name: {listed(twins)}; rename them, or join them to one")
    if not len(dataset) or not dataset.labels.any():
        raise InputError(
            f"{table}: no image has a label ({len(dataset):,} images, {len(dataset.class_names)} classes); nothing can be "
            "learned from it: is the right column read? name it with --label-columns NAME"
        )
    if len(dataset.class_names) == 1:
        (name,) = dataset.class_names
        raise InputError(
            f"{table} has a single class, '{name}'; scores need two or more, since each image's labels are those whose scores "
            "lie above a percentile of that image's own scores: name more columns, or, where the cells are 0 and 1, read them "
            f"as two classes with --label-columns '{name}'"
        )


def check_names(dataset: Dataset) -> None:
    """InputError that lists every image that stands in several rows."""
    column = f" (column '{dataset.reading.image_column}')" if dataset.reading and dataset.reading.image_column else ""
    for what, ids, paths in (("", dataset.ids, dataset.paths), (" test", dataset.test_ids, dataset.test_paths)):
        of = dict(zip(paths.tolist(), ids.tolist()))
        twice = [f"'{of[path]}' ({n} rows)" for path, n in Counter(paths.tolist()).items() if n > 1]
        if twice:
            raise InputError(
                f"{len(twice)} of the{what} images of '{dataset.name}'{column} stand in several rows: {listed(twice)}; an image "
                "in both splits would flatter every score: keep one row for each, with all its labels"
            )

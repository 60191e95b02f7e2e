"""Images that cannot be used: refused in one message, or left out where the user says so."""

import numpy as np

from common.core.dataset import Dataset
from common.core.errors import InputError, listed
from common.core.settings import Settings


def check_missing(settings: Settings, dataset: Dataset) -> None:
    """InputError where most images are not where the table says, or none in the folder that the user names: it is known before
    anything is decoded. What a few lack is told with everything else that cannot be decoded."""
    _check_folder(settings.images, dataset)
    n = len(dataset) + len(dataset.test_ids)
    lacking = [i for i, path in enumerate((*dataset.paths, *dataset.test_paths)) if path in dataset.missing]
    if settings.on_bad_image == "fail" and len(lacking) * 2 > n:
        raise InputError(_bad_images(dataset, {row: "" for row in lacking}))


def _check_folder(folder: str, dataset: Dataset) -> None:
    """InputError where --images names a folder that is used for no table."""
    if folder and dataset.reading and not dataset.uses_images_flag:
        raise InputError(
            f"--images {folder}: no image of '{dataset.name}' is there under the name that the table gives; without the flag "
            f"images are found in {listed(list(dataset.reading.image_folders))}: leave it out, or name the right folder"
        )


def without_bad(settings: Settings, dataset: Dataset, bad: dict[int, str]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The rows to plan with, the test rows, and a note where some were dropped. InputError that lists all bad ones."""
    n, m = len(dataset), len(dataset.test_ids)
    rows, test_rows = np.arange(n), np.arange(n, n + m)
    if not bad:
        return rows, test_rows, []
    if settings.on_bad_image == "fail":
        raise InputError(_bad_images(dataset, bad))
    dropped = np.array(list(bad))
    note = f"Dropped by --on-bad-image skip, {len(bad)} of the {n + m:,} images: {_reasons(dataset, bad)}"
    return np.setdiff1d(rows, dropped), np.setdiff1d(test_rows, dropped), [note]


def _reasons(dataset: Dataset, bad: dict[int, str]) -> str:
    ids = [*dataset.ids.tolist(), *dataset.test_ids.tolist()]
    paths = [*dataset.paths.tolist(), *dataset.test_paths.tolist()]
    return listed([f"{ids[row]} ({dataset.missing.get(paths[row], why)})" for row, why in sorted(bad.items())])


def _bad_images(dataset: Dataset, bad: dict[int, str]) -> str:
    """What is wrong with which images, where they were looked for, and what to do."""
    n = len(dataset) + len(dataset.test_ids)
    paths = [*dataset.paths.tolist(), *dataset.test_paths.tolist()]
    wrong = "were not found" if all(paths[row] in dataset.missing for row in bad) else "cannot be decoded"
    where = f" Images were looked for in {dataset.looked_in}." if dataset.missing and dataset.looked_in else ""
    return (
        f"{len(bad)} of the {n:,} images of '{dataset.name}' {wrong}: {_reasons(dataset, bad)}.{where} Mend or remove "
        "what is broken, or take --on-bad-image skip, which trains without it"
        + ("; for images in another folder take --images FOLDER" if dataset.missing else "")
    )

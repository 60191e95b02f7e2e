"""A data set as it was read, and how: values that every format makes."""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from common.core.specs import Value

LabelForm = Literal["0/1 columns", "lists", "one name", "0/1 vectors", "a row per label", "annotations"]


class UnusedColumn(Value):
    """A column of a table that is neither image nor label."""

    name: str
    reason: str


class Reading(Value):
    """How a data set was read: what the reader decided, or was told by flags."""

    format: str
    table: str  # file name, from the data folder
    encoding: str = ""
    delimiter: str = ""
    image_column: str = ""
    image_folders: tuple[str, ...] = ()  # from the data folder
    label_form: LabelForm
    label_columns: tuple[str, ...] = ()
    label_separator: str = ""
    unused_columns: tuple[UnusedColumn, ...] = ()
    notes: tuple[str, ...] = ()  # whole sentences


@dataclass(frozen=True)
class Dataset:
    """What a format reads from a folder. Row i of every field is the same image."""

    name: str
    folder: str  # absolute; images outside it are refused
    ids: np.ndarray  # str [n]
    paths: np.ndarray  # str [n], absolute
    labels: np.ndarray  # uint8 [n, classes], 0 or 1
    class_names: tuple[str, ...]
    captions: tuple[str, ...]  # as in the file, unaltered; empty strings where there are none
    default_side: int  # pixels; the image side used where the user names none
    published: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)  # others' rows, by percentile
    test_ids: np.ndarray = field(default_factory=lambda: np.empty(0, str))  # str [m]: images without labels
    test_paths: np.ndarray = field(default_factory=lambda: np.empty(0, str))
    # Why an image is not there: path -> reason, for the images that were not found.
    missing: dict[str, str] = field(default_factory=dict)
    looked_in: str = ""  # where the images were looked for, in words; "" where all were found
    uses_images_flag: bool = True  # whether images of any table are looked for in the folder that --images names
    class_numbers: tuple[int, ...] = ()  # the table's own number of each class, where its labels are numbers
    in_validation: np.ndarray = field(
        default_factory=lambda: np.empty(0, bool)
    )  # bool [n]: the author's split, or empty
    groups: np.ndarray = field(default_factory=lambda: np.empty(0, str))  # str [n]: the group column's cells, or empty
    reading: Reading | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def first(self, n: int) -> "Dataset":
        """The first n rows of either table, as `--limit` takes them; of the author's split, n rows spread over both parts."""
        rows = np.arange(len(self))[:n]
        if len(self.in_validation) and n < len(self):
            rows = np.unique(np.linspace(0, len(self) - 1, n).astype(int))
        kept = {
            key: getattr(self, key)[rows]
            for key in ("ids", "paths", "labels", "in_validation", "groups")
            if len(getattr(self, key))
        }
        captions = tuple(self.captions[i] for i in rows)
        return replace(self, **kept, captions=captions, test_ids=self.test_ids[:n], test_paths=self.test_paths[:n])

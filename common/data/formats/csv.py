"""Any table of images: a 0/1 column for each class, or one column of labels in any of its usual forms."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from common.core.dataset import Dataset, Reading
from common.core.errors import InputError, listed
from common.core.settings import NO_OPTIONS, ReadOptions
from common.data.formats import comp5329
from common.data.images import Images, Located
from common.data.tables import author_split, rows
from common.data.tables.columns import Columns, check_named, columns_of
from common.data.tables.files import Tables, several, tables_of
from common.data.tables.image_column import column_of_test, image_column, with_folders
from common.data.tables.labels import Labels, from_cells, from_columns
from common.data.tables.text import Table, example, one_line, read_table

LOOKS_LIKE = (
    "a .csv or .tsv table, or a folder with train.csv or a single one (also metadata.csv or _classes.csv in train/): a "
    "column of image files, and a 0/1 column for each class or a column of labels"
)


MOST_SHOWN = 6  # tables that are not used
Reader = Callable[[Path, ReadOptions], Table]


def is_table(file: Path) -> bool:
    return file.suffix.lower() in (".csv", ".tsv")


def recognises(path: Path) -> bool:
    found = tables_of(path, is_table)
    return found is not None and not comp5329.recognises(path)


def read(path: Path, options: ReadOptions = NO_OPTIONS) -> Dataset:
    """Every row. InputError that lists all rows that cannot be read, or that says what can be read in two ways."""
    found = tables_of(path, (lambda f: f.suffix == path.suffix or is_table(f)) if path.is_file() else is_table)
    if found is None:
        there = several(path, is_table)
        raise InputError(
            f"no table at '{path}': give a .csv file, or a folder with train.csv or a single one beside test.csv"
            + (f"; there are {listed(there)}: name one, e.g. --data '{path / there[0]}'" if there else "")
        )
    return dataset_of(found, path, options)


def dataset_of(
    found: Tables, path: Path, options: ReadOptions, reader: Reader = read_table, form: str = "csv"
) -> Dataset:
    """The data set of a table of training data and what stands beside it. reader: how a file of that format becomes cells."""
    table = reader(found.train, options)
    check_named(table, options)
    if not len(table):
        raise InputError(f"{table.path} has no rows; expected one for each image (its columns: {example(table)})")
    train_images = Images(found.train.parent, options.images)
    image = image_column(table, train_images, options)
    table = with_folders(table, image, train_images, options)
    if options.split == "given" and found.validation:
        second = reader(found.validation, options)
        if image in second.columns:
            second = with_folders(second, image, Images(found.validation.parent, options.images), options)
        if not {*table.columns} <= {*second.columns}:
            columns = _columns(table, image, options)
            used = [image, *columns.matrix, columns.labels, *columns.also, columns.split, columns.group]
            table = rows.shared(table, second, used)
        table = table.joined(second)
    columns = _columns(table, image, options)
    table = one_line(table, image, columns.labels)
    rows.check_images(table, image)
    if columns.group:
        rows.check_groups(table, columns.group, options)
    labels = (
        from_cells(table, columns.labels, options, columns.also)
        if columns.labels
        else from_columns(table, columns.matrix, options)
    )
    table, labels, presence, notes = rows.one_row_an_image(table, image, columns, labels, options)
    columns = replace(columns, unused=tuple(c for c in columns.unused if c.name != presence)) if presence else columns
    parts, more = author_split.author_parts(table, columns, found, options)
    notes = [*notes, *more]
    test = reader(found.test, _for_test(options)) if found.test else None
    return _assembled(found, path, options, form, table, test, columns, labels, parts, notes)


def _columns(table: Table, image: str, options: ReadOptions) -> Columns:
    """What every column is, with the author's split where a flag or its cells name it."""
    return columns_of(table, image, options, author_split.split_column(table, options))


def _assembled(
    found: Tables, path: Path, options: ReadOptions, form: str, table: Table, test: Table | None, columns: Columns,
    labels: Labels, parts: np.ndarray, notes: list[str],
) -> Dataset:  # fmt: skip
    """The Dataset of rows whose labels are known. parts: of each row train, val or test; "" where the author split nothing."""
    is_test = parts == "test"
    if found.validation and options.split != "given":
        notes = [*notes, f"{found.validation.name} is not used: --split given takes it as the validation split."]
    located = rows.located(table, columns.image, found, options)
    labelled = np.flatnonzero(~is_test)
    tests, more = _tests(found, test, columns, options, located, is_test)
    folder = found.train.parent if found.train.parent == path or path.is_file() else path
    if columns.group:
        kept = [cell for cell, test_row in zip(table.column(columns.group), is_test) if not test_row]
        notes = [*notes, *rows.group_notes(kept, options)]
    if found.others:
        notes = [*notes, f"Tables that are not used: {_shown(found.others, folder)}."]
    reading = Reading(
        format=form, table=_below(found.train, folder), encoding=table.encoding, delimiter=table.delimiter,
        image_column=columns.image, image_folders=located.folders, label_form=labels.form,
        label_columns=columns.matrix or (columns.labels, *columns.also), label_separator=labels.separator,
        unused_columns=columns.unused,
        notes=(*table.notes, *columns.notes, *labels.notes, *notes, *located.notes, *more),
    )  # fmt: skip
    groups = np.array(table.column(columns.group), str) if columns.group else np.empty(0, str)
    return Dataset(
        name=_name(found.train, folder), folder=str(folder.resolve()), ids=located.ids[labelled],
        paths=located.paths[labelled], labels=labels.matrix[labelled], class_names=labels.names,
        captions=("",) * len(labelled), default_side=224, test_ids=tests.ids, test_paths=tests.paths,
        missing=located.missing | tests.missing, looked_in=located.looked_in or tests.looked_in,
        uses_images_flag=located.from_chosen or tests.from_chosen, class_numbers=labels.numbers,
        in_validation=(parts == "val")[labelled] if options.split == "given" else np.empty(0, bool),
        groups=groups[labelled] if columns.group else groups, reading=reading,
    )  # fmt: skip


def _name(table: Path, folder: Path) -> str:
    plain = table.stem.lower() in ("train", "metadata", "_classes") or table.parent != folder
    return folder.resolve().name if plain else table.stem


def _below(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else file.name


def _shown(files: tuple[Path, ...], folder: Path) -> str:
    return ", ".join(_below(f, folder) for f in files[:MOST_SHOWN]) + (", ..." if len(files) > MOST_SHOWN else "")


def _tests(
    found: Tables, table: Table | None, columns: Columns, options: ReadOptions, located: Located, is_test: np.ndarray
) -> tuple[Located, list[str]]:
    """The images to predict, and notes: those of the test table, or else the rows that the author calls test."""
    if is_test.any():
        kept = np.flatnonzero(is_test)
        notes = [f"{found.test.name} is not used: rows of {found.train.name} are test images."] if found.test else []
        return replace(located, ids=located.ids[kept], paths=located.paths[kept], missing={}), notes
    nothing = Located(np.empty(0, str), np.empty(0, str), (), {}, ())
    if not found.test or table is None:
        return nothing, []
    if not len(table):
        return nothing, [f"{found.test.name} has no rows."]
    images = Images(found.test.parent, options.images)
    column = column_of_test(table, columns.image, images, _for_test(options))
    with_folder = with_folders(table, column, images, _for_test(options))
    tests = images.locate(rows.check_images(with_folder, column), "test", found.test.name)
    notes = [f"Images of {found.test.name}: {note}" for note in tests.notes]
    with_labels = [name for name in (*columns.matrix, columns.labels) if name and name in table.columns]
    if with_labels:
        notes.append(f"The labels of {found.test.name} are not used: its images are predicted, not scored.")
    both = len({*tests.paths.tolist()} & {*located.paths.tolist()})
    if both:
        notes.append(
            f"{both:,} images of {found.test.name} are also in {found.train.name}: their predictions are of known images."
        )
    return tests, notes


def _for_test(options: ReadOptions) -> ReadOptions:
    """The flags that name columns are the training table's."""
    return ReadOptions(images=options.images, delimiter=options.delimiter, encoding=options.encoding)

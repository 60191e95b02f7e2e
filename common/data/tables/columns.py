"""Which column of a table names the images, which hold labels, and why the others are not used."""

from collections.abc import Sequence
from dataclasses import dataclass

from common.core.dataset import UnusedColumn
from common.core.errors import InputError, listed, unknown
from common.core.settings import ReadOptions
from common.data.tables.cells import coded, is_binary
from common.data.tables.files import given_flags
from common.data.tables.image_column import FILE_NAMES, ID_NAMES
from common.data.tables.label_columns import ONE_NAME, choose_labels
from common.data.tables.text import Table, plain, quoted

BARE_NAMES = set("val valid validation train test holdout".split())  # a split where the cells are 0/1
SPLIT_NAMES = set("split splitname set subset partition phase isvalid isval isvalidation istest istrain".split())
SPLIT_NAMES |= BARE_NAMES
OF_COLUMNS = (
    "image_column", "label_columns", "delimiter", "label_separator", "ignore_columns", "group_column", "split_column",
    "unknown",
)  # fmt: skip
AUTHORS_SPLIT = "the author's split; --split given takes it"
FOLD_NAMES = {"fold", "folds", "kfold", "foldid", "cvfold"}
GROUP_NAMES = set("patient patientid subject subjectid group groupid studyid caseid".split())
PERSON_NAMES = {"age", "sex", "gender", "patientage", "patientsex", "patientgender"}


@dataclass(frozen=True)
class Columns:
    """What each column of a table is."""

    image: str
    matrix: tuple[str, ...]  # 0/1 columns, a class each; empty where there is a column of labels
    labels: str  # one column of labels in another form, or ""
    split: str  # the author's split, or ""
    group: str  # what must not be on both sides, or ""
    unused: tuple[UnusedColumn, ...]
    notes: tuple[str, ...] = ()
    also: tuple[str, ...] = ()  # further columns of labels, whose cells are joined with those of `labels`


def check_named(table: Table, options: ReadOptions) -> None:
    """InputError for a flag that names a column which the table lacks, or has twice, or which another flag names too."""
    flags = {
        "--image-column": (options.image_column,), "--label-columns": options.label_columns,
        "--ignore-columns": options.ignore_columns, "--group-column": (options.group_column,),
        "--split-column": (options.split_column,),
    }  # fmt: skip
    flags_of: dict[str, list[str]] = {}
    for flag, names in flags.items():
        for name in dict.fromkeys(filter(None, names)):
            if name not in table.columns:
                raise unknown(f"column for {flag} in {table.path}:", name, table.columns)
            flags_of.setdefault(name, []).append(flag)
    both = [f"{' and '.join(of)} both name {name!r}" for name, of in flags_of.items() if len(of) > 1]
    if both:
        raise InputError(f"a column has one use: {listed(both)}; leave one of these flags out")
    twice = sorted(
        {name for name in table.columns if table.columns.count(name) > 1 and name} - {*options.ignore_columns}
    )
    if twice:
        raise InputError(
            f"{table.path} has several columns of one name: {listed([repr(name) for name in twice])}; rename all but one, or "
            f"leave them out: --ignore-columns {quoted(twice)}"
        )


def no_columns(form: str, options: ReadOptions) -> None:
    """InputError for a flag that names columns or cells, in a format that has none to choose from."""
    flags = given_flags(options, OF_COLUMNS)
    if flags:
        raise InputError(
            f"the format {form} has no columns to choose from, so {listed(flags)} cannot be used; leave it out, or write the "
            "data as a table (--format csv)"
        )


def columns_of(table: Table, image: str, options: ReadOptions, authors: str = "") -> Columns:
    """What every column but the image's is. authors: the column of the author's split, where it is known. InputError where
    the table can be read in two ways, with both."""
    unused: dict[str, str] = {}
    candidates = []
    splits, group = [authors] if authors else [], ""
    for name in table.columns:
        reason = _role(table, name)
        if name == image:
            continue
        if name and name == authors:
            unused[name] = AUTHORS_SPLIT
        elif name and name == options.group_column:
            group = name
        elif name in options.label_columns:
            candidates.append(name)
        elif name in options.ignore_columns:
            unused[name] = "--ignore-columns"
        elif options.label_columns and not reason:
            unused[name] = "not among --label-columns"
        elif reason:
            splits += [name] if plain(name) in SPLIT_NAMES else []
            unused[name] = reason
        else:
            candidates.append(name)
    chosen = choose_labels(table, candidates, options, unused)
    split = next(iter(splits), "")
    if splits and not authors and not options.label_columns and chosen.matrix:
        _check_train(table, splits, chosen.matrix)
    if split and options.split == "given":
        unused.pop(split, None)
    shown = tuple(UnusedColumn(name=name or "(no name)", reason=reason) for name, reason in unused.items())
    return Columns(image, chosen.matrix, chosen.labels, split, group, shown, chosen.notes, chosen.also)


def _check_train(table: Table, splits: Sequence[str], matrix: Sequence[str]) -> None:
    """InputError where a 0/1 column `train` stands beside 0/1 columns, and none such as `val`: it may be a class, as in VOC."""
    train = next((name for name in splits if plain(name) == "train" and is_binary(table.column(name))), "")
    if train and not any(plain(name) in BARE_NAMES for name in splits if name != train):
        raise InputError(
            f"{table.path} can be read in two ways: the 0/1 column '{train}' is the author's split, or it is a class like "
            f"{', '.join(matrix[:6])}{', ...' if len(matrix) > 6 else ''}; for the split take --ignore-columns {quoted([train])} "
            f"or --split given --split-column {quoted([train])}, for the class --label-columns {quoted([*matrix, train])}"
        )


def _role(table: Table, name: str) -> str:
    """Why a column is no label by its name or by what its cells are; "" where it may be one."""
    word = plain(name)
    if not name:
        return "it has no name; an index, as pandas writes one"
    if word in SPLIT_NAMES and _is_split(table.column(name)):
        bare = word in BARE_NAMES and is_binary(table.column(name))
        return AUTHORS_SPLIT + (", --label-columns takes it as a class" if bare else "")
    if word in FOLD_NAMES:
        return "a number of a fold"
    if word in GROUP_NAMES:
        return f"a group; --group-column {quoted([name])} keeps each on one side of the split"
    if word in PERSON_NAMES:
        return "a fact about a person, no label"
    if word == "confidence" and any(plain(c) in ONE_NAME for c in table.columns):
        return "whether the label is present, where the table has a row for each label"
    if word in (*FILE_NAMES, *ID_NAMES, "unnamed") and not _is_class(table, name):
        return "a name or number of the image"
    return ""


def _is_class(table: Table, name: str) -> bool:
    """Whether a column named as an image's is one of 0 and 1, such as a class `picture`: numbers of more than two rows are not."""
    return len(table) > 2 and {*(coded(table.column(name)) or ())} >= {0, 1}


SPLIT_WORDS = set("train training val valid validation dev test testing true false t f yes no y n 0 1 0.0 1.0".split())


def _is_split(cells: Sequence[str]) -> bool:
    return is_binary(cells) or all(cell.lower() in SPLIT_WORDS for cell in cells if cell)

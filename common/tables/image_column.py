"""Which column of a table names the images: the one whose cells are files, before the one with the usual name."""

from collections.abc import Callable, Sequence

from common.errors import InputError
from common.images import Images, is_image_name
from common.tables.cells import is_binary
from common.tables.text import Table, example, plain
from common.types import ReadOptions

# Names without anything but letters, in the order in which they are tried where the cells do not decide.
FILE_NAMES = (
    "filename filenames filepath filepaths file files fname fpath imagepath imgpath imagefile imgfile imagefilename "
    "imagename imgname imageid imgid imageindex image images img imgs picture photo path paths"
).split()
ID_NAMES = ("id", "uid", "key", "name", "index", "uuid")  # for images only where nothing else is
SAMPLED = 200  # rows that show which column names files
MOSTLY = 0.5  # of a column's cells


def image_column(table: Table, images: Images, options: ReadOptions) -> str:
    """The column whose cells name images: the one that is asked for, else the one whose cells are files, else the one with
    the usual name. InputError where there is none, or where two name different files."""
    if options.image_column:
        return options.image_column
    names = [c for c in table.columns if c and c not in (*options.ignore_columns, *options.label_columns)]
    shares = {name: _share_of_files(table, name, images) for name in names}
    most = max(shares.values(), default=0.0)
    if most:
        fitting = [name for name in names if shares[name] >= MOSTLY * most]
        first = min(map(_rank, fitting))
        best = sorted((name for name in fitting if _rank(name) == first), key=lambda name: -shares[name])
        other = next((o for o in best[1:] if not _same_files(table, images, best[0], o)), None)
        if other and shares[other] == shares[best[0]]:
            raise InputError(
                f"{table.path}: the columns '{best[0]}' and '{other}' both name images that are there, and different ones; say "
                f"which with --image-column '{best[0]}' or --image-column '{other}'"
            )
        return best[0]
    endings = [name for name in names if _share(table.column(name), is_image_name) > MOSTLY]
    return _by_name(endings) or _by_name(names) or next(iter(endings), "") or _none(table)


def _none(table: Table) -> str:
    raise InputError(
        f"{table.path} has no column of images: its columns are {example(table)}; none has a usual name (image, filename, "
        "path, id, ...) or cells that are image files; name it with --image-column NAME"
    )


def _rank(name: str) -> int:
    """The usual names first, in their order's three kinds: a file, an id, anything else."""
    return 0 if plain(name) in FILE_NAMES else 1 if plain(name) in ID_NAMES else 2


def _by_name(names: Sequence[str]) -> str:
    usual = [n for n in names if _rank(n) == 0] or [n for n in names if _rank(n) == 1]
    return usual[0] if usual else ""


def _sample(cells: Sequence[str]) -> list[str]:
    full = [cell for cell in cells if cell]
    step = max(1, len(full) // SAMPLED)
    return full[::step]


def _share(cells: Sequence[str], fits: Callable[[str], bool]) -> float:
    sample = _sample(cells)
    return sum(map(bool, map(fits, sample))) / len(sample) if sample else 0.0


def _share_of_files(table: Table, name: str, images: Images) -> float:
    """Of the cells that name files. In a column without a usual name, numbers that happen to be names of files do not count:
    only names with an ending, or another one in every row."""
    cells = table.column(name)
    if is_binary(cells) and len({*cells}) < len(cells):
        return 0.0  # a class, whatever its name
    if _rank(name) == 2 and len({*cells}) < len(cells) and _share(cells, is_image_name) <= MOSTLY:
        return 0.0
    return _share(cells, images.holds)


def _same_files(table: Table, images: Images, a: str, b: str) -> bool:
    return all(
        images.holds(x) and images.holds(y) and images.find(x) == images.find(y)
        for x, y in zip(table.column(a)[:SAMPLED], table.column(b)[:SAMPLED])
    )

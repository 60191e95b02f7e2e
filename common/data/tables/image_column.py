"""Which column of a table names the images: the one whose cells are files, before the one with the usual name."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from common.core.errors import InputError, listed
from common.core.settings import ReadOptions
from common.data.images import Images, is_image_name
from common.data.tables.cells import NUMBER, is_binary
from common.data.tables.text import Table, example, plain, quoted

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
    names = [
        c
        for c in table.columns
        if c and c not in (*options.ignore_columns, *options.label_columns, options.group_column)
    ]
    shares = {name: _share_of_files(table, name, images) for name in names}
    most = max(shares.values(), default=0.0)
    endings = [name for name in names if _share(table.column(name), _is_file_name) > MOSTLY]
    if not most:
        return _by_name(endings) or _by_name(names) or next(iter(endings), "") or _none(table)
    fitting = [name for name in names if shares[name] >= MOSTLY * most]
    if {*fitting} & {*endings}:
        fitting = [name for name in fitting if not _share(table.column(name), _is_number) > MOSTLY]
    best = min(fitting, key=lambda name: (_rank(name), -shares[name]))
    other = next((o for o in fitting if _is_rival(table, images, best, o)), None)
    if other:
        raise InputError(
            f"{table.path}: the columns '{best}' and '{other}' both name images that are there, and different ones; "
            + _say_which(best, other)
        )
    if endings and best not in endings and _rank(best) > 0 and _share(table.column(best), _is_number) > MOSTLY:
        raise InputError(
            f"{table.path}: the column '{endings[0]}' has names of images, such as '{table.column(endings[0])[0]}', which are "
            f"not there, and the numbers of the column '{best}' are names of files that are; "
            + _say_which(endings[0], best)
        )
    _check_header(table, best, images)
    return best


def _check_header(table: Table, name: str, images: Images) -> None:
    """InputError where the name of the column of images, no usual one, is an image like its cells: the table has no header."""
    if _rank(name) == 2 and images.holds(name):
        raise InputError(
            f"{table.path} seems to have no header: the first line names the column '{name}', and there is an image of that "
            "name; add a first line that names the columns, such as image,labels; if it is a header, take "
            f"--image-column {quoted([name])}"
        )


def _say_which(a: str, b: str) -> str:
    return f"say which with --image-column {quoted([a])} or --image-column {quoted([b])}"


def column_of_test(table: Table, trained: str, images: Images, options: ReadOptions) -> str:
    """The column of a table of test data: the training table's, else one whose cells are files. InputError where none is."""
    if trained in table.columns:
        return trained
    name = image_column(table, images, options)
    if _share_of_files(table, name, images) and (_rank(name) < 2 or _share(table.column(name), is_image_name) > MOSTLY):
        return name
    raise InputError(
        f"{table.path} has no column '{trained}', which names the images of the training table, and no other column of "
        f"files: its columns are {example(table)}; call its column of images '{trained}', or, if it is no table of test "
        "images, give it another name or place"
    )


def with_folders(table: Table, image: str, images: Images, options: ReadOptions) -> Table:
    """The table with the cells of another column before the names of the images, where these are in several rows or several
    folders, and with that column's folders they are one file a row. InputError where several columns do that differently."""
    names = table.column(image)
    repeated = len({*names}) < len(names)
    if not repeated and not any(len(images.files(name)) > 1 for name in names):
        return table
    fitting: dict[str, tuple[str, ...]] = {}
    for column in table.columns:
        if column in ("", image, *options.ignore_columns):
            continue
        paths = tuple(
            f"{folder}/{name}" if folder and name else name for folder, name in zip(table.column(column), names)
        )
        share = _share(paths, images.holds)
        if share > MOSTLY or (repeated and share and len({*paths}) == len(paths)):
            fitting[column] = paths
    if not fitting:
        return table
    if len({*fitting.values()}) > 1:
        raise InputError(
            f"{table.path}: the columns {listed([repr(c) for c in fitting])} may all name the folders of the images; leave out "
            f"all but one: --ignore-columns {quoted(list(fitting)[1:])}"
        )
    column, paths = next(iter(fitting.items()))
    note = f"The column '{column}' names the folder of each image: the images are such as {paths[0]}."
    cells = tuple(paths if name == image else cell for name, cell in zip(table.columns, table.cells))
    return replace(table, cells=cells, notes=(*table.notes, note))


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


def _is_file_name(cell: str) -> bool:
    return is_image_name(cell) and "://" not in cell


def _is_number(cell: str) -> bool:
    return NUMBER.fullmatch(cell) is not None


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
    if is_binary(cells) and (_rank(name) == 2 or len({*cells}) < len(cells)):
        return 0.0  # a class, whatever its name
    if _rank(name) == 2 and len({*cells}) < len(cells) and _share(cells, is_image_name) <= MOSTLY:
        return 0.0
    return _share(cells, images.holds)


def _is_rival(table: Table, images: Images, best: str, other: str) -> bool:
    """Whether another column that names files names different ones. One without a usual name, whose cells are numbers or stand
    in several rows while the other's do not, is none."""
    mine, its = table.column(best), table.column(other)
    if _rank(other) > _rank(best) and (
        _share(its, _is_number) > MOSTLY or (len({*its}) < len(its) and len({*mine}) == len(mine))
    ):
        return False
    files = ((images.files(a), images.files(b)) for a, b in zip(mine[:SAMPLED], its[:SAMPLED]))
    return any(a and b and a.isdisjoint(b) for a, b in files)

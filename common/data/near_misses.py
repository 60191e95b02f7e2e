"""Why an image is not there: what the disk has that comes near its name."""

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

NOT_THERE = "no such file"
_ENDING = re.compile(r"\.[a-z][a-z0-9]{1,4}")
_FLOAT = re.compile(r"\d{1,18}\.0+")

Paths = dict[str, list[str]]


class NearMisses:
    """The files of one folder by parts of their names."""

    def __init__(self, tree: Mapping[str, Sequence[str]], endings: Iterable[str]):
        """tree: lower-case file name -> paths. endings: those of images."""
        self._tree = tree
        self._stems: Paths = defaultdict(list)
        self._odd: Paths = defaultdict(list)  # files that are no images by their ending
        self._beginning: Paths = defaultdict(list)
        self._end: Paths = defaultdict(list)
        self._numbers: dict[int, list[str]] = defaultdict(list)
        for name, paths in sorted(tree.items()):
            stem, ending = posixpath.splitext(name)
            if ending not in endings:
                self._odd[stem].extend(paths)
                continue
            self._stems[stem].extend(paths)
            if _is_number(stem):
                self._numbers[int(stem)].extend(paths)
            for cut in re.finditer(r"[_\-. ]", stem):
                self._beginning[stem[: cut.start()]].extend(paths)
                self._end[stem[cut.end() :]].extend(paths)

    def reason(self, relative: str) -> str:
        """relative: the path that is not there."""
        found = self._reason(posixpath.basename(relative).lower())
        return f"{NOT_THERE}; {found}" if found else NOT_THERE

    def _reason(self, name: str) -> str:
        if near := self._tree.get(name):
            return f"there is {near[0]}, but the table's path has other folders"
        bare = name.strip("'\"` ")
        if bare != name and (near := self._tree.get(bare) or self._stems.get(bare)):
            return f"there is {near[0]}: the table's name has quotes or spaces around it"
        if _FLOAT.fullmatch(name) and (near := self._stems.get(name.split(".")[0])):
            return f"there is {near[0]}: did a program write the numbers with a decimal point?"
        stem, ending = posixpath.splitext(name)
        stem, ending = (stem, ending) if _ENDING.fullmatch(ending) else (name, "")
        if near := self._stems.get(stem):
            return f"there is {near[0]}, which has another ending than '{ending}'"
        if near := self._odd.get(stem):
            odd = posixpath.splitext(near[0])[1]
            return f"there is {near[0]}, and '{odd}' is no ending of an image: convert such files to .png or .jpg"
        if _is_number(stem) and (near := self._numbers.get(int(stem))):
            return f"there is {near[0]}: the table's name lacks the leading zeros of the file's, which spreadsheet programs drop"
        if near := self._beginning.get(stem):
            return f"{len(near)} files begin with its name, such as {min(near)}"
        if near := self._end.get(stem):
            return f"{len(near)} files end with its name, such as {min(near)}: write the whole name into the table"
        return ""


def _is_number(stem: str) -> bool:
    return stem.isascii() and stem.isdigit() and len(stem) < 19

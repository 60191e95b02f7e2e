"""What a caller passes to be shown how far something is."""

from collections.abc import Callable

Say = Callable[[str], None]  # shows a line
Progress = Callable[[int, int], None]  # shows how many of how many are done


def silent(*_: object) -> None:
    """Shows nothing: for a caller that wants none of it."""

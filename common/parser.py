"""The command line's parser: what is wrong in one line, as everywhere; examples as they are written."""

import argparse
import textwrap
from typing import Any, NoReturn

from common.errors import InputError

WIDTH = 80


class Parser(argparse.ArgumentParser):
    """argparse's own prints its usage, dozens of lines of flags, before the line that says what is wrong."""

    def __init__(self, description: str = "", **words: Any):
        form = argparse.RawDescriptionHelpFormatter
        super().__init__(description=textwrap.fill(description, WIDTH), formatter_class=form, **words)

    def given(self, arguments: list[str]) -> dict[str, Any]:
        """What was given, by the flags' names; what was not is left out."""
        return {name: value for name, value in vars(self.parse_args(arguments)).items() if value not in (None, [])}

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")

"""The command line's parser: errors in one line, examples as they are written, and what was given."""

import argparse
import difflib
import textwrap
from typing import Any, NoReturn

from common.core.errors import InputError

WIDTH = 80


class Options(argparse.Namespace):
    """The values of a command line's flags, and its own text."""

    arguments: list[str]  # the command line that was parsed

    def given(self) -> dict[str, Any]:
        """What was given, by the names of the flags; what was not is left out."""
        return {name: v for name, v in vars(self).items() if v not in (None, []) and name != "arguments"}


class Parser(argparse.ArgumentParser):
    """argparse's own prints its usage, dozens of lines of flags, before the line that says what is wrong."""

    def __init__(self, description: str = "", **more: Any):
        form = argparse.RawDescriptionHelpFormatter
        about = textwrap.fill(description, WIDTH)
        # No abbreviations: what `--epoch` means would change with the next flag that begins so.
        super().__init__(description=about, formatter_class=form, allow_abbrev=False, **more)

    def parse(self, arguments: list[str]) -> Options:
        """The parsed command line. InputError where it is wrong."""
        return self.parse_args(arguments, Options(arguments=arguments))

    def error(self, message: str) -> NoReturn:
        lead, _, words = message.partition("unrecognized arguments: ")
        if not lead and words:
            flag = words.split()[0].partition("=")[0]
            near = difflib.get_close_matches(flag, self._option_string_actions, n=3)
            message = f"no flag '{flag}'" if flag.startswith("-") else f"'{flag}' is a word too many"
            message += f" (did you mean {' or '.join(near)}?)" if near else ""
        raise InputError(f"{message}; see {self.prog} --help")

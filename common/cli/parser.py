"""The command line's parser: what is wrong in one line, as everywhere; examples as they are written."""

import argparse
import difflib
import textwrap
from typing import Any, NoReturn

from common.core.errors import InputError

WIDTH = 80


class Parser(argparse.ArgumentParser):
    """argparse's own prints its usage, dozens of lines of flags, before the line that says what is wrong."""

    def __init__(self, description: str = "", **words: Any):
        form = argparse.RawDescriptionHelpFormatter
        about = textwrap.fill(description, WIDTH)
        # No abbreviations: what `--epoch` means would change with the next flag that begins so.
        super().__init__(description=about, formatter_class=form, allow_abbrev=False, **words)
        if " " in self.prog:  # a verb's: the front door takes it (common/cli/json_output.py)
            self.add_argument("--json", action="store_true", help="print what is shown as JSON, for programs")

    def given(self, arguments: list[str]) -> dict[str, Any]:
        """What was given, by the flags' names; what was not is left out."""
        return {
            name: value
            for name, value in vars(self.parse_args(arguments)).items()
            if value not in (None, []) and name != "json"
        }

    def error(self, message: str) -> NoReturn:
        lead, _, words = message.partition("unrecognized arguments: ")
        if not lead and words:
            flag = words.split()[0].partition("=")[0]
            near = difflib.get_close_matches(flag, self._option_string_actions, n=3)
            message = f"no flag '{flag}'" if flag.startswith("-") else f"'{flag}' is a word too many"
            message += f" (did you mean {' or '.join(near)}?)" if near else ""
        raise InputError(f"{message}; see {self.prog} --help")

"""What fails once trials have run loses none of their results: one sentence, with the command to go on with."""

import contextlib
import traceback
from collections.abc import Iterator
from pathlib import Path

from common.core.errors import InputError
from common.core.files import os_error_text, write_text

TRACEBACK = "error.txt"  # in the run's folder: of an error that nobody foresaw


@contextlib.contextmanager
def go_on_with(again: str, folder: Path) -> Iterator[None]:
    """InputError for whatever is raised in the block. again: the command that goes on; folder: the run's."""
    try:
        yield
    except OSError as error:
        raise InputError(_sentence(os_error_text(error), again, folder)) from error
    except InputError as error:
        raise InputError(_sentence(str(error), again, folder)) from error
    except Exception as error:
        text = f"the harness failed with {type(error).__name__}: {error}"
        with contextlib.suppress(OSError):
            write_text(folder / TRACEBACK, traceback.format_exc())
            text += f" (its traceback is in {folder / TRACEBACK})"
        raise InputError(_sentence(text, again, folder)) from error


def _sentence(text: str, again: str, folder: Path) -> str:
    begun = any(folder.glob("trials/*/events.jsonl"))
    kept = "the trials' results are kept: " if begun else ""
    return f"{text.rstrip('.')}; {kept}when that is mended, run: {again}"

"""What a user did that cannot be done: one message with the way out, exit code 2."""

import contextlib
import difflib
from collections.abc import Iterable, Iterator

MOST_LISTED = 20


class InputError(Exception):
    """Bad input. The message says what, where, the choices and the next step."""


class ImageSizeError(InputError):
    """A model does not take images of the asked side. The message names one that it takes."""


class OtherSchema(InputError):
    """A file of another version of the harness: what it holds cannot be compared."""


def unknown(kind: str, name: str, choices: Iterable[str], hint: str = "") -> InputError:
    """An InputError for a name that is not among `choices`, with the near ones."""
    choices = list(choices)
    near = difflib.get_close_matches(name, choices, n=5, cutoff=0.6)
    listed = ", ".join(choices[:12]) + (f" and {len(choices) - 12} more" if len(choices) > 12 else "")
    text = f"no {kind} '{name}'; there are: {listed or 'none'}"
    if near:
        text += f" (did you mean {' or '.join(near)}?)"
    return InputError(text + (f"; {hint}" if hint else ""))


def listed(items: list[str]) -> str:
    """The first 20 of what is wrong, and how many there are in all."""
    return ", ".join(items[:MOST_LISTED]) + (f", ... ({len(items)} in all)" if len(items) > MOST_LISTED else "")


@contextlib.contextmanager
def readable(what: str) -> Iterator[None]:
    """InputError where a file of `what` is damaged. A flipped byte makes JSON, zip and NumPy raise whatever they like:
    zlib.error, NotImplementedError, tokenize.TokenError, ... were seen."""
    try:
        yield
    except (InputError, OSError):
        raise
    except Exception as error:
        said = (str(error).splitlines() or [""])[0][:160]
        raise InputError(f"{what} is damaged ({type(error).__name__}: {said}); run it again") from error

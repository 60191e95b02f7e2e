"""Text encodings of the places a run meets: file names in UTF-8 whatever the locale, signs that a terminal cannot show."""

import codecs
import os
import sys
from typing import TextIO

UTF8 = "utf-8"
ERRORS = "framework-bench-plain"  # the name under which `_plain` is registered
PLAIN = {"–": "-", "—": "-", "±": "+-", "†": "*", "×": "x", "…": "...", "≥": ">=", "≤": "<="}  # others become "?"


def use_utf8_names() -> None:
    """Start this program again in Python's UTF-8 mode where the locale gives file names another encoding.

    Tables are UTF-8, and so are the names of their images on nearly every disk. In a Latin-1 locale Python would look
    for other bytes and find none of them. The terminal keeps the encoding of its locale.
    """
    if sys.getfilesystemencoding() == UTF8:
        return
    variables = {"PYTHONIOENCODING": sys.stdout.encoding} | os.environ | {"PYTHONUTF8": "1"}
    arguments = [utf8_bytes(word) for word in sys.orig_argv[1:]]
    os.execve(sys.executable, [os.fsencode(sys.executable), b"-X", b"utf8", *arguments], variables)


def utf8_bytes(word: str) -> bytes:
    """An argument as UTF-8: as it came where its bytes are UTF-8 already, else from the locale's encoding."""
    raw = os.fsencode(word)
    try:
        raw.decode(UTF8)
    except UnicodeDecodeError:
        return word.encode(UTF8, "surrogateescape")
    return raw


def show_what_fits() -> None:
    """Replace signs that the terminal's encoding lacks. Without this, a run of hours ended with no tables at "–"."""
    for stream in (sys.stdout, sys.stderr):
        encode(stream, stream.encoding)


def encode(stream: TextIO, encoding: str) -> None:
    """Give a standard stream this encoding. A stream that a test put in its place may have none to change."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(encoding=encoding, errors=ERRORS)


def is_unicode(stream: TextIO) -> bool:
    """Whether the stream's encoding has every sign."""
    return (stream.encoding or UTF8).lower().startswith("utf")


def _plain(error: UnicodeError) -> tuple[str, int]:
    """For `codecs`: plain signs in place of those that cannot be encoded."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


codecs.register_error(ERRORS, _plain)

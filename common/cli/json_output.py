"""What a verb shows -> one JSON document on the standard output: tables with their cells, and the lines between them."""

import json
import os
import sys
import tempfile
from collections.abc import Callable

from common.core.encoding import UTF8, encode, is_unicode
from common.core.files import to_json
from common.report.terminal import keeping


def printed(verb: Callable[[list[str]], int], arguments: list[str]) -> int:
    """Carry the verb out, print {"exit_code", "tables": [{"title", "header", "rows", "notes"}], "lines"}, return its exit code.

    Whatever it or a process of its own prints is taken at the file descriptor. Errors go where they always go.
    """
    sys.stdout.flush()
    outside, terminal, has_all_signs = os.dup(1), sys.stdout.encoding, is_unicode(sys.stdout)
    with tempfile.TemporaryFile("w+", encoding=UTF8, errors="replace") as stream:
        os.dup2(stream.fileno(), 1)
        encode(sys.stdout, UTF8)
        try:
            with keeping() as tables:
                code = verb(arguments)
        finally:
            sys.stdout.flush()
            os.dup2(outside, 1)
            os.close(outside)
            encode(sys.stdout, terminal)
        stream.seek(0)
        lines = [line for line in stream.read().splitlines() if line.strip()]
    said = {"exit_code": code, "tables": [vars(table) for table in tables], "lines": lines}
    text = to_json(said)
    # JSON can name every sign in ASCII, so that a program loses nothing to a Latin-1 locale.
    sys.stdout.write(text if has_all_signs else json.dumps(json.loads(text), indent=1) + "\n")
    return code

"""What a verb shows -> one JSON document on the standard output: tables with their cells, and the lines between them."""

import os
import sys
import tempfile
from collections.abc import Callable

from common.files import to_json
from common.report.terminal import keeping


def printed(verb: Callable[[list[str]], int], arguments: list[str]) -> int:
    """Carry the verb out, print {"exit_code", "tables": [{"title", "header", "rows", "notes"}], "lines"}, return its exit code.

    Whatever it or a process of its own prints is taken at the file descriptor. Errors go where they always go.
    """
    sys.stdout.flush()
    outside = os.dup(1)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as stream:
        os.dup2(stream.fileno(), 1)
        try:
            with keeping() as tables:
                code = verb(arguments)
        finally:
            sys.stdout.flush()
            os.dup2(outside, 1)
            os.close(outside)
        stream.seek(0)
        lines = [line for line in stream.read().splitlines() if line.strip()]
    said = {"exit_code": code, "tables": [vars(table) for table in tables], "lines": lines}
    sys.stdout.write(to_json(said))
    return code

"""The results of a command as one JSON document: tables with their cells, and the lines between them."""

import json
import sys

from common.core.encoding import is_unicode
from common.core.files import to_json
from common.report.table import Table
from common.report.terminal import Console


class JsonOutput:
    """Keeps tables and lines until the command ends; progress goes to the standard error."""

    def __init__(self) -> None:
        self.tables: list[Table] = []
        self.lines: list[str] = []
        self.progress = Console(stderr=True)

    def show_table(self, table: Table, notes: bool = True) -> None:
        self.tables.append(table)

    def show_line(self, text: str = "", style: str = "", wrap: bool = False) -> None:
        self.lines += [line for line in text.splitlines() if line.strip()]

    def write(self, exit_code: int) -> None:
        """Print {"exit_code", "tables": [{"title", "header", "rows", "notes"}], "lines"}."""
        text = to_json(
            {
                "exit_code": exit_code,
                "tables": [vars(table) | {"notes": table.texts} for table in self.tables],
                "lines": self.lines,
            }
        )
        # JSON can name every character in ASCII, so that a program loses nothing to a Latin-1 locale.
        sys.stdout.write(text if is_unicode(sys.stdout) else json.dumps(json.loads(text), indent=1) + "\n")

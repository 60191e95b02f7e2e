"""Where a command shows its results."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # `--help` reads this file: it waits for no table
    from rich.console import Console

    from common.report.table import Table


class Output(Protocol):
    """The terminal (common/report/terminal.py), or a JSON document (common/cli/json_output.py)."""

    @property
    def progress(self) -> "Console":
        """The console for what is shown meanwhile and is no result."""

    def show_table(self, table: "Table", notes: bool = True) -> None:
        """notes: whether a terminal shows the table's notes."""

    def show_line(self, text: str = "", style: str = "", wrap: bool = False) -> None:
        """style: of rich; wrap: break the line where a terminal ends."""

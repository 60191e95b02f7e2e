"""What a file offers that is dropped into a plug-in folder: a protocol for each kind. The registry finds them by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:  # --help finds plug-ins too, and waits for none of these
    from pathlib import Path

    from rich.console import Console

    from common.core.dataset import Dataset
    from common.core.results import Results
    from common.core.settings import ReadOptions
    from common.core.specs import Job, ProcessSpec, TrialSpec


@runtime_checkable
class Described(Protocol):
    ABOUT: str  # a line for `list`


@runtime_checkable
class Launcher(Described, Protocol):
    """Where trials run: common/run/launchers/."""

    NO_WAIT: str  # why --wait-for-quiet does not work here; "": it does

    def check(self, process: ProcessSpec, address: str) -> None: ...

    def run_trials(
        self, folder: Path, specs: list[TrialSpec], console: Console, resume: bool = False, address: str = ""
    ) -> None: ...


@runtime_checkable
class Tracker(Described, Protocol):
    """Where a run's records go beside its folder: common/report/trackers/."""

    def check(self, dataset: str) -> None: ...

    def send(self, results: Results, folder: Path) -> str: ...


@runtime_checkable
class RecipeFile(Described, Protocol):
    """A named set of training settings: benchmarks/recipes/."""

    SETTINGS: dict[str, Any]
    NOTES: tuple[str, ...]


@runtime_checkable
class Suite(Described, Protocol):
    """A named list of jobs: benchmarks/."""

    DEFAULTS: dict[str, Any]  # settings
    JOBS: tuple[Job, ...]


@runtime_checkable
class Command(Described, Protocol):
    """Something to do beside running trials: common/cli/commands/. DESCRIPTION and EPILOG of its help are optional.

    parser, options: common/cli/parser.py; output: common/report/output.py. The core imports neither package.
    """

    def add_flags(self, parser: Any) -> None: ...

    def run(self, options: Any, output: Any) -> int: ...


@runtime_checkable
class Format(Protocol):
    """A form of data on disk: common/data/formats/."""

    LOOKS_LIKE: str  # in words

    def recognises(self, path: Path) -> bool: ...

    def read(self, path: Path, options: ReadOptions = ...) -> Dataset: ...

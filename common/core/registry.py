"""The one place that finds frameworks, formats, suites, launchers and the like by name: a folder or file dropped in is found."""

import importlib
import pkgutil
import shlex
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

from common.core.errors import InputError, unknown
from common.core.framework_info import FrameworkInfo
from common.core.plugins import Command, Format, Launcher, RecipeFile, Suite, Tracker

T = TypeVar("T")

TABLES = {".csv", ".tsv", ".txt", ".json", ".jsonl", ".xml"}  # endings of files that may hold a data set's labels


def _modules(package: str, packages: bool) -> list[ModuleType]:
    """The modules or packages in a package, imported now: this file imports none of them when it is loaded itself."""
    found = [m.name for m in pkgutil.iter_modules(importlib.import_module(package).__path__) if m.ispkg == packages]
    return [importlib.import_module(f"{package}.{name}") for name in sorted(found)]


def _files(package: str) -> dict[str, Any]:
    return {module.__name__.rsplit(".", 1)[1]: module for module in _modules(package, packages=False)}


def _one(what: str, name: str, found: dict[str, T]) -> T:
    if name not in found:
        raise unknown(what, name, found)
    return found[name]


@cache
def framework_infos() -> dict[str, FrameworkInfo]:
    """Name on the command line -> the folder's light `__init__`. Those that run by default come first."""
    modules = _modules("frameworks", packages=True)
    found = [cast(FrameworkInfo, module) for module in modules if hasattr(module, "NAME")]  # the rest is shared code
    return {info.NAME: info for info in sorted(found, key=lambda info: not info.DEFAULT_MODELS)}


def real(model: str = "") -> list[str]:
    """Names of the frameworks that a run takes by default; of those that have a model, where one is named."""
    return [c.NAME for c in framework_infos().values() if c.DEFAULT_MODELS and (not model or model in c.MODELS)]


def framework_info(name: str) -> FrameworkInfo:
    """The framework with that name or alias. InputError with the near names where there is none."""
    infos = framework_infos()
    for info in infos.values():
        if name == info.NAME or name in info.ALIASES:
            return info
    raise unknown("framework", name, [*infos, *(alias for info in infos.values() for alias in info.ALIASES)])


def formats() -> dict[str, Format]:
    return _files("common.data.formats")


def recipes() -> dict[str, RecipeFile]:
    return _files("benchmarks.recipes")


def launcher(name: str) -> Launcher:
    return _one("launcher", name, launchers())


def launchers() -> dict[str, Launcher]:
    return _files("common.run.launchers")


def tracker(name: str) -> Tracker:
    return _one("tracker", name, trackers())


def trackers() -> dict[str, Tracker]:
    return _files("common.report.trackers")


def recipe(name: str) -> RecipeFile:
    return _one("recipe", name, recipes())


def format_of(path: Path, name: str = "") -> Format:
    """The format of that name, or the one that recognises `path`; InputError where there is none."""
    if name:
        return _one("format", name, formats())
    found = [name for name, module in formats().items() if _recognises(module, path)]
    if len(found) == 1:
        return formats()[found[0]]
    if found:
        raise InputError(f"'{path}' looks like {' and like '.join(found)}; say which with --format {found[0]}")
    if not path.exists():
        raise InputError(f"no data at '{path}': there is no such folder or file; give one, or demo")
    known = "".join(f"\n  {name}: {module.LOOKS_LIKE}" for name, module in formats().items())
    raise InputError(f"no format recognises the data at '{path}'. Each format looks for:{known}\n{_seen(path)}")


def _recognises(format_module: Format, path: Path) -> bool:
    """A format that finds several tables which could be the one recognises the data too: its `read` lists them."""
    try:
        return format_module.recognises(path)
    except InputError:
        return True


def _seen(path: Path) -> str:
    """What lies there instead, and what to do with it."""
    if path.is_file():
        return f"The file ends in '{path.suffix}'. If it is a table of images, name its format: --format csv"
    tables = [
        f for depth in ("*", "*/*") for f in sorted(path.glob(depth)) if f.suffix.lower() in TABLES and f.name[0] != "."
    ]
    if len(tables) == 1 or (tables and len({f.parent for f in tables}) == 1 and tables[0].parent != path):
        found = tables[0] if len(tables) == 1 else tables[0].parent
        return f"The folder's tables are {_listed(tables, path)}. Try: --data {shlex.quote(str(found))}"
    if tables:
        return (
            f"The folder has several tables and none is named train: {_listed(tables, path)}. Name the one to train on: "
            f"--data {shlex.quote(str(tables[0]))}"
        )
    folders = [f for f in sorted(path.iterdir()) if f.is_dir() and f.name[0] != "."]
    if folders:
        return (
            f"The folder has no table, but folders ({_listed(folders, path)}). A folder's name is not taken for a label: write a "
            "table with a line for each image, such as image,labels"
        )
    return "The folder has no table."


def _listed(files: list[Path], path: Path) -> str:
    shown = [f.relative_to(path).as_posix() for f in files]
    return ", ".join(shown[:6]) + (", ..." if len(shown) > 6 else "")


def commands() -> dict[str, Command]:
    return {name.replace("_", "-"): module for name, module in _files("common.cli.commands").items()}


def suites() -> dict[str, Suite]:
    return _files("benchmarks")


def suite(name: str) -> Suite:
    return _one("suite", name, suites())

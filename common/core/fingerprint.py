"""What a trial depends on beside data and settings: the code that it imports, and the versions of the packages."""

import hashlib
import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from common.core import registry
from common.core.files import PROJECT
from common.core.specs import TrialSpec

CODE = "code"  # the key of the code that every trial imports
COMMON = (
    "common/core/**/*.py",
    "common/data/**/*.py",
    "common/process/**/*.py",
    "common/trial/**/*.py",
    "frameworks/*.py",
)
# The settings of the command line, with their help texts: a trial reads its values from its spec.json.
SETTINGS = "common/core/settings.py"
PARENT_PACKAGES = {"rich", "matplotlib", "markdown-it-py"}  # no trial imports them
MISSING = "not installed"
IMPORTED = re.compile(r"^\s*(?:from|import) frameworks(?:\.| import )(\w+)", re.MULTILINE)


def made_by(specs: Iterable[TrialSpec]) -> dict[str, str]:
    """What these trials depend on: for each key of theirs the hash of its code, or its package's version.

    Versions are read from the installed metadata: the harness's own process imports no framework.
    """
    return {key: _value(key) for key in sorted(set().union(*(keys(spec) for spec in specs)))}


def keys(spec: TrialSpec) -> set[str]:
    """Those of `made_by` that concern the trial: the common code, its recipe's file, the folders of its frameworks, and
    packages. One that only other frameworks need does not concern it."""
    infos = [registry.framework_info(name) for name in (spec.framework, *spec.peaks_of)]
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = {line.split("==")[0] for line in project["dependencies"]} - PARENT_PACKAGES
    of_frameworks = {package for info in registry.framework_infos().values() for package in info.NEEDS}
    found = {CODE, f"benchmarks/recipes/{spec.recipe.name}.py"} | (listed - of_frameworks)
    return found.union(*(info.NEEDS for info in infos), *(_folders(info.__name__) for info in infos))


def _folders(module: str) -> set[str]:
    """The framework's folder, and those beside it from which it imports, directly or not."""
    found: set[str] = set()
    waiting = {module.replace(".", "/")}
    while waiting:
        found.add(folder := waiting.pop())
        text = "\n".join(file.read_text(encoding="utf-8") for file in (PROJECT / folder).rglob("*.py"))
        beside = {f"frameworks/{name}" for name in IMPORTED.findall(text)}
        waiting |= {name for name in beside if (PROJECT / name).is_dir()} - found
    return found


def _value(key: str) -> str:
    if key == CODE:
        return _hash(*COMMON)
    if "/" in key:
        return _hash(key if key.endswith(".py") else f"{key}/**/*.py")
    return _version(key)


def _hash(*patterns: str) -> str:
    digest = hashlib.sha256()
    for file in sorted(file for pattern in patterns for file in PROJECT.glob(pattern)):
        name = file.relative_to(PROJECT).as_posix()
        if name != SETTINGS:
            digest.update(f"{name}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return MISSING

"""The architecture: who may import whom, no framework named outside its folder, one docstring line and 350 lines a file."""

import ast
import functools
import subprocess
import sys

import pytest

from common.core import registry
from tests.helpers.project import PROJECT

# Layers: a module imports those below its own and none of its own or above. Data, so that a change is a line here.
# Package -> what it may import beside itself. The order is that of the levels, lowest first.
ALLOWED: dict[str, set[str]] = {
    "common.core": set(),
    "common.data": {"common.core"},
    "common.process": {"common.core"},
    "common.analysis": {"common.core"},
    "common.trial": {"common.core", "common.data", "common.process"},
    "common.report": {"common.core", "common.analysis"},
    "frameworks": {
        "common.core", "common.data", "common.process.ranks", "common.trial.contract", "common.trial.stopwatch",
        "common.trial.loss",
    },
    "frameworks.checks": {"common.core", "common.data", "common.trial"},
    "common.run": {
        "common.core", "common.data", "common.process", "common.trial", "common.analysis", "common.report",
        "frameworks.contract",
    },
    "common.cli": {
        "common.core", "common.data", "common.process", "common.analysis", "common.report", "common.run",
    },
    "benchmarks": {"common.core"},
    "benchmarks.self": {
        "common.core", "common.data", "common.process", "common.analysis", "common.report", "common.run", "common.cli",
        "benchmarks", "frameworks.contract",
    },
    "run_bench": {"common.core", "common.report", "common.run", "common.cli"},
}  # fmt: skip
TOP_LEVEL = ("benchmarks", "frameworks", "common", "run_bench")
HEAVY = {"torch", "torchvision", "timm", "tensorflow", "keras", "jax"}


@functools.cache
def sources() -> list:
    """(path below the project, syntax tree) of every file that is no test."""
    paths = [PROJECT / "run_bench.py", *(p for folder in TOP_LEVEL[:3] for p in (PROJECT / folder).rglob("*.py"))]
    return [(path.relative_to(PROJECT), ast.parse(path.read_text())) for path in sorted(paths)]


def module_name(relative) -> str:
    parts = relative.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package(name: str) -> str:
    """The longest package of ALLOWED that the module is in."""
    return max((p for p in ALLOWED if f"{name}.".startswith(f"{p}.")), key=len, default="")


def imports(tree):
    """(module, line) of every import anywhere in the file, functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import at line {node.lineno}"
            for alias in node.names:
                below = PROJECT / node.module.replace(".", "/") / alias.name
                is_module = below.with_suffix(".py").exists() or (below / "__init__.py").exists()
                yield (f"{node.module}.{alias.name}" if is_module else node.module), node.lineno


def forbidden(name: str, tree) -> list[str]:
    """Each import that the module's package may not have."""
    broken, mine = [], package(name)
    for target, line in imports(tree):
        if target.split(".")[0] not in TOP_LEVEL or target in TOP_LEVEL[:3]:
            continue  # a library, or a package that imports nothing
        folder = ".".join(name.split(".")[:2])
        if mine == "frameworks" and target.startswith("frameworks."):
            shared = target.split(".")[1].endswith("_common") or target == "frameworks.contract"
            allowed = shared or target.startswith(folder)
        else:
            allowed = package(target) == mine or any(f"{target}.".startswith(f"{a}.") for a in ALLOWED[mine])
        if not allowed:
            broken.append(f"{name}:{line} imports {target}; {mine} may import {', '.join(sorted(ALLOWED[mine]))}")
    return broken


@pytest.mark.parametrize(("relative", "tree"), sources(), ids=lambda x: str(x) if not isinstance(x, ast.AST) else "")
def test_a_package_imports_what_it_may(relative, tree):
    name = module_name(relative)
    if name in TOP_LEVEL[:3]:
        return
    assert package(name), f"{name} is in no package of ALLOWED: move it into one"
    assert forbidden(name, tree) == []


def test_the_package_test_fires():
    assert forbidden("common.data.plan", ast.parse("from common.run.runner import run_trial"))
    assert forbidden("common.analysis.scores", ast.parse("def f():\n    import common.trial.loss"))
    assert forbidden("common.report.table", ast.parse("import common.process.spawn"))
    assert forbidden("common.run.prepare", ast.parse("import frameworks.fake.adapter"))
    assert forbidden("frameworks.pytorch.adapter", ast.parse("import frameworks.fake"))
    assert forbidden("frameworks.pytorch.adapter", ast.parse("from common.trial import tuning"))
    assert forbidden("frameworks.checks.training", ast.parse("import frameworks.fake.adapter"))
    assert forbidden("common.core.registry", ast.parse("import common.data.formats.csv"))
    assert not forbidden("frameworks.pytorch.adapter", ast.parse("from frameworks.pytorch import models"))
    assert not forbidden("common.analysis.records", ast.parse("from common.analysis import scores"))


def cycles(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import themselves through others."""
    found, finished = [], set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            found.append(" -> ".join([*path[path.index(name) :], name]))
        elif name not in finished:
            for target in sorted(graph.get(name, ())):
                visit(target, (*path, name))
            finished.add(name)

    for name in sorted(graph):
        visit(name, ())
    return found


def test_no_module_imports_itself_through_others():
    graph = {module_name(relative): {target for target, _ in imports(tree)} for relative, tree in sources()}
    assert cycles(graph) == []
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a -> b -> c -> a"]


def test_every_package_says_what_belongs_there():
    for name in ALLOWED:
        file = PROJECT / name.replace(".", "/") / "__init__.py"
        if name.startswith("common."):
            doc = ast.get_docstring(ast.parse(file.read_text())) or ""
            assert "Not here:" in doc, f"{file} does not say what belongs there and what does not"


def test_tests_mirror_the_packages_and_no_test_imports_a_test():
    folders = {name.split(".")[1] for name in ALLOWED if name.startswith("common.")} | {"frameworks", "helpers"}
    found = {path.parent.name for path in (PROJECT / "tests").glob("*/*.py")}
    assert found <= folders, f"tests/ has folders of no package: {sorted(found - folders)}"
    for path in (PROJECT / "tests").rglob("*.py"):
        targets = [name for name, _ in imports(ast.parse(path.read_text()))]
        assert not [t for t in targets if ".test_" in f".{t}" and t.startswith("test")], f"{path} imports a test"


def test_only_a_frameworks_folder_imports_a_framework():
    for relative, tree in sources():
        if relative.parts[0] == "frameworks" and len(relative.parts) == 3 and relative.name != "__init__.py":
            continue
        heavy = {name.split(".")[0] for name, _ in imports(tree)} & HEAVY
        assert not heavy, f"{relative} imports {heavy}"


def framework_names() -> set[str]:
    infos = registry.framework_infos().values()
    return {n for c in infos for n in (c.NAME, *c.ALIASES, c.__name__.rsplit(".", 1)[1])}


def names_in(tree, names: set[str]) -> list[int]:
    """Lines where a string is exactly a framework's name: to compare with, to look up, to branch on."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names
    ]


def test_no_framework_is_named_outside_its_folder():
    names = framework_names()
    assert {"torch", "tf", "fake"} <= names
    for relative, tree in sources():
        inside = relative.parts[0] == "frameworks" and len(relative.parts) == 3
        suite = relative.parts[0] == "benchmarks" and len(relative.parts) == 2
        if not inside and not suite:
            assert names_in(tree, names) == [], f"{relative} names a framework"
    for relative, tree in sources():
        if relative.parts[0] == "frameworks" and len(relative.parts) == 3:
            others = names - {n for c in registry.framework_infos().values() if relative.parts[1] in c.__name__ for n in (c.NAME, *c.ALIASES)}  # fmt: skip
            engines = {"numpy", "keras", *relative.parts[1].split("_")}  # a backend bears a framework's name
            assert names_in(tree, others - engines) == [], f"{relative} names another"


def test_the_name_test_fires():
    assert names_in(ast.parse('if spec.framework == "torch": pass'), framework_names()) == [1]


def test_every_file_says_its_job_in_one_line_and_is_short():
    lengths = {}
    for relative, tree in sources():
        first = (ast.get_docstring(tree) or "").split("\n")[0]
        assert first, f"{relative} has no docstring"
        lengths[str(relative)] = len((PROJECT / relative).read_text().splitlines())
    assert {name: n for name, n in lengths.items() if n > 350} == {}


@pytest.mark.usefixtures("not_quick")
def test_the_parent_stays_light():
    """The harness's own process imports no framework, whatever it reads, plans and draws."""
    code = "import sys, common.run.prepare, common.report.write, common.report.progress; print(sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    assert "common.analysis.records" in loaded
    assert not [name for name in HEAVY if f"'{name}'" in loaded]


@pytest.mark.usefixtures("not_quick")
def test_no_photograph_is_committed():
    """A page is published without the images that it was made of; nor does a clone hold any other photograph."""
    tracked = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert [
        name for name in tracked.splitlines() if name.endswith((".jpg", ".jpeg", "samples.npz", "samples.png"))
    ] == []

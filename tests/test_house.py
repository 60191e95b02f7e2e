"""The house rules: who may import whom, no framework named outside its folder, one docstring line a file."""

import ast
import subprocess
import sys

import pytest
from conftest import PROJECT

from common import loading

# Layers: a module imports those below its own and none of its own or above. Data, so that a change is a line here.
LAYERS = [
    {"common.cgroups", "common.clock", "common.encoding"},
    {"common.colours", "common.not_images", "common.places"},
    {"common.errors", "common.types", "common.decode", "common.signals", "common.words"},
    {"common.dataset"},
    {
        "common.parser",
        "common.files",
        "common.stratify",
        "common.stats",
        "common.results",
        "common.openmp",
        "common.folders",
        "common.near_misses",
        "common.bad_images",
    },
    {"common.receipts", "common.features", "common.naming", "common.tensor_files", "common.options", "common.rescue"},
    {
        "common.machine",
        "common.scores",
        "common.balance",
        "common.watch",
        "common.images",
        "common.check",
        "common.tables.cells",
        "common.tables.raw",
    },
    {
        "common.pixels",
        "common.child",
        "common.failures",
        "common.plan",
        "common.baselines",
        "common.reading",
        "common.tables.text",
    },
    {"common.tables.files", "common.tables.image_column", "common.tables.label_columns"},
    {"common.tables.columns", "common.tables.separators"},
    {"common.tables.author_split", "common.tables.labels"},
    {"common.tables.rows"},
    {
        "common.feed",
        "common.memory",
        "common.initial",
        "common.checkpoint",
        "common.prune",
        "common.ranks",
        "common.neighbours",
    },
    {"frameworks.contract", "common.formats.<one>", "common.contention", "common.quiet"},
    {"benchmarks.<suite>", "benchmarks.recipes.<one>", "frameworks.<shared>"},
    {"frameworks.<folder>"},
    {"common.loading"},
    {"common.trace", "common.tryout"},
    {"common.ceilings", "common.lane", "common.select", "common.weights", "common.device"},
    {"common.trial", "common.rates"},
    {"common.proof", "common.preflight"},
    {"common.parity"},
    {"common.ask", "common.prepare", "common.runner", "common.notices"},
    {"common.gate", "common.groups", "common.timing"},
    {"common.comparison", "common.history"},
    {"common.records", "common.report.table"},
    {
        "common.resume",
        "common.report.canvas",
        "common.report.differences",
        "common.report.timing",
        "common.report.data",
        "common.report.verdict",
    },
    {"common.report.lanes", "common.report.ceilings", "common.report.scaling"},
    {"common.report.terminal", "common.report.figures", "common.report.html"},
    {"common.report.compared", "common.report.as_json"},
    {"common.report.markdown"},
    {"common.report.write", "common.report.history", "common.survey", "common.progress"},
    {"common.launchers.<one>", "common.trackers.<one>"},
    {"benchmarks.self.<one>"},
    {"common.verbs.<one>"},
    {"run_bench"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
ROOMS = ("benchmarks", "frameworks", "common", "run_bench")
PACKAGES = (
    "common.formats",
    "common.launchers",
    "common.report",
    "common.tables",
    "common.trackers",
    "common.verbs",
    "benchmarks.self",
    "benchmarks.recipes",
)
HEAVY = {"torch", "torchvision", "timm", "tensorflow", "keras", "jax"}


def sources():
    for path in sorted(PROJECT.glob("**/*.py")):
        relative = path.relative_to(PROJECT)
        if relative.parts[0] in ROOMS or relative.name == "run_bench.py":
            yield relative, ast.parse(path.read_text())


def module_name(relative) -> str:
    parts = relative.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def kind(name: str) -> str:
    """A framework's folder, a suite, a format and a measurement stand for all of their kind."""
    parts = name.split(".")
    if parts[0] == "frameworks" and parts[1].endswith("_common"):
        return "frameworks.<shared>"  # by several folders
    if parts[0] == "frameworks" and name != "frameworks.contract":
        return "frameworks.<folder>"
    if parts[0] == "benchmarks":
        return f"benchmarks.{parts[1]}.<one>" if parts[1] in ("self", "recipes") else "benchmarks.<suite>"
    if parts[0] == "common" and parts[1:2] in (["formats"], ["verbs"], ["launchers"], ["trackers"]):
        return f"common.{parts[1]}.<one>"
    return name


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


def layer_breaks(name: str, tree) -> list[str]:
    broken = []
    for target, line in imports(tree):
        if target.split(".")[0] not in ROOMS or target in ROOMS or target in PACKAGES:
            continue  # libraries, and packages whose __init__ imports nothing of ours
        mine, theirs = kind(name), kind(target)
        assert mine in LEVEL, f"{name} has no layer: add it to LAYERS"
        own = name.split(".")[:2] == target.split(".")[:2] and theirs.startswith("frameworks.")
        one_format_on_another = mine == theirs == "common.formats.<one>"  # demo is drawn in comp5329's form
        if LEVEL[theirs] >= LEVEL[mine] and not own and not one_format_on_another:
            broken.append(f"{name}:{line} imports {target}, which does not stand below it")
        if theirs == "frameworks.<folder>" and not own:
            broken.append(f"{name}:{line} imports a framework's folder; only loading by name may")
    return broken


@pytest.mark.parametrize(
    ("relative", "tree"), list(sources()), ids=lambda x: str(x) if not isinstance(x, ast.AST) else ""
)
def test_nobody_imports_from_above(relative, tree):
    name = module_name(relative)
    if name in (*ROOMS[:3], *PACKAGES):
        return
    assert layer_breaks(name, tree) == []


def test_the_layer_test_fires():
    assert layer_breaks("common.plan", ast.parse("from common.runner import run_trial"))
    assert layer_breaks("common.scores", ast.parse("def f():\n    import common.records"))
    assert layer_breaks("common.pixels", ast.parse("import common.plan"))  # the same layer
    assert layer_breaks("common.prepare", ast.parse("import frameworks.fake.adapter"))
    assert layer_breaks("frameworks.pytorch.adapter", ast.parse("import frameworks.fake"))
    assert not layer_breaks("frameworks.pytorch.adapter", ast.parse("from frameworks.pytorch import models"))
    assert not layer_breaks("common.records", ast.parse("from common import scores"))


def test_only_a_frameworks_folder_imports_a_framework():
    for relative, tree in sources():
        if relative.parts[0] == "frameworks" and len(relative.parts) == 3 and relative.name != "__init__.py":
            continue
        heavy = {name.split(".")[0] for name, _ in imports(tree)} & HEAVY
        assert not heavy, f"{relative} imports {heavy}"


def framework_names() -> set[str]:
    cards = loading.framework_cards().values()
    return {n for c in cards for n in (c.NAME, *c.ALIASES, c.__name__.rsplit(".", 1)[1])}


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
            others = names - {n for c in loading.framework_cards().values() if relative.parts[1] in c.__name__ for n in (c.NAME, *c.ALIASES)}  # fmt: skip
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
    assert {name: n for name, n in lengths.items() if n > 400} == {}
    assert {name for name, n in lengths.items() if n > 350} == set()


def test_the_parent_stays_light():
    """The harness's own process imports no framework, whatever it reads, plans and draws."""
    code = "import sys, common.prepare, common.report.write, common.progress; print(sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    assert "common.records" in loaded
    assert not [name for name in HEAVY if f"'{name}'" in loaded]


def test_no_photograph_is_committed():
    """A page is published without the images that it was made of; nor does a clone hold any other photograph."""
    tracked = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert [
        name for name in tracked.splitlines() if name.endswith((".jpg", ".jpeg", "samples.npz", "samples.png"))
    ] == []

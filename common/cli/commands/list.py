"""What there is to choose from."""

from collections.abc import Mapping

from common.cli.parser import Options, Parser
from common.core.plugins import Described
from common.report.output import Output

ABOUT = "frameworks, models, suites, recipes, formats, launchers, trackers"
DESCRIPTION = "Frameworks, models, suites, recipes, formats, launchers, trackers."


def add_flags(parser: Parser) -> None:
    parser.add_argument("--all", metavar="FRAMEWORK", help="every model of one framework, by asking it (a few seconds)")


def run(options: Options, output: Output) -> int:
    from common.core import registry
    from common.process.question import ask
    from common.process.questions import MODELS
    from common.report.table import Table

    if options.all:
        names = ask(registry.framework_info(options.all).NAME, MODELS)
        output.show_line("\n".join(names))
        return 0
    infos = registry.framework_infos().values()
    models = [
        (c.NAME, name + (" *" if name in c.DEFAULT_MODELS else ""), ", ".join(m.variants), m.about)
        for c in infos
        for name, m in c.MODELS.items()
    ]
    models += [(c.NAME, c.OTHER_MODELS, "", f"run_bench.py list --all {c.NAME}") for c in infos if c.OTHER_MODELS]
    formats = tuple((name, module.LOOKS_LIKE) for name, module in registry.formats().items())
    for table in (
        Table("Frameworks", ("name", "also", "what"), tuple((c.NAME, ", ".join(c.ALIASES), c.ABOUT) for c in infos)),
        Table("Models (* by default)", ("framework", "model", "variants", "what"), tuple(models)),
        Table("Recipes", ("name", "what"), _abouts(registry.recipes())),
        Table("Suites", ("name", "what"), _abouts(registry.suites())),
        Table("Formats", ("name", "looks like"), formats),
        Table("Launchers", ("name", "where"), _abouts(registry.launchers())),
        Table("Trackers", ("name", "where"), _abouts(registry.trackers())),
    ):
        output.show_table(table)
    return 0


def _abouts(modules: Mapping[str, Described]) -> tuple[tuple[str, str], ...]:
    return tuple((name, module.ABOUT) for name, module in modules.items())

"""What there is to choose from."""

from common.cli.parser import Parser

ABOUT = "frameworks, models, suites, recipes, formats, launchers, trackers"


def main(arguments: list[str]) -> int:
    parser = Parser(
        prog="run_bench.py list", description="Frameworks, models, suites, recipes, formats, launchers, trackers."
    )
    parser.add_argument("--all", metavar="FRAMEWORK", help="every model of one framework, by asking it (a few seconds)")
    options = parser.parse_args(arguments)

    from common.core import registry
    from common.process.question import ask
    from common.report.table import Table
    from common.report.terminal import Console, show

    console = Console()
    if options.all:
        print("\n".join(ask(registry.framework_info(options.all).NAME, "models")))
        return 0
    cards = registry.framework_infos().values()
    rows = tuple((c.NAME, ", ".join(c.ALIASES), c.ABOUT) for c in cards)
    show(console, Table("Frameworks", ("name", "also", "what"), rows))
    rows = tuple(
        (c.NAME, name + (" *" if name in c.DEFAULT_MODELS else ""), ", ".join(m.variants), m.about)
        for c in cards
        for name, m in c.MODELS.items()
    )
    rows += tuple((c.NAME, c.OTHER_MODELS, "", f"run_bench.py list --all {c.NAME}") for c in cards if c.OTHER_MODELS)
    show(console, Table("Models (* by default)", ("framework", "model", "variants", "what"), rows))
    show(console, Table("Recipes", ("name", "what"), tuple((n, r.ABOUT) for n, r in registry.recipes().items())))
    show(console, Table("Suites", ("name", "what"), tuple((n, s.ABOUT) for n, s in registry.suites().items())))
    show(
        console,
        Table("Formats", ("name", "looks like"), tuple((n, f.LOOKS_LIKE) for n, f in registry.formats().items())),
    )
    show(console, Table("Launchers", ("name", "where"), tuple((n, m.ABOUT) for n, m in registry.launchers().items())))
    show(console, Table("Trackers", ("name", "where"), tuple((n, m.ABOUT) for n, m in registry.trackers().items())))
    return 0

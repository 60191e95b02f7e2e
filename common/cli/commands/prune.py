"""What runs left that can be made again, removed."""

from pathlib import Path

from common.cli.parser import Options, Parser
from common.report.output import Output

ABOUT = "remove what can be made again: stores, checkpoints; sizes first"
DESCRIPTION = (
    "Tell what the cache and the runs hold that can be made again, and how large it is; with --yes, remove it. Tables, "
    "records, logits and trained weights stay, and so does what a process is using."
)
EPILOG = "example: run_bench.py prune --kinds features pixels --yes"


def add_flags(parser: Parser) -> None:
    from common.run import prune

    parser.add_argument(
        "--results-dir", type=Path, default=Path("results"), metavar="DIR", help="of the runs (default: results)"
    )
    parser.add_argument(
        "--kinds",
        nargs="+",
        choices=prune.KINDS,
        metavar="KIND",
        default=prune.DEFAULT,
        help=f"{', '.join(prune.KINDS)} (default: all but checkpoints, in which stopped trials go on)",
    )
    parser.add_argument("--yes", action="store_true", help="remove it; without, nothing is removed")


def run(options: Options, output: Output) -> int:
    from common.core.files import cache_folder
    from common.core.formatting import size_text
    from common.core.locks import cache_to_itself
    from common.report.table import Table
    from common.run import prune

    with cache_to_itself() as alone:
        found = prune.left(options.results_dir, cache_used=not alone)
        rows = []
        for each in found:
            kind, free, used = prune.KINDS[each.kind], str(len(each.free)), str(len(each.used))
            rows.append((each.kind, kind.what, free, size_text(each.size_bytes), used, kind.again))
        header = ("kind", "what", "places", "size", "in use", "to have it again")
        output.show_table(Table(f"In {cache_folder()} and the runs of {options.results_dir}", header, tuple(rows)))
        chosen = [each for each in found if each.kind in options.kinds and each.free]
        total = size_text(sum(each.size_bytes for each in chosen))
        words = f"{total} of {', '.join(each.kind for each in chosen)}"
        if not chosen:
            output.show_line("nothing of that to remove")
        elif not options.yes:
            output.show_line(f"--yes removes {words}")
        else:
            for each in chosen:
                for path in each.free:
                    prune.remove(path)
            output.show_line(f"removed {words}")
    return 0

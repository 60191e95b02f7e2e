"""A framework's adapter held against the contract."""

import sys

from common.cli.parser import Parser

ABOUT = "hold a framework's adapter against the contract"


def main(arguments: list[str]) -> int:
    parser = Parser(
        prog="run_bench.py check-adapter",
        description="Hold one framework's adapter against the contract, line by line, in a process of its own.",
        epilog="example: run_bench.py check-adapter torch --model efficientnet_lite0\n"
        "exit codes: 0 kept, 1 broken, 2 bad input\n"
        "docs/adding-a-framework.md goes from an empty file to a row in the table",
    )
    parser.add_argument("framework", help="its name in frameworks/ (see list)")
    parser.add_argument("--model", default="", metavar="NAME[:VARIANT]", help="default: its default one")
    options = parser.parse_args(arguments)

    import subprocess

    from common.core import registry
    from common.core.files import PROJECT
    from common.core.machine import cores
    from common.core.settings import Settings
    from common.process.spawn import environment
    from common.run.jobs import list_jobs

    name = registry.framework_info(options.framework).NAME
    if options.model:
        list_jobs(Settings(frameworks=(name,), models=(options.model,)))  # bad input where there is no such model
    command = [sys.executable, "-W", "ignore", "-m", "frameworks.checks", name, options.model]
    code = subprocess.run(command, cwd=PROJECT, env=environment(cores(), "cpu")).returncode
    return code if code in (0, 1) else 2  # the checks were stopped, or could not begin

"""A framework's adapter held against the contract."""

from common.cli.parser import Options, Parser
from common.report.output import Output

ABOUT = "hold a framework's adapter against the contract"
DESCRIPTION = "Hold one framework's adapter against the contract, line by line, in a process of its own."
EPILOG = """\
example: run_bench.py check-adapter torch --model efficientnet_lite0
exit codes: 0 kept, 1 broken, 2 bad input
docs/adding-a-framework.md goes from an empty file to a row in the table"""


def add_flags(parser: Parser) -> None:
    parser.add_argument("framework", help="its name in frameworks/ (see list)")
    parser.add_argument("--model", default="", metavar="NAME[:VARIANT]", help="default: its default one")


def run(options: Options, output: Output) -> int:
    import subprocess
    import sys

    from common.core import registry
    from common.core.encoding import UTF8
    from common.core.files import PROJECT
    from common.core.machine import cores
    from common.core.settings import Settings
    from common.process.spawn import environment
    from common.run.jobs import list_jobs
    from common.run.preflight import check_packages

    name = registry.framework_info(options.framework).NAME
    check_packages([name])
    if options.model:
        list_jobs(Settings(frameworks=(name,), models=(options.model,)))  # bad input where there is no such model
    command = [sys.executable, "-W", "ignore", "-m", "frameworks.checks", name, options.model]
    variables = environment(cores(), "cpu")
    with subprocess.Popen(
        command, cwd=PROJECT, env=variables, stdout=subprocess.PIPE, text=True, encoding=UTF8
    ) as child:
        try:
            for line in child.stdout or ():
                output.show_line(line.rstrip("\n"))
        except BaseException:  # Ctrl-C, or a terminal that is gone
            child.kill()
            raise
    return child.returncode if child.returncode in (0, 1) else 2  # the checks were stopped, or could not begin

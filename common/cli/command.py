"""A command beside running trials: its module's declarations -> its parser, its output and its exit code."""

from common.cli.parser import Options, Parser
from common.core.plugins import Command

JSON = "--json"


def parse(command: Command, prog: str, arguments: list[str]) -> Options:
    """The options of a command. Its module may have DESCRIPTION and EPILOG too."""
    about, epilog = getattr(command, "DESCRIPTION", command.ABOUT), getattr(command, "EPILOG", None)
    parser = Parser(about, prog=prog, epilog=epilog)
    parser.add_argument(JSON, action="store_true", default=None, help="print what is shown as JSON, for programs")
    command.add_flags(parser)
    return parser.parse(arguments)


def main(command: Command, prog: str, arguments: list[str]) -> int:
    """Run a command and return its exit code.

    `run(options, output)` of its module shows tables and lines on the terminal. With --json among the arguments they
    become one JSON document on standard output, and progress goes to standard error.
    """
    as_json = JSON in arguments  # wherever it stands: the arguments of `self WHAT` are parsed later
    options = parse(command, prog, [word for word in arguments if word != JSON])

    from common.report.terminal import Console

    if not as_json:
        return command.run(options, Console())

    from common.cli.json_output import JsonOutput

    output = JsonOutput()
    code = command.run(options, output)
    output.write(code)
    return code

"""The same arithmetic on every framework, proven."""

from common.cli.options import add_flag
from common.cli.parser import Options, Parser
from common.report.output import Output

ABOUT = "prove that frameworks do the same arithmetic"
DESCRIPTION = (
    "Prove that frameworks do the same arithmetic: every layer's output, the loss, every gradient, batch norm's "
    "statistics, the optimiser and five training steps of one model from the same weights, compared tensor by tensor."
)
EPILOG = """\
example: run_bench.py parity resnet50:v1.5 vgg19
exit codes: 0 all gates passed, 1 one failed, 2 bad input"""
FLAGS = {  # of a run, with what they mean here
    "frameworks": "default: all real ones that have the model",
    "train": "what the five steps train (default: {default})",
    "weights": "as for a run (default: {default})",
    "data": "whose first images are taken (default: {default})",
    "format": "of the data",
    "device": "default: {default}",
}


def add_flags(parser: Parser) -> None:
    parser.add_argument("models", nargs="*", metavar="MODEL", help="default: those of the suite matched")
    for name, text in FLAGS.items():
        add_flag(parser, name, text)


def run(options: Options, output: Output) -> int:
    from common.core import registry
    from common.core.locks import lock_scope
    from common.report.compared import gates_table
    from common.report.progress import Display
    from common.run import gate
    from common.run.jobs import make_settings

    given = options.given()
    if not given.keys() & {"models", "frameworks", "train"}:
        given["suite"] = "matched"
    elif "models" not in given:
        given["models"] = list(dict.fromkeys(str(job.model) for job in registry.suite("matched").JOBS))
    settings = make_settings(given | {"recipe": "matched"})
    with lock_scope():
        findings = gate.asked(settings, Display(output.progress).say)
    output.show_table(gates_table(tuple(findings)))
    return 0 if all(found.passed for found in findings) else 1

"""The flags of a run, made from the declarations in common/core/settings.py."""

import argparse
from collections.abc import Callable, Iterable, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from common.cli.parser import Parser
from common.core.settings import GROUPS, POSITIVE, POSITIVE_NUMBER, SEVERAL, WHAT, Flag, Limit, ReadOptions, Settings

EXAMPLES = """\
examples:
  run_bench.py --frameworks torch tf --epochs 2        the main job, on the embedded data set
  run_bench.py --suite smoke                           one small model on each framework
  run_bench.py --data ../comp5329 --models efficientnet_lite0 --repeats 3
  run_bench.py --frameworks torch --models resnet50:v1 --weights w.safetensors --train last-block
  run_bench.py --recipe authors --frameworks torch --models resnet50
  run_bench.py --resume results/RUN                    go on where a run stopped
  run_bench.py data --data ../comp5329                 look at a data set without training
  run_bench.py --data ../xrays --label-columns Mass Edema --group-column patient --unknown absent
  run_bench.py parity resnet50:v1.5                    prove that both frameworks do the same arithmetic
  run_bench.py --suite matched --repeats 5             every architecture on both, the same work
  run_bench.py --models efficientnet_lite0 --lane default tuned   how much faster, for the same scores
  run_bench.py compare results/RUN                     who is faster, and what of it is the framework's
  run_bench.py check results/RUN --baseline results/baselines/smoke.json

exit codes: 0 all trials finished, 1 a trial failed, 2 bad input, 130 Ctrl-C
"""


def bounded(kind: type[int] | type[float], limit: Limit) -> Callable[[str], float]:
    """Return an argparse type: text to a number of this kind, refused with the limit's text where it does not fit."""

    def parse(text: str) -> float:
        value = kind(text)
        if not limit.fits(value):
            raise argparse.ArgumentTypeError(f"{text} is not {limit.text}")
        return value

    parse.__name__ = kind.__name__  # argparse names it where the text is no number at all
    return parse


positive, several = bounded(int, POSITIVE), bounded(int, SEVERAL)
positive_number = bounded(float, POSITIVE_NUMBER)


def flags(settings: type[ReadOptions] = Settings) -> dict[str, Flag]:
    """The flag of each setting that has one; those that a subclass adds come before those that it inherits."""
    found = {
        name: next((m for m in field.metadata if isinstance(m, Flag)), None)
        for name, field in settings.model_fields.items()
    }
    return {
        name: flag for name in sorted(found, key=lambda name: name in ReadOptions.model_fields) if (flag := found[name])
    }


def add_groups(
    parser: Parser, groups: Iterable[str] = GROUPS, settings: type[ReadOptions] = Settings
) -> dict[str, argparse._ArgumentGroup]:
    """Add a flag for each setting of these groups; return the parser's groups by their titles."""
    added = {group: parser.add_argument_group(group) for group in groups}
    for name, flag in flags(settings).items():
        if flag.group in added:
            add_flag(added[flag.group], name, settings=settings)
    return added


def add_flag(
    parser: argparse._ActionsContainer, name: str, help: str = "", settings: type[ReadOptions] = Settings
) -> None:
    """Add the flag of one setting. help: replaces the declared text."""
    field, flag = settings.model_fields[name], flags(settings)[name]
    text = (help or flag.help).replace("{default}", _text(field.default))
    words: dict[str, Any] = {"dest": name, "help": text, "default": None}
    parser.add_argument(f"--{flag.name or name.replace('_', '-')}", **words, **_value(field, flag))


def _value(field: FieldInfo, flag: Flag) -> dict[str, Any]:
    """What argparse must know of a setting's type."""
    kind: Any = field.annotation
    if get_origin(kind) in (Union, UnionType):
        (kind,) = (each for each in get_args(kind) if each is not NoneType)
    if kind is bool:
        return {"action": "store_true"}
    found: dict[str, Any] = {"metavar": flag.metavar}
    if get_origin(kind) is tuple:
        found["nargs"], kind = "+", get_args(kind)[0]
    if flag.bare is not None:
        found |= {"nargs": "?", "const": flag.bare}
    if get_origin(kind) is Literal:
        return found | {"choices": get_args(kind)}
    return found | {"type": bounded(kind, flag.limit) if flag.limit else kind}


def _text(default: object) -> str:
    """A default as a user would type it."""
    if isinstance(default, tuple):
        return " ".join(map(_text, default))
    return f"{default:g}" if isinstance(default, float) else str(default)


def trials_parser(verbs: Mapping[str, str]) -> Parser:
    """The parser of a run. verbs: what else the command line can do, for the help: name -> what it does."""
    others = "\n".join(f"  {name:14} {about}" for name, about in verbs.items())
    parser = Parser(
        prog="run_bench.py",
        epilog=f"verbs (run_bench.py VERB --help):\n{others}\n\n{EXAMPLES}",
        description="Compare deep-learning frameworks on multi-label image classification: the same split, order and "
        "pixels for each. Without a verb, trials run.",
    )
    add_groups(parser)[WHAT].add_argument(
        "--resume", metavar="RUN", help="go on with a run: finished trials stand, others go on after their last epoch"
    )
    return parser

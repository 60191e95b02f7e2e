"""Settings to flags: each declared setting has a flag that gives a value of its type."""

from typing import Literal

import pytest

from common.cli.options import add_groups, flags, trials_parser
from common.cli.parser import Parser
from common.core.errors import InputError
from common.core.settings import GROUPS, MACHINE, POSITIVE, WHAT, ReadOptions, Settings, setting

RECIPES_OWN = {"schedule", "frozen_norm", "formulas", "shuffle", "command"}  # of no flag: nobody sets them by hand


def test_every_setting_has_a_flag_and_a_help_text():
    assert Settings.model_fields.keys() - flags().keys() == RECIPES_OWN
    assert all(flag.help and flag.group in GROUPS for flag in flags().values())
    assert flags(ReadOptions).keys() == ReadOptions.model_fields.keys()
    actions = {action.dest: action for action in trials_parser({})._actions}
    assert flags().keys() == actions.keys() - {"help", "resume"}
    assert all("{" not in action.help for action in actions.values())  # every default has been filled in


def test_every_flag_gives_a_value_of_its_setting():
    parser = trials_parser({})
    for action in parser._actions:
        if action.dest in flags():
            flag = flags()[action.dest]
            value = action.choices[-1] if action.choices else "7" if flag.limit else "word"
            words = [action.option_strings[0], *([] if action.nargs == 0 else [value])]
            given = parser.parse(words).given()
            assert Settings(**given) != Settings() and given.keys() == {action.dest}, words


class More(Settings):
    hue: Literal["red", "blue"] = setting("red", WHAT, "a new choice (default: {default})")
    counts: tuple[int, ...] = setting((3, 4), MACHINE, "new numbers (default: {default})", "N", limit=POSITIVE)
    share: float | None = setting(None, MACHINE, "a new number", name="part")


def test_a_new_setting_has_a_flag_at_once():
    parser = Parser(prog="new")
    add_groups(parser, settings=More)
    text = " ".join(parser.format_help().split())
    assert "--hue {red,blue} a new choice (default: red)" in text
    assert "--counts N [N ...] new numbers (default: 3 4)" in text
    given = parser.parse(["--hue", "blue", "--counts", "1", "2", "--part", "0.5", "--epochs", "3"]).given()
    assert given == {"hue": "blue", "counts": [1, 2], "share": 0.5, "epochs": 3}
    with pytest.raises(InputError, match="argument --counts: 0 is not 1 or more"):
        parser.parse(["--counts", "0"]).given()


@pytest.mark.parametrize(
    ("flag", "value", "text"),
    [
        ("--epochs", "0", "0 is not 1 or more"),
        ("--workers", "-1", "-1 is not 0 or more"),
        ("--learning-rate", "0", "0 is not above 0"),
        ("--seed", "2147483648", r"2147483648 is not from 0 to below 2\*\*31"),
        ("--percentiles", "100", "100 is not a percentile from 0 to below 100"),
        ("--wait-for-quiet", "4", "4 is not 5 seconds or more"),
        ("--batch-size", "many", "invalid int value: 'many'"),
        ("--timeout", "soon", "invalid float value: 'soon'"),
        ("--train", "tail", "invalid choice: 'tail'"),
    ],
)
def test_a_value_out_of_its_limit_names_the_flag(flag, value, text):
    with pytest.raises(InputError, match=f"argument {flag}: {text}"):
        trials_parser({}).parse([flag, value])

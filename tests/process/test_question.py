"""Questions to a framework: each is answered, and with the type that it promises."""

import pytest

from common.core.errors import InputError
from common.core.specs import BuildSpec, ModelSpec, WeightsSpec
from common.process import questions
from common.process.question import Question, ask
from common.process.questions import ENVIRONMENT, MODELS, PEAKS, TRY_OUT, TryOut
from common.trial.query import ANSWERS
from frameworks.contract import UNCHANGED


def test_every_question_is_answered():
    every = [value.name for value in vars(questions).values() if isinstance(value, Question)]
    assert len(every) > 1 and every == list(ANSWERS)


@pytest.mark.parametrize(
    ("question", "answer"),
    [(MODELS, "resnet50"), (ENVIRONMENT, {"threads": 2}), (PEAKS, None), (TRY_OUT, {"note": ""})],
)
def test_an_answer_of_another_type_is_refused(question, answer):
    with pytest.raises(InputError, match=f"the adapter of a gave a wrong answer to '{question.name}'"):
        question.read("a", answer)


@pytest.mark.usefixtures("not_quick")
def test_a_child_gets_specs_and_its_answer_arrives_typed():
    spec = BuildSpec(
        model=ModelSpec(name="norm"), classes=3, side=16, preprocessing=UNCHANGED, train="all", learning_rate=1e-3
    )
    found = ask("fake", TRY_OUT, 1, spec=spec, weights=WeightsSpec(source="random", preprocessing=UNCHANGED))
    assert isinstance(found, TryOut) and found.note == "" and found.fewest_normalised > 0
    assert "norm" in ask("fake", MODELS)

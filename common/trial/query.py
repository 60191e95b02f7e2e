"""The CHILD that answers one question of the harness about a framework, then ends."""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

import common.trial.trace
from common.core.errors import InputError
from common.core.files import read_json, write_json
from common.core.specs import BuildSpec, ModelSpec, Preprocessing, ProcessSpec, Value, WeightsSpec
from common.process import questions
from common.process.questions import Trace
from common.process.spawn import die_with_parent
from common.trial import ceilings, microbench
from common.trial.contract import Adapter, load_adapter
from common.trial.initial_weights import save_weights
from common.trial.tryout import try_out


def models(adapter: Adapter) -> list[str]:
    """Every model name the framework builds."""
    return adapter.models()


def environment(adapter: Adapter) -> dict[str, str]:
    """Versions and devices; fails where the asked device is not there."""
    return adapter.environment()


def preprocessing(adapter: Adapter, model: str) -> Preprocessing:
    """What the library does to an image before this model, if its weights are the library's."""
    return adapter.preprocessing(ModelSpec(name=model))


def export(adapter: Adapter, model: str, variant: str, source: str, target: str, named: bool) -> str:
    """Write `source` as canonical tensors to the safetensors file `target`; named: with the library's preprocessing."""
    tensors, usual, *notes = adapter.export(ModelSpec(name=model, variant=variant), source)
    save_weights(Path(target), tensors, ModelSpec(name=model, variant=variant), usual if named else None, *notes)
    return target


def trace(adapter: Adapter, spec: BuildSpec, weights: WeightsSpec, batch: str, recorded: str, target: str) -> Trace:
    """The framework's arithmetic for the parity gate, written to `target`: common/trial/trace.py."""
    reference = Path(recorded) if recorded else None
    return common.trial.trace.trace(adapter, spec, weights, Path(batch), reference, Path(target))


ANSWERS: dict[str, Callable[..., Any]] = {
    questions.MODELS.name: models,
    questions.ENVIRONMENT.name: environment,
    questions.PREPROCESSING.name: preprocessing,
    questions.EXPORT.name: export,
    questions.TRACE.name: trace,
    questions.PEAKS.name: ceilings.every_peak,
    questions.TRY_OUT.name: try_out,
    questions.RECEIPT_SECONDS.name: microbench.receipt_seconds,
    questions.STEP_SECONDS.name: microbench.step_seconds,
    questions.TRACING_SECONDS.name: microbench.tracing_seconds,
    questions.FROZEN_PASS.name: microbench.frozen_pass,
    questions.PASSES.name: microbench.passes,
}
TYPES: dict[str, type[Value]] = {"spec": BuildSpec, "weights": WeightsSpec}  # of values that are not plain


def main(request_file: str, answer_file: str) -> None:
    die_with_parent()
    request = read_json(Path(request_file))
    try:
        adapter = load_adapter(request["framework"])(ProcessSpec(**request["process"]), 0)
        values = {name: TYPES[name](**v) if name in TYPES else v for name, v in request["values"].items()}
        answer = {"answer": to_jsonable_python(ANSWERS[request["question"]](adapter, **values))}
    except InputError as error:
        answer = {"error": str(error)}
    except Exception as error:
        traceback.print_exc()
        answer = {"error": f"{request['framework']}: {type(error).__name__}: {error}"}
    write_json(Path(answer_file), answer)


if __name__ == "__main__":
    main(*sys.argv[1:])

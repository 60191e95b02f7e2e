"""The CHILD that answers one question of the harness about a framework, then ends."""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common.trial.trace
from common.core.errors import InputError
from common.core.files import read_json, write_json
from common.core.specs import BuildSpec, ModelSpec, ProcessSpec, WeightsSpec
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


def preprocessing(adapter: Adapter, model: str) -> dict[str, Any]:
    """What the library does to an image before this model, if its weights are the library's."""
    return adapter.preprocessing(ModelSpec(name=model)).model_dump()


def export(adapter: Adapter, model: str, variant: str, source: str, target: str, named: bool) -> str:
    """Write `source` as canonical tensors to the safetensors file `target`; named: with the library's preprocessing."""
    tensors, usual, *notes = adapter.export(ModelSpec(name=model, variant=variant), source)
    save_weights(Path(target), tensors, ModelSpec(name=model, variant=variant), usual if named else None, *notes)
    return target


def trace(
    adapter: Adapter, spec: dict[str, Any], weights: dict[str, Any], batch: str, recorded: str, target: str
) -> dict[str, Any]:
    """The framework's arithmetic for the parity gate, written to `target`: common/trial/trace.py."""
    return common.trial.trace.trace(
        adapter,
        BuildSpec(**spec),
        WeightsSpec(**weights),
        Path(batch),
        Path(recorded) if recorded else None,
        Path(target),
    )


QUESTIONS: dict[str, Callable[..., Any]] = {
    "models": models, "environment": environment, "preprocessing": preprocessing, "export": export, "trace": trace,
    "peaks": ceilings.every_peak, "try_out": try_out,
    **microbench.QUESTIONS,
}  # fmt: skip


def main(request_file: str, answer_file: str) -> None:
    die_with_parent()
    request = read_json(Path(request_file))
    try:
        adapter = load_adapter(request["framework"])(ProcessSpec(**request["process"]), 0)
        answer = {"answer": QUESTIONS[request["question"]](adapter, **request["values"])}
    except InputError as error:
        answer = {"error": str(error)}
    except Exception as error:
        traceback.print_exc()
        answer = {"error": f"{request['framework']}: {type(error).__name__}: {error}"}
    write_json(Path(answer_file), answer)


if __name__ == "__main__":
    main(*sys.argv[1:])

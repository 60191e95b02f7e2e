"""Baseline files: read, refused where they are none, written."""

import contextlib
from pathlib import Path

from pydantic import ValidationError

from common.check import Baseline
from common.errors import InputError, OtherSchema
from common.files import read_json, write_json
from common.types import SCHEMA_VERSION


def read(file: Path, replaced: bool = False) -> Baseline | None:
    """The baseline in `file`; None where there is none to compare with. OtherSchema: of another version.

    InputError where it is missing or no baseline, unless it is about to be replaced.
    """
    if replaced:
        with contextlib.suppress(InputError):
            return read(file)
        return None
    if not file.exists():
        raise InputError(
            f"no baseline '{file}'; make one of a good run with: "
            f"uv run python run_bench.py check RUN --baseline {file} --update-baseline"
        )
    try:
        raw = read_json(file)
        if raw.get("schema_version") != SCHEMA_VERSION:
            raise OtherSchema(
                f"{file} has schema version {raw.get('schema_version')}, this harness {SCHEMA_VERSION}: not comparable; "
                "make it anew with --update-baseline"
            )
        return Baseline.model_validate(raw)
    except (ValueError, AttributeError, ValidationError) as error:
        raise InputError(
            f"{file} is not a baseline: {str(error).splitlines()[0]}; make it anew with --update-baseline"
        ) from None


def write(file: Path, baseline: Baseline) -> None:
    """InputError where a trial of the run did not finish: nothing is checked against half a run."""
    unfinished = [row.label for row in baseline.rows if not row.finished]
    if unfinished:
        raise InputError(f"{', '.join(unfinished)} did not finish: this run is no baseline; the old one stands")
    write_json(file, baseline.model_dump())

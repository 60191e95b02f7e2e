"""Baseline files: read, refused where they are none, written."""

from pathlib import Path

from pydantic import ValidationError

from common.analysis.check import not_the_same
from common.analysis.summary import Baseline
from common.core.errors import InputError, OtherSchema
from common.core.files import read_json, write_json
from common.core.specs import SCHEMA_VERSION, Recipe


def read(file: Path, replaced: bool = False) -> Baseline | None:
    """The baseline in `file`; None where there is none to compare with. OtherSchema: of another version.

    InputError where it is no baseline, or missing, unless it is about to be replaced. What is no baseline is not replaced.
    """
    if not file.exists():
        if replaced:
            return None
        raise InputError(
            f"no baseline '{file}'; make one of a good run with: "
            f"uv run python run_bench.py check RUN --baseline {file} --update-baseline"
        )
    try:
        raw = read_json(file)
        if raw.get("schema_version") != SCHEMA_VERSION and "rows" in raw:
            if replaced:
                return None
            raise OtherSchema(
                f"{file} has schema version {raw.get('schema_version')}, this harness {SCHEMA_VERSION}: not comparable; "
                "make it anew with --update-baseline"
            )
        found = Baseline.model_validate(raw)
        for row in found.rows:
            Recipe.model_validate(row.settings["recipe"])  # `check` holds it against a run's, field by field
        return found
    except (ValueError, AttributeError, KeyError, ValidationError) as error:
        raise InputError(
            f"{file} is not a baseline: {str(error).splitlines()[0]}; name another file: --update-baseline makes it of a good run"
        ) from None


def appended(base: Baseline, run: Baseline) -> Baseline:
    """The baseline with the run's further seeds. A seed that it has stays as it is.

    InputError where a row is of other settings or did not finish, or where nothing would be added.
    """
    _finished(run, "no evidence; the baseline stays as it is")
    rows, added = {row.label: row for row in base.rows}, 0
    for row in run.rows:
        old = rows.get(row.label)
        if old is None:
            raise InputError(f"the baseline has no row '{row.label}'; --update-baseline makes one of this run")
        if names := not_the_same(old, row):
            raise InputError(f"{row.label}: other {', '.join(names)} than in the baseline: no evidence for it")
        fresh = {seed: plan for seed, plan in row.plans.items() if seed not in old.plans}
        metrics = dict(old.metrics)
        for name, metric in row.metrics.items():
            # A class without a positive has no AP: a metric need not have all seeds.
            known = old.metrics[name].values if name in old.metrics else {}
            more = {seed: value for seed, value in metric.values.items() if seed in fresh}
            if known | more:
                metrics[name] = metrics.get(name, metric).model_copy(update={"values": known | more})
        rows[row.label] = old.model_copy(update={"plans": old.plans | fresh, "metrics": metrics})
        added += len(fresh)
    if not added:
        raise InputError("the baseline has every seed of this run: nothing to append; run with another --seed")
    return base.model_copy(update={"rows": tuple(rows.values())})


def write(file: Path, baseline: Baseline) -> None:
    """InputError where a trial of the run did not finish: nothing is checked against half a run."""
    _finished(baseline, "no baseline; the old one stands")
    write_json(file, baseline.model_dump())


def _finished(run: Baseline, otherwise: str) -> None:
    if unfinished := [row.label for row in run.rows if not row.finished]:
        raise InputError(f"{', '.join(unfinished)} did not finish: this run is {otherwise}")

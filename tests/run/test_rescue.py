"""What fails once a run has its folder is one sentence with the command to go on, and promises only what is there."""

import pytest

from common.core.errors import InputError
from common.run.rescue import TRACEBACK, go_on_with

KEPT = "the trials' results are kept"


ZERO = ZeroDivisionError("division by zero")


def failed(folder, error=ZERO):
    with pytest.raises(InputError) as caught, go_on_with("again", folder):
        raise error
    return str(caught.value)


def test_the_traceback_is_named_where_it_was_written(tmp_path):
    said = failed(tmp_path)
    assert (
        f"(its traceback is in {tmp_path / TRACEBACK})" in said
        and "ZeroDivisionError" in (tmp_path / TRACEBACK).read_text()
    )
    (tmp_path / "file").write_text("")
    assert (
        failed(tmp_path / "file")
        == "the harness failed with ZeroDivisionError: division by zero; when that is mended, run: again"
    )


@pytest.mark.parametrize("error", [InputError("no"), OSError(28, "No space left on device"), KeyError("x")])
def test_results_are_kept_once_a_trial_has_begun(tmp_path, error):
    (tmp_path / "trials" / "01").mkdir(parents=True)
    (tmp_path / "trials" / "01" / "spec.json").write_text("{}")
    assert KEPT not in failed(tmp_path, error) and failed(tmp_path, error).endswith("; when that is mended, run: again")
    (tmp_path / "trials" / "01" / "events.jsonl").write_text("")
    assert failed(tmp_path, error).endswith(f"; {KEPT}: when that is mended, run: again")

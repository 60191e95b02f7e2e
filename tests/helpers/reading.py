"""Read a case's data as a run would, and compare with what is right."""

import pytest

from common.core.errors import InputError
from common.core.settings import Settings
from common.data.bad_images import check_missing
from common.report.reading import described
from common.run.prepare import read_data
from tests.helpers.cases import Case, Refused


def read(case: Case, folder):
    """The Dataset, and what a run prints of it."""
    flags = dict(case.right.flags)
    settings = Settings(data=str(folder / case.at), **flags)
    data = read_data(settings)
    check_missing(settings, data)
    return data, "\n".join(f"{what}: {value}" for what, value in described(data, settings.percentiles))


def check_case(case: Case, folder) -> None:
    case.draw(folder)
    if isinstance(case.right, Refused):
        with pytest.raises(InputError) as caught:
            read(case, folder)
        assert [words for words in case.right.says if words not in str(caught.value)] == [], str(caught.value)
        return
    data, text = read(case, folder)
    assert data.class_names == case.right.classes
    assert (len(data), len(data.test_ids)) == (case.right.images, case.right.tests)
    assert case.right.positives is None or tuple(data.labels.sum(axis=0)) == case.right.positives
    assert not case.right.first or data.paths[0] == str((folder / case.right.first).resolve())
    assert [words for words in case.right.says if words not in text] == [], text

"""A run with its baseline, which the tests of the check and of baselines share."""

import pytest

from tests.helpers.checked import flags


@pytest.fixture(scope="session")
def good(bench, tmp_path_factory):
    """A run that has learnt something, and its baseline."""
    parent = tmp_path_factory.mktemp("check")
    assert bench(*flags(parent, "good")).returncode == 0
    made = ("check", parent / "good", "--baseline", parent / "base.json", "--update-baseline")
    assert bench(*made).returncode == 0
    return parent

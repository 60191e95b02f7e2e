"""Every plug-in file offers what its kind must have."""

from types import SimpleNamespace

import pytest

from common.core import registry
from common.core.plugins import Command, Format, Launcher, RecipeFile, Suite, Tracker

KINDS = [
    (Launcher, registry.launchers), (Tracker, registry.trackers), (RecipeFile, registry.recipes),
    (Suite, registry.suites), (Format, registry.formats), (Command, registry.commands),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "found"), KINDS, ids=lambda value: value.__name__)
def test_every_plugin_offers_what_its_kind_must_have(kind, found):
    assert found()
    for name, module in found().items():
        assert isinstance(module, kind), f"{name} is no {kind.__name__}"
    assert not isinstance(SimpleNamespace(ABOUT="a file that lacks the rest"), kind)

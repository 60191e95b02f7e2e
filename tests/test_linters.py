"""CI and the pre-commit hook run the same linters."""

import pytest

from tests.helpers.project import PROJECT

LINTERS = ("ruff check", "ruff format --check", "mypy")


def commands(text: str) -> str:
    """Without comments and the names of hooks."""
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("#", "name:")))


def test_one_script_has_all_linters():
    script = commands((PROJECT / ".ci" / "lint").read_text())
    assert all(f"uv run {linter}" in script for linter in LINTERS)


@pytest.mark.parametrize("file", [".ci/run", ".pre-commit-config.yaml"])
def test_it_is_what_ci_and_the_hook_call(file):
    text = commands((PROJECT / file).read_text())
    assert ".ci/lint" in text
    assert not [linter for linter in LINTERS if linter in text], f"{file} calls a linter beside .ci/lint"


def test_the_hook_needs_no_network():
    text = (PROJECT / ".pre-commit-config.yaml").read_text()
    assert text.count("repo:") == text.count("repo: local") == 1

"""Where the project lies, and what lies beside it."""

import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def shared(name: str) -> Path:
    """Return a file or folder beside the project; skip the test, with the reason, where it is missing."""
    sys.audit("tests.shared", name)  # no quick test may use it
    path = PROJECT.parent / "shared" / name
    if not path.exists():
        pytest.skip(f"needs {name} beside the project")
    return path

"""The harness, measured."""

import importlib

ABOUT = "measure the harness itself: against a bare loop, Pillow, the machine's peak"


def main(arguments: list[str]) -> int:
    """The measurements are a package of their own, which may use any of the harness: found by name."""
    return importlib.import_module("benchmarks.self").main(arguments)

"""The checks that every adapter must pass. `run_bench.py check-adapter NAME` and the tests run the same ones.

`context.py` has what a check works with, `catalogue.py` lists the checks in their order, and `python -m frameworks.checks`
runs them on one framework. Each framework needs a process of its own. No framework itself: this folder has no NAME.
"""

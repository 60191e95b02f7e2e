"""The harness, measured."""

import benchmarks.self

ABOUT = "measure the harness itself: against a bare loop, Pillow, the machine's peak"
main = benchmarks.self.main

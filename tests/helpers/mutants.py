"""Mutated files."""

import numpy as np
import pytest

TOKENS = (b"\0", b'"', b"\n", b"\r", b",", b"", b"{", b"]", b"-1", b"1e999", b"9" * 400, b"\xff\xfe", b"\xed\xa0\x80", b"\\ud800",
          b"null", b"NaN", b"[[[[", b"../", b" ", b";", b"true", b"\xe2\x80\xa8")  # fmt: skip


FEW = 40  # of 1,000 and more mutants that the slow runs see


def mutant(data: bytes, rng: np.random.Generator) -> bytes:
    """One to four wounds: a bit flipped, a span lost, doubled or moved, a token put in, the end cut off."""
    for _ in range(rng.integers(1, 5)):
        at, length = int(rng.integers(0, len(data) + 1)), int(rng.integers(1, 40))
        span = data[at : at + length]
        kind = rng.integers(0, 6)
        if kind == 0 and span:
            data = data[:at] + bytes([data[at] ^ 1 << int(rng.integers(0, 8))]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + data[at + length :]
        elif kind == 2:
            data = data[:at] + span + data[at:]
        elif kind == 3:
            data = data[:at] + TOKENS[rng.integers(0, len(TOKENS))] + data[at:]
        elif kind == 4:
            there = int(rng.integers(0, len(data) + 1))
            data = data[:there] + span + data[there:]
        elif rng.random() < 0.2:
            data = data[:at]
    return data


def mutants(data: bytes, n: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return (mutant(data, rng) for _ in range(n))


def many(n: int):
    return [pytest.param(FEW, id="a few"), pytest.param(n, id=f"{n:,}", marks=pytest.mark.slow)]

"""The plan: exact sizes, one split for all, an order per epoch, hashes that move with every array."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import PROJECT

from common.errors import InputError
from common.plan import hashes, make_plan, split


def labels(n: int) -> np.ndarray:
    return (np.random.default_rng(0).random((n, 5)) < 0.3).astype(np.uint8)


def test_the_papers_sizes():
    train, validation = split(30_000, seed=0)
    assert (len(train), len(validation)) == (24_000, 6_000)
    assert len(np.union1d(train, validation)) == 30_000


def test_balance_changes_the_visits_and_not_the_split():
    plain, balanced = (make_plan(labels(500), 7, 2, b) for b in ("none", "oversample"))
    assert (plain.validation_rows == balanced.validation_rows).all()
    assert len(balanced.visits) > len(plain.visits)
    assert not np.isin(balanced.visits, balanced.validation_rows).any()


def test_every_epoch_visits_the_same_rows_in_another_order():
    plan = make_plan(labels(200), 0, 3, "oversample")
    for order in plan.orders:
        assert (np.sort(order) == np.sort(plan.visits)).all()
    assert (plan.orders[0] != plan.orders[1]).any()


def test_seeds_decide():
    a, b, c = (make_plan(labels(100), seed, 1, "none") for seed in (0, 0, 1))
    assert hashes(a) == hashes(b)
    assert hashes(a)["split"] != hashes(c)["split"]


@pytest.mark.parametrize("field", ["train_rows", "validation_rows", "visits", "orders"])
def test_the_hash_sees_every_array(field):
    plan = make_plan(labels(100), 0, 2, "none")
    changed = getattr(plan, field).copy()
    changed.flat[[0, 1]] = changed.flat[[1, 0]]
    assert hashes(replace(plan, **{field: changed}))["plan"] != hashes(plan)["plan"]


def test_too_few_images_are_refused():
    with pytest.raises(InputError, match="at least 3"):
        split(2, 0)


MILLION = """
import json, resource, time
import numpy as np
from common.plan import make_plan
rng = np.random.default_rng(0)
# 1.55 labels an image as in the real table, but independent: tens of times its 714 label sets
labels = (rng.random((1_000_000, 20), np.float32) < np.linspace(.01, .145, 20)).astype(np.uint8)
start = time.perf_counter()
plan = make_plan(labels, 0, 2, "oversample")
print(json.dumps({"s": time.perf_counter() - start, "kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
                  "visits": len(plan.visits)}))
"""


def test_a_million_rows_take_at_most_10_s_and_1_5_gb():
    answer = subprocess.run([sys.executable, "-c", MILLION], cwd=PROJECT, capture_output=True, text=True, check=True)
    result = json.loads(answer.stdout)
    assert result["visits"] > 800_000
    assert result["s"] < 10
    assert result["kib"] < 1.5e9 / 1024

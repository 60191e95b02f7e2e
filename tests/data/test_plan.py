"""The plan: exact sizes, one split for all, an order per epoch, hashes that move with every array."""

import json
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest

from common.core.errors import InputError
from common.core.specs import Plan, PlanSpec
from common.data.decode import DRAWS
from common.data.plan import hashes, make_plan, split
from tests.helpers.project import PROJECT


def labels(n: int) -> np.ndarray:
    return (np.random.default_rng(0).random((n, 5)) < 0.3).astype(np.uint8)


def test_the_papers_sizes():
    train, validation = split(np.zeros((30_000, 1), np.uint8), np.arange(30_000), 0, "random")
    assert (len(train), len(validation)) == (24_000, 6_000)
    assert len(np.union1d(train, validation)) == 30_000


def test_balance_changes_the_visits_and_not_the_split():
    plain, balanced = (make_plan(labels(500), PlanSpec(seed=7, balance=b), 2) for b in ("none", "oversample"))
    assert (plain.validation_rows == balanced.validation_rows).all()
    assert len(balanced.visits) > len(plain.visits)
    assert not np.isin(balanced.visits, balanced.validation_rows).any()


def test_every_epoch_visits_the_same_rows_in_another_order():
    plan = make_plan(labels(200), PlanSpec(seed=0, balance="oversample"), 3)
    for order in plan.orders:
        assert (np.sort(order) == np.sort(plan.visits)).all()
    assert (plan.orders[0] != plan.orders[1]).any()


def test_seeds_decide():
    a, b, c = (make_plan(labels(100), PlanSpec(seed=seed), 1) for seed in (0, 0, 1))
    assert hashes(a) == hashes(b)
    assert hashes(a)["split"] != hashes(c)["split"]


@pytest.mark.parametrize("field", [field.name for field in fields(Plan)])
def test_the_hash_sees_every_array(field):
    plan = make_plan(labels(100), PlanSpec(seed=0, augment="everywhere"), 2, test_rows=np.arange(100, 110))
    changed = getattr(plan, field).copy()
    changed.flat[[0, 1]] = changed.flat[[1, 0]]
    assert hashes(replace(plan, **{field: changed}))["plan"] != hashes(plan)["plan"]


def test_too_few_images_are_refused():
    with pytest.raises(InputError, match="at least 3"):
        split(np.zeros((2, 1), np.uint8), np.arange(2), 0, "random")


def test_unusable_rows_are_in_neither_split():
    usable = np.setdiff1d(np.arange(100), [3, 50])
    plan = make_plan(labels(100), PlanSpec(seed=0), 1, usable)
    assert (np.union1d(plan.train_rows, plan.validation_rows) == usable).all()


def test_unshuffled_is_the_tables_order():
    plan = make_plan(labels(100), PlanSpec(seed=0, shuffle=False), 2)
    assert (plan.orders == plan.train_rows).all()


def by_row(plan, epoch):
    """The crops of an epoch under the row that each belongs to."""
    return {int(row): crop for row, crop in zip(plan.orders[epoch], plan.crops[epoch])}


def test_a_crop_belongs_to_its_row_and_epoch():
    """The same with and without shuffling, with fewer rows, and for the first visit of a row that is repeated."""
    several = {
        "plain": {"shuffle": False},
        "shuffled": {},
        "fewer": {"balance": "undersample"},
        "more": {"balance": "oversample"},
    }
    plans = {
        name: make_plan(labels(60), PlanSpec(seed=1, augment="train", **more), 2) for name, more in several.items()
    }
    assert plans["plain"].crops.shape == (2, 48, DRAWS)
    for epoch in range(2):
        plain = by_row(plans["plain"], epoch)
        for name in ("shuffled", "fewer"):
            assert all((crop == plain[row]).all() for row, crop in by_row(plans[name], epoch).items())
        more = plans["more"]
        assert all(any((c == plain[row]).all() for c in more.crops[epoch][more.orders[epoch] == row]) for row in plain)
        assert len(np.unique(more.crops[epoch], axis=0)) == len(more.visits)  # repetitions have crops of their own
    assert (plans["plain"].crops[0] != plans["plain"].crops[1]).all(axis=1).all()
    assert not len(plans["plain"].validation_crops)


def test_crops_everywhere_reach_validation_and_test():
    plan = make_plan(labels(60), PlanSpec(seed=1, augment="everywhere"), 2, test_rows=np.arange(60, 67))
    assert plan.validation_crops.shape == (3, 12, DRAWS)  # two epochs and the prediction
    assert plan.test_crops.shape == (7, DRAWS)


MILLION = """
import json, resource
import numpy as np
from common.data.plan import make_plan
from common.core.specs import PlanSpec
rng = np.random.default_rng(0)
# 1.55 labels an image as in the real table, but independent: tens of times its 714 label sets
labels = (rng.random((1_000_000, 20), np.float32) < np.linspace(.01, .145, 20)).astype(np.uint8)
plan = make_plan(labels, PlanSpec(seed=0, balance="oversample"), 2)
print(json.dumps({"kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, "visits": len(plan.visits)}))
"""


@pytest.mark.usefixtures("not_quick")
def test_a_million_rows_take_at_most_1_5_gb():
    answer = subprocess.run([sys.executable, "-c", MILLION], cwd=PROJECT, capture_output=True, text=True, check=True)
    result = json.loads(answer.stdout)
    assert result["visits"] > 800_000
    assert result["kib"] < 1.5e9 / 1024

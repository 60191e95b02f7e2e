"""PURE: Dataset labels and a seed -> Plan, drawn once and given to every framework as arrays."""

from collections.abc import Iterable
from dataclasses import fields

import numpy as np

from common.core.errors import InputError
from common.core.hashing import hash_arrays
from common.core.specs import Plan, PlanSpec
from common.data.balance import oversample, undersample
from common.data.decode import DRAWS
from common.data.stratify import iterative_split

VALIDATION_SHARE = 0.2  # the paper's 24,000/6,000
FEW = 20  # validation images: of fewer, a single one decides about a twentieth of every score
NO_CROPS = np.empty((0, 0, DRAWS), np.float32)
BALANCES = {"oversample": oversample, "undersample": undersample}  # "weighted" changes the loss, not the visits


NO_ROWS = np.empty(0)


def split(
    labels: np.ndarray, usable: np.ndarray, seed: int, how: str, in_validation: np.ndarray = NO_ROWS,
    groups: np.ndarray = NO_ROWS,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Sorted row numbers of the train and the validation split, int32: 80/20 of the usable rows, or the author's own.

    in_validation: bool [n], the author's split, for how="given". groups: [n]; none is on both sides, and 20 % of the groups
    validate, whatever their sizes. InputError where a side would be empty.
    """
    if how == "given":
        return _given(usable, in_validation)
    if len(groups):
        return _by_group(usable, seed, groups)
    n = len(usable)
    n_validation = round(n * VALIDATION_SHARE)
    if n_validation < 1 or n_validation == n:
        raise InputError(f"{n} images cannot be split 80/20; at least 3 are needed (raise --limit, or give more data)")
    rng = np.random.default_rng([seed, 0])
    if how == "iterative":
        train, validation = iterative_split(labels[usable], n_validation, rng)
    else:
        order = rng.permutation(n)
        train, validation = np.sort(order[n_validation:]), np.sort(order[:n_validation])
    return usable[train].astype(np.int32), usable[validation].astype(np.int32)


def _given(usable: np.ndarray, in_validation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    validates = in_validation[usable].astype(bool)
    if validates.all() or not validates.any():
        raise InputError(
            f"the author's split leaves {int((~validates).sum())} images to train and {int(validates.sum())} to validate; "
            "take --split random, or more images"
        )
    return usable[~validates].astype(np.int32), usable[validates].astype(np.int32)


def _by_group(usable: np.ndarray, seed: int, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    names = np.unique(groups[usable])
    n_validation = round(len(names) * VALIDATION_SHARE)
    if n_validation < 1 or n_validation == len(names):
        raise InputError(f"{len(names)} groups cannot be split 80/20; at least 3 are needed: leave out --group-column")
    chosen = np.random.default_rng([seed, 0]).permutation(len(names))[:n_validation]
    validates = np.isin(groups[usable], names[chosen])
    return usable[~validates].astype(np.int32), usable[validates].astype(np.int32)


def few_notes(plans: Iterable[Plan]) -> list[str]:
    """What scores of a small validation split are worth; nothing where it has 20 images or more."""
    n = min(len(drawn.validation_rows) for drawn in plans)
    if n >= FEW:
        return []
    images = "1 validation image" if n == 1 else f"{n} validation images"
    return [f"Scores come from {images}, too few to rank anything by: give more images."]


def make_plan(
    labels: np.ndarray,
    spec: PlanSpec,
    epochs: int,
    usable: np.ndarray | None = None,
    test_rows: np.ndarray | None = None,
    in_validation: np.ndarray = NO_ROWS,
    groups: np.ndarray = NO_ROWS,
) -> Plan:
    """The split, the balanced visits, each epoch's order, and the crops where the spec wants them.

    labels: uint8 [n, classes]; usable: the rows to plan with (None: all); test_rows: kept as they are; in_validation and
    groups: as for `split`. The split
    depends on the usable rows, the seed and its kind alone, so balanced and unbalanced trials of one seed share it. A
    crop depends on seed, epoch, row and its how-manieth visit alone: another order or balance crops an image alike.
    Memory: 4 bytes per row, per visit, and per visit and epoch; with crops 92 more per visit and epoch.
    """
    seed, usable = spec.seed, np.arange(len(labels)) if usable is None else usable
    train, validation = split(labels, usable, seed, spec.split, in_validation, groups)
    balance = BALANCES.get(spec.balance)
    visits = balance(labels, train, seed) if balance else train
    places = np.tile(np.arange(len(visits)), (epochs, 1))
    if spec.shuffle:
        places = np.stack([_random(seed, 1, epoch).permutation(len(visits)) for epoch in range(epochs)])
    test = np.empty(0, np.int32) if test_rows is None else test_rows.astype(np.int32)
    cropped = epochs if spec.augment != "none" else 0
    everywhere = spec.augment == "everywhere"
    return Plan(
        train, validation, visits, visits[places], test,
        crops=_stacked([_draws(visits, seed, 2, e)[places[e]] for e in range(cropped)]),
        validation_crops=_stacked([_draws(validation, seed, 3, e) for e in range(epochs + 1 if everywhere else 0)]),
        test_crops=_draws(test if everywhere else test[:0], seed, 4, 0),
    )  # fmt: skip


def _draws(rows: np.ndarray, *key: int) -> np.ndarray:
    """float32 [len(rows), DRAWS]: the numbers of each row, and others for each repetition of it."""
    order = np.argsort(rows, kind="stable")
    in_order = rows[order]
    repetition = np.empty(len(rows), np.int64)
    repetition[order] = np.arange(len(rows)) - np.searchsorted(in_order, in_order)
    draws = np.empty((len(rows), DRAWS), np.float32)
    for k in range(int(repetition.max()) + 1 if len(rows) else 0):
        here = repetition == k
        draws[here] = _random(*key, k).random((int(rows.max()) + 1, DRAWS), np.float32)[rows[here]]
    return draws


def _stacked(arrays: list[np.ndarray]) -> np.ndarray:
    return np.stack(arrays) if arrays else NO_CROPS


def _random(*key: int) -> np.random.Generator:
    return np.random.default_rng(key)


def hashes(plan: Plan) -> dict[str, str]:
    """A hash of the split, the visits and the orders, and `plan` over every array."""
    return {
        "split": hash_arrays(plan.train_rows, plan.validation_rows),
        "visits": hash_arrays(plan.visits),
        "orders": hash_arrays(plan.orders),
        "plan": plan_hash(plan),
    }


def plan_hash(plan: Plan) -> str:
    return hash_arrays(*(getattr(plan, field.name) for field in fields(plan)))

"""PURE: Dataset labels and a seed -> Plan, drawn once and given to every framework as arrays."""

import numpy as np

from common.balance import oversample
from common.errors import InputError
from common.files import hash_arrays
from common.types import Balance, Plan

VALIDATION_SHARE = 0.2  # the paper's 24,000/6,000


def split(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sorted row numbers of the train and the validation split, 80/20, int32."""
    n_validation = round(n * VALIDATION_SHARE)
    if n_validation < 1 or n_validation == n:
        raise InputError(f"{n} images cannot be split 80/20; at least 3 are needed (raise --limit, or give more data)")
    order = np.random.default_rng([seed, 0]).permutation(n).astype(np.int32)
    return np.sort(order[n_validation:]), np.sort(order[:n_validation])


def make_plan(labels: np.ndarray, seed: int, epochs: int, balance: Balance) -> Plan:
    """The split, the balanced visits and each epoch's order.

    labels: uint8 [n, classes]. The split depends on n and seed alone, so balanced and unbalanced trials
    of one seed share it. Memory: 4 bytes per row, per visit, and per visit and epoch.
    """
    train, validation = split(len(labels), seed)
    visits = oversample(labels, train, seed) if balance == "oversample" else train
    orders = np.empty((epochs, len(visits)), np.int32)
    for epoch in range(epochs):
        orders[epoch] = visits[np.random.default_rng([seed, 1, epoch]).permutation(len(visits))]
    return Plan(train, validation, visits, orders)


def hashes(plan: Plan) -> dict[str, str]:
    """A hash of each array, and `plan` over all of them."""
    split_hash = hash_arrays(plan.train_rows, plan.validation_rows)
    return {
        "split": split_hash,
        "visits": hash_arrays(plan.visits),
        "orders": hash_arrays(plan.orders),
        "plan": hash_arrays(plan.train_rows, plan.validation_rows, plan.visits, plan.orders),
    }

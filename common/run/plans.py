"""The plans of a run, one for each seed and balance, and what tables say of them."""

from collections.abc import Iterable, Mapping

import numpy as np

from common.core.audit import PlanAudit, PlanName, SplitSizes
from common.core.dataset import Dataset
from common.core.settings import Settings
from common.core.specs import Balance, Plan, PlanSpec
from common.data import plan
from common.data.bad_images import without_bad
from common.data.balance import audit

Key = tuple[int, Balance]  # seed and balance
Plans = Mapping[Key, Plan]


def rows_known(settings: Settings, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The labelled rows and the test rows of a run as far as they are known before decoding: all, without those that
    --on-bad-image skip leaves out because their file is missing."""
    paths = [*dataset.paths.tolist(), *dataset.test_paths.tolist()] if settings.on_bad_image == "skip" else []
    missing = {row: dataset.missing[path] for row, path in enumerate(paths) if path in dataset.missing}
    return without_bad(settings, dataset, missing)[:2]


def draw_plans(
    settings: Settings, dataset: Dataset, balances: Iterable[Balance], usable: np.ndarray, test_rows: np.ndarray
) -> Plans:
    """One plan for each seed and balance."""
    plans = {}
    for seed in settings.seeds:
        for balance in dict.fromkeys(balances):
            spec = PlanSpec(
                seed=seed, split=settings.split, balance=balance, shuffle=settings.shuffle, augment=settings.augment
            )
            plans[seed, balance] = plan.make_plan(
                dataset.labels, spec, settings.epochs, usable, test_rows, dataset.in_validation, dataset.groups
            )
    return plans


def described(dataset: Dataset, plans: Plans) -> tuple[dict[str, SplitSizes], dict[str, PlanAudit]]:
    """Sizes and hash of every split, by seed; what each plan's epoch sees before and after balancing, by plan."""
    splits, audits = {}, {}
    for (seed, balance), drawn in plans.items():
        hashes = plan.hashes(drawn)
        splits[str(seed)] = SplitSizes(
            train=len(drawn.train_rows), validation=len(drawn.validation_rows), test=len(drawn.test_rows),
            split_hash=hashes["split"],
        )  # fmt: skip
        found = audit(dataset.labels, drawn.train_rows, drawn.visits)
        audits[str(PlanName(str(seed), balance))] = found.model_copy(update=hashes)
    return splits, audits

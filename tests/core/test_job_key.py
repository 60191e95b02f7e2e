"""The identity of a job: equal for its repeats, another for every other job."""

import pytest

from common.core.specs import TrialSpec
from tests.helpers.records import SPEC


def changed(**changes):
    """The sample trial with some fields changed, wherever they are."""
    spec = TrialSpec.model_validate_json(SPEC)

    def of(value):
        return value.model_copy(update={k: v for k, v in changes.items() if k in type(value).model_fields})

    parts = {name: of(getattr(spec, name)) for name in ("model", "weights", "recipe", "feed", "process")}
    top = {k: v for k, v in changes.items() if k in ("framework", "lane", "seed", "repeat")}
    return spec.model_copy(update={**parts, **top})


def test_repeats_of_a_job_share_its_key():
    key = changed().job_key()
    assert changed(seed=1, repeat=1, plan="other", plan_hash="other", threads=4, timeout_s=9.0).job_key() == key
    assert len({key, changed(seed=1).job_key()}) == 1


@pytest.mark.parametrize(
    "change",
    [{"framework": "g"}, {"variant": "v"}, {"source": "random"}, {"path": ""}, {"train": "all"},
     {"balance": "oversample"}, {"lane": "tuned"}, {"devices": 2}],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_another_job_has_another_key(change):
    assert changed(**change).job_key() != changed().job_key()


def test_the_job_of_a_trial_is_the_entry_of_its_suite():
    job = changed(balance="weighted", keep_frozen=True).job()
    assert (job.framework, str(job.model), job.train, job.balance, job.keep_frozen) == (
        "f",
        "m",
        "head",
        "weighted",
        True,
    )

"""What a run's plans visit: keys and values as run.json holds them."""

import pytest

from common.core.audit import LabelCounts, PlanAudit, PlanName, SplitSizes, of_first_seed

COUNTS = LabelCounts(images=2, unique_images=2, label_counts=(2, 0), IRLbl=(1.0, None), MeanIR=1.0)


def test_a_plans_key_is_read_back():
    name = PlanName("3", "oversample")
    assert str(name) == "seed 3, balance oversample" and PlanName.parse(str(name)) == name
    with pytest.raises(ValueError, match="unpack"):
        PlanName.parse("seed 3")


def test_the_plans_of_the_first_seed_are_found_by_balance():
    audit, other = PlanAudit(before=COUNTS, after=COUNTS), PlanAudit(before=COUNTS, after=COUNTS, plan="other")
    audits = {"seed 7, balance none": audit, "seed 7, balance oversample": audit, "seed 70, balance none": other}
    assert of_first_seed(audits) == ("7", {"none": audit, "oversample": audit})


def test_older_runs_keep_the_keys_that_they_have():
    written = {"train": 4, "validation": 1, "split_hash": "abc"}
    assert SplitSizes.model_validate(written).model_dump() == written
    assert PlanAudit(before=COUNTS, after=COUNTS).model_dump().keys() == {"before", "after"}

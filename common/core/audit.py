"""What the plans of a run visit: sizes of the splits, and label counts before and after balancing, as run.json holds them."""

from dataclasses import dataclass

from common.core.specs import Payload, Value


class SplitSizes(Payload):
    """How many images each side of a seed's split has."""

    train: int
    validation: int
    test: int = 0
    split_hash: str


class LabelCounts(Value):
    """Images and labels of one epoch."""

    images: int  # visits
    unique_images: int
    label_counts: tuple[int, ...]  # positives of each class
    IRLbl: tuple[float | None, ...]  # positives of the most frequent class over those of each; None without positives
    MeanIR: float | None  # mean of IRLbl; None where no class has positives


class PlanAudit(Payload):
    """What a plan visits in an epoch, before and after balancing, and the hashes of its arrays."""

    before: LabelCounts
    after: LabelCounts
    split: str = ""
    visits: str = ""
    orders: str = ""
    plan: str = ""


@dataclass(frozen=True)
class PlanName:
    """The key of a plan in run.json: "seed 0, balance none"."""

    seed: str
    balance: str

    def __str__(self) -> str:
        return f"seed {self.seed}, balance {self.balance}"

    @classmethod
    def parse(cls, text: str) -> "PlanName":
        """ValueError where the text is no such key."""
        seed, balance = text.removeprefix("seed ").split(", balance ")
        return cls(seed, balance)


def of_first_seed(audits: dict[str, PlanAudit]) -> tuple[str, dict[str, PlanAudit]]:
    """The first seed, and the audits of its plans by balance. audits: by key, at least one."""
    named = {PlanName.parse(key): audit for key, audit in audits.items()}
    first = next(iter(named)).seed
    return first, {name.balance: audit for name, audit in named.items() if name.seed == first}

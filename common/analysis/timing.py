"""PURE: a trial's record -> where its wall-clock went, part by part; the parts add up to the whole."""

from common.core.events import FORWARD, FROZEN, RECEIPT, REST, TRAINED
from common.core.results import Row, TrialRecord

START, TUNING, FEATURES, GATE = "start", "tuning", "features", "gate"
FIRST, WAIT = "first step", "wait for data"
VALIDATION, STEPS = "validation", "steps"
WRITING, ENDING, OTHER = "writing", "ending", "other"
IN_STEPS = ("host to device", RECEIPT, FROZEN, TRAINED, FORWARD, "backward", "optimiser", REST)
# In the order of the time they come in. "steps": training steps that were not taken apart. "features": the frozen part
# over every image, once (the tuned lane). "validation": the last prediction and the test table too.
# "gate": both lanes' logits compared (the tuned lane). "writing": receipts, checkpoints, logits, weights. "ending": from the
# trial's last word to the end of its process and of its workers. "other": what no clock was held to.
PARTS = (START, TUNING, FEATURES, FIRST, WAIT, *IN_STEPS, STEPS, VALIDATION, GATE, WRITING, ENDING, OTHER)

WORTH_SAYING = 0.1  # of the whole: less would shorten little
LEAST_S = 0.03
HELD = 0.15  # a forecast is called right within this


def whole_s(record: TrialRecord) -> float:
    """The trial's wall-clock, from its process's start to its end, without what `--ceilings` measured after it."""
    return record.wall_s - record.ceilings.seconds


def parts(record: TrialRecord) -> dict[str, float]:
    """Seconds of each part that there was, in the order of PARTS; their sum is `whole_s`.

    Of a trial that was stopped and taken up, "other" holds what the stop lost.
    """
    tuning = {TUNING: record.tuning.tuning_s, FEATURES: record.tuning.fill_s}
    found = {START: record.start_s - sum(tuning.values()), **tuning}
    found[FIRST] = sum(e.first_step_s for e in record.epochs)
    found[WAIT] = sum(e.wait_s for e in record.epochs)
    for e in record.epochs:
        for name, seconds in e.parts.items():
            place = name if name in IN_STEPS else STEPS
            found[place] = found.get(place, 0.0) + seconds
        if not e.parts:
            found[STEPS] = found.get(STEPS, 0.0) + max(e.train_s - e.first_step_s - e.wait_s, 0.0)
    found[GATE] = sum(gate.seconds for gate in record.tuning.gate)
    found[VALIDATION] = sum(e.validation_s for e in record.epochs) + record.prediction_s + record.test_s
    found[WRITING] = sum(e.writing_s for e in record.epochs) + record.writing_s
    if record.lived_s and not record.resumed_after:  # else it is not known which life's end it was
        found[ENDING] = whole_s(record) - record.lived_s
    found[OTHER] = whole_s(record) - sum(found.values())
    return {name: found[name] for name in PARTS if found.get(name)}


def watched(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """The rows whose trials were watched from outside: of others, repeated alone, the whole is not known."""
    return tuple(row for row in rows if row.record.memory_method)


def counted(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """The rows whose seconds stand for all: where some made all of their features and others found them, those that did."""
    return tuple(row for row in rows if made_all(row.record)) or rows


def made_all(record: TrialRecord) -> bool:
    """Whether the trial computed all features that it used, if it used any, itself."""
    return record.tuning.filled >= record.tuning.images


def unaccounted(record: TrialRecord) -> float:
    """The share of the wall-clock by which the parts that were measured fall short of it, or exceed it (below 0); 0 where that is
    a few hundredths of a second, which a trial of less than a second spends between its clocks."""
    open_s = parts(record).get(OTHER, 0.0)
    return open_s / whole_s(record) if record.wall_s and abs(open_s) > LEAST_S else 0.0


def tells_waits(record: TrialRecord) -> bool:
    """Whether waiting for data is time lost: a GPU computes on meanwhile what it was handed before."""
    return record.spec.process.device == "cpu"


def frozen_again_s(record: TrialRecord) -> float:
    """Seconds in which the frozen part ran over images that it had run over before: what one pass kept would save.

    Training steps say it themselves; where they do not, the parts are taken to be as long as their arithmetic, backward twice
    as long as forward. A validation pass is taken to spend the same share of a forward pass in the frozen part.
    """
    if record.spec.lane != "default" or record.spec.nothing_kept:
        return 0.0
    steps = [e.parts for e in record.epochs]
    frozen, trained = (sum(p.get(name, 0.0) for p in steps) for name in (FROZEN, TRAINED))
    total, trains = (record.facts.get(name) or 0.0 for name in ("gmac", "gmac_trained"))
    if not frozen and 0 < trains < total:
        each_s = sum(e.train_s - e.first_step_s - e.wait_s for e in record.epochs) / (total + 2 * trains)
        frozen, trained = each_s * (total - trains), each_s * trains
    if not frozen:
        return 0.0
    passes = [e.validation_s for e in record.epochs] + [record.prediction_s]
    again = frozen * (1 - 1 / len(record.epochs)) if record.epochs else 0.0
    return again + sum(passes[1:]) * frozen / (frozen + trained)

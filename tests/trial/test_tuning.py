"""The tuned lane: the store of features, the search for a way, the gate against the default lane, and what they say."""

import fcntl
import os
import shutil
import signal
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from common.analysis.grouping import MARK, fault, groups
from common.analysis.records import read_results
from common.analysis.summary import summarise
from common.analysis.timing import ENDING, WRITING, parts, unaccounted, whole_s
from common.core import locks
from common.core.errors import InputError
from common.core.events import StoringStarted, of_kind, read_events
from common.core.files import cache_folder
from common.core.results import Tuning
from common.data import feature_store
from common.data.chunk_store import FILE, ChunkStore
from common.data.receipts import receipt
from common.report.lanes import lanes, lanes_table
from common.report.table import NONE
from common.run.verify_receipts import proven
from common.trial.equality_gate import check_equality
from common.trial.features import store_folders
from common.trial.search import search
from frameworks.contract import TORCHVISION
from tests.helpers.runs import begin, in_epoch, stop, wait_until

SHAPE = (3, 5)
ROWS = np.setdiff1d(np.arange(900), [7, 500])


def computed(rows, calls=None):
    if calls is not None:
        calls.append(len(rows))
    return np.stack([np.full(SHAPE, row, np.float32) for row in rows])


def filled(folder, compute=computed, dtype="float16", **how):
    return feature_store.fill(
        folder, ROWS, lambda rows: [compute(rows).astype(dtype)], SHAPE, dtype, lambda done, total: None, **how
    )


def test_a_store_gives_each_row_its_features_and_is_filled_once(tmp_path):
    assert filled(tmp_path) == len(ROWS)
    store, rows = ChunkStore(tmp_path), np.array([899, 0, 8, 8])
    assert np.array_equal(store.read(rows), computed(rows).astype(np.float16)) and store.read(rows).dtype == np.float16
    assert filled(tmp_path, compute=None) == 0


def test_a_store_goes_on_where_it_was_stopped(tmp_path):
    def stopped(rows):
        if rows[0] > 300:
            raise KeyboardInterrupt
        return computed(rows)

    with pytest.raises(KeyboardInterrupt):
        filled(tmp_path, stopped)
    calls = []
    assert filled(tmp_path, lambda rows: computed(rows, calls)) == len(ROWS) - 2 * feature_store.CHUNK
    assert feature_store.complete(tmp_path, ROWS) and len(calls) == 2


def test_a_damaged_store_is_filled_again(tmp_path):
    filled(tmp_path)
    with open(tmp_path / FILE, "r+b") as stream:
        stream.seek(300 * 2 * 15)
        stream.write(b"\xff")
    assert not feature_store.complete(tmp_path, ROWS)
    filled(tmp_path)
    assert np.array_equal(ChunkStore(tmp_path).read(ROWS), computed(ROWS).astype(np.float16))


def test_who_waits_for_a_store_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "POLL_S", 0.02)
    told = []
    with open(tmp_path / "lock", "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        def waiting(waited_s):
            told.append(waited_s)
            if len(told) == 3:
                fcntl.flock(other, fcntl.LOCK_UN)

        assert filled(tmp_path, waiting=waiting) == len(ROWS)
    assert told == pytest.approx([0.0, 0.02, 0.04])


def test_values_that_float16_cannot_hold_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"beyond what float16 holds; take --features float32"):
        filled(tmp_path, lambda rows: np.full((len(rows), *SHAPE), np.inf, np.float16))


def test_a_store_that_the_disk_cannot_hold_is_refused(small_disk):
    with pytest.raises(InputError, match=r"feature store of 898 images needs .* free"):
        feature_store.fill(small_disk / "s", ROWS, computed, (3000,), "float32", lambda done, total: None)


def rates(table, failing=()):
    def measure(config):
        if tuple(config.values()) in failing:
            raise RuntimeError("no such kernel")
        return table[tuple(config.values())], 0.1

    return measure


def test_the_search_goes_setting_by_setting_and_takes_no_noise_for_a_gain():
    space = {"precision": ("float32", "bfloat16"), "micro batch": (32, 16, 8), "compiler": ("none", "xla")}
    table = {("float32", 32, "none"): 10, ("bfloat16", 32, "none"): 20, ("bfloat16", 16, "none"): 30,
             ("bfloat16", 8, "none"): 30.5, ("bfloat16", 16, "xla"): 29}  # fmt: skip
    reported = []
    config, rate = search("frozen", space, ("xla",), rates(table), 10**6, reported.append)
    assert (config, rate) == ({"precision": "bfloat16", "micro batch": 16, "compiler": "none"}, 30)
    assert len(reported) == 5 and all(tried.images_per_s and tried.part == "frozen" for tried in reported)


@pytest.mark.parametrize(
    ("images", "part", "compiler"), [(4000, "trained", "none"), (10**6, "trained", "xla"), (4000, "frozen", "xla")]
)
def test_what_is_built_again_must_save_more_than_that_takes(images, part, compiler):
    """At 10 images/s against 11: 36 s of 4,000 images; to build it takes 40 s."""

    def measure(config):
        return (11, 40.0) if config["compiler"] == "xla" else (10, 0.0)

    space = {"compiler": ("none", "xla")}
    assert search(part, space, ("xla",), measure, images, lambda tried: None)[0] == {"compiler": compiler}


def test_a_config_that_fails_is_not_chosen_and_is_reported():
    reported = []
    measure = rates({("float32",): 10}, failing=[("bfloat16",)])
    config, _ = search("frozen", {"precision": ("float32", "bfloat16")}, (), measure, 10**6, reported.append)
    assert config == {"precision": "float32"} and reported[1].failed == "RuntimeError: no such kernel"
    with pytest.raises(
        RuntimeError, match=r"no way of the tuned lane ran; the first failed with RuntimeError: no such"
    ):
        search("frozen", {"precision": ("float32",)}, (), rates({}, failing=[("float32",)]), 600, lambda tried: None)
    every = rates({}, failing=[("none",), ("xla",)])
    with pytest.raises(RuntimeError, match=r"no way of the tuned lane ran"):  # and no division by zero
        search("trained", {"compiler": ("none", "xla")}, ("xla",), every, 600, lambda tried: None)


def test_what_cannot_pay_back_is_not_tried():
    reported = []
    space = {"precision": ("float32", "bfloat16"), "compiler": ("none", "xla")}
    table = {("float32", "none"): 10, ("bfloat16", "none"): 20}
    search("frozen", space, ("xla",), rates(table), 600, reported.append)  # 30 s at the best rate
    assert reported[-1].skipped == "not worth trying, 30 s are to run"
    assert reported[1].images_per_s


TUNED = ("--frameworks", "fake", "--limit", "600", "--image-size", "32", "--learning-rate", "200", "--keep-frozen")
BOTH = (*TUNED, "--lane", "default", "tuned")


@pytest.fixture(scope="module")
def run(bench, tmp_path_factory):
    parent = tmp_path_factory.mktemp("lane")
    assert bench(*BOTH, "--repeats", "2", "--results-dir", parent, "--name", "run").returncode == 0
    return parent / "run"


def test_both_lanes_come_to_the_same_scores_and_stand_in_a_table(run):
    found = read_results(run)
    plain, tuned = groups(found)
    assert (plain.label, tuned.label) == ("fake logistic default", "fake logistic tuned")
    for a, b in zip(plain.rows, tuned.rows):
        for p in found.run.percentiles:
            assert b.scores.percentiles[f"{p:g}"].f1 == pytest.approx(a.scores.percentiles[f"{p:g}"].f1, abs=0.01)
        assert b.record.receipt_fault == "" and b.record.tuning.gate[0].passed
    page = (run / "results.md").read_text()
    assert "## The tuned lane against the default lane" in page and "## Where the time went" in page
    assert "**lane**: " in page and "tuned: frozen part once per image in float32, kept as float16" in page


def test_what_the_lane_changed_is_read_from_live_objects(run):
    for row in read_results(run).rows:
        assert row.record.facts["optimiser"].endswith(", over features") == (row.record.spec.lane == "tuned")


def test_a_check_takes_the_lanes_for_two_rows(run):
    names = [row.label for row in summarise(read_results(run)).rows]
    assert names == ["fake logistic default head none", "fake logistic default head none tuned"]


def test_another_seed_and_split_fill_no_second_store(run):
    first, second = (row.record.tuning for row in groups(read_results(run))[1].rows)
    assert sorted([first.filled, second.filled]) == [0, 600] and first.store == second.store


def test_whatever_features_depend_on_makes_another_store_and_nothing_else_does(run):
    spec = next(row.record.spec for row in read_results(run).rows if row.record.spec.lane == "tuned")

    def folder(spec=spec, rows=ROWS, precision="float32", weight=1.0, version="1"):
        tensors = {"body.weight": np.full(3, weight), "head.weight": np.full(3, np.random.rand())}
        adapter = SimpleNamespace(
            trainable=lambda model: {"head.weight"},
            dump=lambda model: tensors,
            environment=lambda: {"framework": version},
        )
        return store_folders(spec, adapter, None, rows, (precision,))[precision]

    def changed(part="", **values):
        return spec.model_copy(update={part: getattr(spec, part).model_copy(update=values)} if part else values)

    others = [
        folder(changed("feed", pixels_hash="other")), folder(changed("feed", image_side=33)), folder(rows=ROWS[1:]),
        folder(weight=2.0), folder(changed("model", name="other")), folder(changed("recipe", train="last-block")),
        folder(changed("recipe", formulas="matched")), folder(precision="bfloat16"), folder(changed(features="float32")),
        folder(changed("process", device="cuda")), folder(changed(framework="other")), folder(version="2"),
        folder(changed("weights", preprocessing=TORCHVISION)),
    ]  # fmt: skip
    assert len({folder(), *others}) == 1 + len(others)
    same = [changed(seed=7), changed("feed", plan_hash="other", balance="minority"), changed("recipe", epochs=9)]
    assert {folder(spec) for spec in same} == {folder()}


def test_the_parts_add_up_to_the_whole(run):
    for row in read_results(run).rows:
        found = parts(row.record)
        assert sum(found.values()) == pytest.approx(row.record.wall_s, rel=1e-9)
        assert abs(unaccounted(row.record)) <= 0.02 and min(found[WRITING], found[ENDING]) > 0


def test_features_that_were_not_the_stores_are_a_fault(run):
    record = next(row.record for row in read_results(run).rows if row.record.spec.lane == "tuned")
    trial = run / "trials" / record.spec.name
    store = (run / record.tuning.store) / FILE
    whole = store.read_bytes()
    try:
        store.write_bytes(bytes(len(whole)))
        assert "the pixels of row" in proven(trial, record.spec)[1]
    finally:
        store.write_bytes(whole)
    assert proven(trial, record.spec)[1] == ""


def test_a_tuned_lane_that_computes_something_else_is_marked(bench, tmp_path):
    bench(*BOTH, "--models", "untrue", "--results-dir", tmp_path, "--name", "run")
    labels = [g.label for g in groups(read_results(tmp_path / "run"))]
    assert labels == ["fake untrue default", f"fake untrue tuned {MARK}"]
    page = (tmp_path / "run" / "results.md").read_text()
    assert "of their spread from the default lane's (allowed 5%)" in page
    results = read_results(tmp_path / "run")
    (cells,) = lanes_table(results, lanes(groups(results))).rows
    assert cells[3:5] == (NONE, NONE), "a marked row has a gain"


def gate(run, predict, logits):
    """What the gate says of these logits of the tuned lane, where the default lane's come from `predict`."""
    spec = next(row.record.spec for row in read_results(run).rows if row.record.spec.lane == "tuned")
    written, executed = [], []
    features = object()
    trial = SimpleNamespace(
        spec=spec, features=features, predict=predict, execute_as=lambda config: executed.append((config, trial.features)),
        events=SimpleNamespace(write=written.append),
        plan=SimpleNamespace(validation_rows=np.arange(len(logits)), validation_crops=np.empty(0)),
    )  # fmt: skip
    config = {"precision": "float16"}
    check_equality(trial, Tuning(skip_reason="", trained=config), logits)
    assert executed == [({}, None), (config, features)], "the default lane's logits, then the tuned lane again"
    return written[0]


def test_a_gate_that_cannot_be_computed_has_not_passed_and_fails_no_finished_trial(run, capsys):
    def predict(*of):
        raise MemoryError("the whole network's batch")

    said = gate(run, predict, np.ones((4, 3), np.float32))
    assert (said.passed, said.error, said.failed) == (False, None, "MemoryError: the whole network's batch")
    results = read_results(run)
    rows = tuple(
        row.model_copy(update={"record": row.record.model_copy(update={
            "tuning": row.record.tuning.model_copy(update={"gate": (said,)})})})
        for row in results.rows
        if row.record.spec.lane == "tuned"
    )  # fmt: skip
    (marked,) = groups(results.model_copy(update={"rows": rows}))
    assert marked.label.endswith(MARK)
    assert "could not be held against the default lane's (MemoryError" in fault(marked, ())


@pytest.mark.parametrize(
    ("plain", "off", "passed"),
    [
        ([[1.0, 2.0, 2.0]], 0.08, True),  # one image has no spread: .14 of a norm of 3
        ([[1.0, 2.0, 2.0]], 0.1, False),
        ([[1.0, 2.0, 2.0]] * 3, 0.0, True),  # no spread at all
        ([[1.0, 2.0, 2.0]] * 3, 1e-6, False),
    ],
)
def test_the_gate_over_logits_without_a_spread(run, plain, off, passed):
    plain = np.array(plain)
    assert gate(run, lambda *of: (plain, 0.0), plain + off).passed == passed


def test_the_gain_of_a_whole_trial_is_that_of_trials_that_made_their_features(run):
    """Averaged with repeats that found them, it would be the gain of no trial."""
    results = read_results(run)
    plain, tuned = groups(results)
    (made,) = [row for row in tuned.rows if row.record.tuning.filled]
    against = next(row for row in plain.rows if row.record.spec.seed == made.record.spec.seed)
    cells = lanes_table(results, [(plain, tuned)]).rows[0]
    assert cells[2] == f"{whole_s(made.record):.1f}"
    assert cells[3] == f"{whole_s(against.record) / whole_s(made.record):.2f}"
    assert "not counted here: 1 of 2 trials found features" in (run / "results.md").read_text()
    part = made.record.model_copy(
        update={"tuning": made.record.tuning.model_copy(update={"filled": 100})}
    )  # a kill had left the rest
    left = replace(tuned, rows=(made.model_copy(update={"record": part}),))
    assert lanes_table(results, [(plain, left)]).rows[0][3].endswith(" without all of the features")


def test_a_trial_that_found_a_store_goes_on_without_it(bench, tmp_path):
    """It had chosen no way but the store's precision. Killed in its second epoch, it finds the store gone."""
    words = ("--limit", "600", "--image-size", "40", "--keep-frozen", "--lane", "tuned")
    assert bench("--frameworks", "fake", *words, "--results-dir", tmp_path, "--name", "first").returncode == 0
    child, run, trial = begin(tmp_path, "hang@2:3", *words), tmp_path / "run", "01-fake-logistic-head-tuned-seed0"
    wait_until(lambda: in_epoch(run, 2, trial))
    stop(child, signal.SIGKILL)
    tuning = of_kind(read_events(run / "trials" / trial / "events.jsonl"), Tuning)[0]
    assert tuning.filled == 0
    shutil.rmtree(run / tuning.store)
    done = bench("--resume", run)
    assert done.returncode == 0, done.stdout + done.stderr
    record = read_results(run).rows[0].record
    assert record.resumed_after == (1,) and record.tuning.filled == 600


def test_the_lanes_are_held_against_each_other_seed_by_seed(run):
    """Seed 1 of one lane over seed 2 of the other would be no ratio."""
    results = read_results(run)
    plain, tuned = groups(results)
    gain = lanes_table(results, [(replace(plain, rows=plain.rows[1:]), tuned)]).rows[0][3]
    assert gain.startswith(f"{whole_s(plain.rows[1].record) / whole_s(tuned.rows[1].record):.2f}")
    nothing = lanes_table(results, [(replace(plain, rows=plain.rows[1:]), replace(tuned, rows=tuned.rows[:1]))])
    assert nothing.rows[0][3] == NONE


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--train", "all"), "nothing is frozen, so nothing can be kept"),
        (("--augment", "train"), "the pixels are augmented, so no image comes twice"),
        (("--augment", "everywhere"), "the pixels are augmented, so no image comes twice"),
    ],
)
def test_where_nothing_can_be_kept_it_says_why_and_trains_as_ever(bench, tmp_path, more, why):
    done = bench(*TUNED, "--lane", "tuned", *more, "--results-dir", tmp_path, "--name", "run")
    assert done.returncode == 0 and f"tuned lane: {why}" in done.stdout
    (row,) = read_results(tmp_path / "run").rows
    assert row.record.tuning.skip_reason == why and row.record.receipt_fault == ""
    assert all(gate.passed for gate in row.record.tuning.gate)
    assert [path.name for path in (tmp_path / "run" / "trials").rglob("*state*")] == []


def test_killed_while_it_fills_the_store_it_goes_on_from_there(bench, tmp_path):
    words = ("--limit", "600", "--image-size", "48", "--keep-frozen", "--lane", "tuned")
    child, run = begin(tmp_path, "pause@features", *words), tmp_path / "run"
    trial = run / "trials" / "01-fake-logistic-head-tuned-seed0"
    wait_until(lambda: of_kind(read_events(trial / "events.jsonl"), StoringStarted) and len(_journals()) > 0)
    stop(child, signal.SIGKILL)
    done = bench("--resume", run)
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = read_results(run).rows
    assert 0 < row.record.tuning.filled < 600 and row.record.receipt_fault == ""


def _journals():
    return [path for path in (cache_folder() / "features").glob("*/journal.jsonl") if os.path.getsize(path)]


def test_a_receipt_covers_features_as_it_covers_pixels():
    labels, ids = np.zeros((2, 4), np.float32), np.arange(2)
    values = np.arange(2 * 15, dtype=np.float16).reshape(2, *SHAPE)  # 30 bytes an image: the last word is filled up
    changed = values.copy()
    changed[1, 2, 4] += 1
    one, other = receipt(values, labels, ids), receipt(changed, labels, ids)
    assert np.array_equal(one[0], other[0]) and one[1, 0] != other[1, 0]

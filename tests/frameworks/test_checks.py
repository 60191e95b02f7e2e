"""The checks of adapters, one test each on the NumPy framework; each check fails on a planted fault."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from common.core.errors import InputError
from common.core.specs import ProcessSpec
from common.data.feed import Feed, Held
from frameworks.checks import __main__ as runner
from frameworks.checks.catalogue import CHECKS
from frameworks.checks.context import PIXELS, Check, Skip, contexts, require
from frameworks.fake import adapter as fake


@pytest.fixture
def context(tmp_path):
    return contexts("fake")(tmp_path)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_the_numpy_framework_keeps_the_contract(check, context):
    check.run(context)


def backwards(feed):
    return Feed(feed.source, feed.rows[::-1].copy(), feed.labels[::-1].copy(), feed.batch_size, 0)


def in_memory(feed):
    return Feed(Held(PIXELS), feed.rows, feed.labels, feed.batch_size, 0)


def rebuilt(**changes):
    return lambda original, spec: original(spec.model_copy(update=changes))


# Check -> a method of the adapter and what stands in for it: a function of the original and its arguments.
FAULTS = {
    "the_adapter_has_the_models_of_its_folder": ("models", lambda original: ["logistic"]),
    "environment_is_text": ("environment", lambda original: original() | {"threads": 2}),
    "the_head_has_a_row_for_each_class": ("dump", lambda original, model: {n: a[None] for n, a in original(model).items()}),
    "dump_after_load_gives_the_same_bytes": ("load", lambda original, model, tensors: None),
    "a_dump_is_a_copy": ("dump", lambda original, model: {fake.HEAD[0]: model.weight, fake.HEAD[1]: model.bias}),
    "facts_have_numbers_and_text": ("facts", lambda original, model: original(model) | {"parameters": 0}),
    "the_librarys_preprocessing_is_known": ("preprocessing", lambda original, model: None),
    "missing_weights_are_bad_input": ("export", lambda original, model, source: ({}, None)),
    "the_device_can_be_waited_for": ("peak_device_bytes", lambda original: -1),
    "training_changes_the_trainable_tensors_alone": ("train_epoch", lambda original, model, feed, watch: 0.0),
    "the_steps_receive_the_plan": ("train_epoch", lambda original, m, feed, w: original(m, backwards(feed), w)),
    "the_batch_checksum_is_the_harnesses": ("receipt", lambda original, *of: original(*of) + 1),
    "a_second_epoch_receives_the_plan_too": (
        "train_epoch", lambda original, model, feed, w: original(model, backwards(feed) if model.epoch else feed, w),
    ),
    "the_loss_is_the_mean_over_images": ("train_epoch", lambda original, *of: 2 * original(*of)),
    "positive_weights_enter_the_loss": ("build", rebuilt(positive_weights=())),
    "predictions_follow_the_feed_and_repeat": ("predict", lambda original, *of: np.roll(original(*of), 1, axis=0)),
    "a_restored_model_continues_identically": ("restore", lambda original, model, path: None),
    "a_loss_that_no_longer_falls_lowers_the_learning_rate": ("validated", lambda original, model, loss: None),
    "waiting_for_data_is_measured": ("train_epoch", lambda original, m, feed, w: original(m, in_memory(feed), w)),
    "the_gate_sees_every_layer": (
        "activations", lambda original, *of, training: {"input": of[1], "logits": original(*of, training)["logits"]},
    ),
    "the_gate_computes_in_either_precision": ("build", rebuilt(precision="float32")),
    "gradient_descent_moves_by_the_gradient": (
        "apply", lambda original, model, gradients: original(model, {n: 2 * g for n, g in gradients.items()}),
    ),
    "the_trained_part_is_counted_apart": ("facts", lambda original, model: original(model) | {"gmac_trained": 0.0}),
    "the_tuned_lane_computes_the_same": (
        "extractor", lambda original, *of: lambda pixels: 3 * original(*of)(pixels),
    ),
    "every_way_of_the_frozen_part_computes_the_same": (
        "extractor", lambda original, model, way, dtype: lambda pixels: (
            (3 if way["precision"] == "float16" else 1) * original(model, way, dtype)(pixels)
        ),
    ),
    "consuming_a_feed_reads_every_image_of_it": ("consume", lambda original, feed: None),
    "products_are_counted_and_computed": ("products", lambda original, precision: {}),
}  # fmt: skip


def test_every_check_has_a_planted_fault():
    assert FAULTS.keys() == {check.name.partition("[")[0] for check in CHECKS}
    assert len({check.name for check in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_each_check_fails_on_its_fault(check, context, monkeypatch):
    method, fault = FAULTS[check.name.partition("[")[0]]
    original = getattr(context.adapter, method)
    monkeypatch.setattr(context.adapter, method, lambda *of, **named: fault(original, *of, **named))
    with pytest.raises(AssertionError, match=r"\w"):
        check.run(context)


@pytest.mark.parametrize(("method", "reason"), [("run_as", "offers no tuned lane"), ("products", "offers no ceilings")])
def test_what_an_adapter_does_not_offer_is_skipped(context, method, reason):
    members = {name: member for name, member in vars(fake.Adapter).items() if name not in (method, "__dict__")}
    lacking = type("Lacking", (), members)(ProcessSpec(device="cpu", deterministic=False, threads=2, timeout_s=0), 0)
    context = replace(context, adapter=lacking)
    outcomes = [runner.outcome(check, context) for check in CHECKS]
    assert ("skipped", reason) in outcomes and {status for status, _ in outcomes} == {"passed", "skipped"}


def test_a_refused_spec_is_a_reason_to_skip(context, monkeypatch):
    def refuse(spec):
        raise InputError("no such part")

    monkeypatch.setattr(context.adapter, "build", refuse)
    with pytest.raises(Skip, match="the adapter refuses it: no such part"):
        context.build_or_skip(train="last-block")


def test_a_check_fails_in_one_line(capsys):
    def raising(error):
        def run(context):
            raise error

        return runner.outcome(Check("a_check", run), SimpleNamespace())

    assert raising(ValueError("of\n  two lines")) == ("FAILED", "ValueError: of two lines")
    with pytest.raises(AssertionError) as caught:
        require(np.array(False), "what differs")
    assert raising(caught.value) == ("FAILED", "what differs")
    assert "Traceback" in capsys.readouterr().err


def test_the_runner_prints_a_line_for_each_check_and_a_summary(monkeypatch, capsys):
    checks = [
        Check("good", lambda context: None),
        Check("absent", lambda context: (_ for _ in ()).throw(Skip("offers none"))),
        Check("bad", lambda context: require(False, "2 is not 3")),
    ]
    monkeypatch.setattr(runner, "CHECKS", checks[:2])
    assert runner.main("fake") == 0
    assert capsys.readouterr().out == "good: passed\nabsent: skipped: offers none\n1 passed, 1 skipped\n"
    monkeypatch.setattr(runner, "CHECKS", checks)
    assert runner.main("fake") == 1
    assert capsys.readouterr().out.splitlines()[2:] == ["bad: FAILED: 2 is not 3", "1 failed, 1 passed, 1 skipped"]
    assert runner.main("fakee") == 2 and "fake" in capsys.readouterr().err

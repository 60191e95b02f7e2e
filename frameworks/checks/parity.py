"""Checks of what the parity gate needs: activations of every layer, two precisions, and plain gradient descent."""

import numpy as np

from frameworks.checks.context import PIXELS, ROWS, Checks, Context, new_watch, require

CHECKS = Checks()


@CHECKS.add()
def the_gate_sees_every_layer(c: Context) -> None:
    """The facts and the activations have the layer of each tensor; the last activations are the prediction's logits."""
    model = c.build()
    facts, found = c.adapter.layer_facts(model), c.adapter.activations(model, PIXELS[ROWS], training=False)
    names = list(found)
    require((names[0], names[-1]) == ("input", "logits"), f"activations() goes from {names[0]} to {names[-1]}")
    require(facts["input"], "layer_facts() has an empty 'input'")
    layers = {name.rpartition(".")[0] for name in c.adapter.dump(model)}
    require(layers <= facts.keys(), f"layer_facts() lacks {sorted(layers - facts.keys())}")
    require(layers <= found.keys(), f"activations() lacks {sorted(layers - found.keys())}")
    logits = c.adapter.predict(model, c.feed(train=False), new_watch(phase="validation"))
    require(
        np.allclose(found["logits"], logits, rtol=1e-4, atol=1e-4 * np.abs(logits).max()),
        "the logits of activations() are not those of predict()",
    )


@CHECKS.add()
def the_gate_computes_in_either_precision(c: Context) -> None:
    for precision in ("float32", "float64", "float32"):  # in this order: one may leave something behind
        model = c.build(precision=precision)
        dtypes = {str(array.dtype) for array in c.adapter.dump(model).values()}
        require(dtypes == {precision}, f"built in {precision}, the model has tensors in {sorted(dtypes)}")
        found = c.adapter.facts(model)["precision"]
        require(found == precision, f"built in {precision}, the facts have precision {found!r}")
        logits = c.adapter.activations(model, PIXELS[:2], training=False)["logits"]
        require(logits.dtype == precision, f"built in {precision}, the logits are {logits.dtype}")
    exact = c.adapter.activations(c.build(precision="float64"), PIXELS[:2], training=False)["logits"]
    error = np.linalg.norm(exact - logits) / np.linalg.norm(exact)
    # An error of 0 is one precision under two names.
    require(1e-12 < error < 1e-4, f"the logits in float32 and float64 have a relative error of {error:.3g}")


@CHECKS.add()
def gradient_descent_moves_by_the_gradient(c: Context) -> None:
    """`apply`, with the optimiser from which the gate reads gradients."""
    model = c.build(precision="float64", optimiser="sgd", learning_rate=0.5)
    before, trainable = c.adapter.dump(model), c.adapter.trainable(model)
    gradients = {name: c.rng.normal(size=before[name].shape) for name in trainable}
    c.adapter.apply(model, gradients)
    after = c.adapter.dump(model)
    for name in before:
        expected = before[name] - 0.5 * gradients[name] if name in trainable else before[name]
        require(
            np.allclose(after[name], expected, rtol=1e-9, atol=1e-9),
            f"a step of plain gradient descent does not move {name} by learning rate times gradient",
        )

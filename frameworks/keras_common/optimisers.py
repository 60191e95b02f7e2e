"""Adam as torch computes it, for matched trials."""

import math
from typing import Any

import keras
from keras import ops

from common.core.specs import BuildSpec

EPSILON = 1e-8


class MatchedAdam(keras.optimizers.Adam):
    """lr * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps), as torch has it. Keras adds eps to the uncorrected
    sqrt(v), and computes 1 - beta2^t in float32 from rounded numbers: 1e-5 off in the first step.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        place = self._get_variable_index(variable)
        m, v, kind = self._momentums[place], self._velocities[place], variable.dtype
        rate, gradient, t = (ops.cast(x, kind) for x in (learning_rate, gradient, self.iterations + 1))
        self.assign(m, m * self.beta_1 + gradient * (1 - self.beta_1))
        self.assign(v, v * self.beta_2 + ops.square(gradient) * (1 - self.beta_2))
        first, second = (-ops.expm1(t * math.log(beta)) for beta in (self.beta_1, self.beta_2))
        self.assign_sub(variable, rate / first * m / (ops.sqrt(v) / ops.sqrt(second) + self.epsilon))


def optimiser(spec: BuildSpec) -> keras.optimizers.Optimizer:
    """The spec's, by its formulas."""
    if spec.optimiser == "sgd":
        return keras.optimizers.SGD(spec.learning_rate)
    if spec.formulas == "matched":
        return MatchedAdam(spec.learning_rate, epsilon=EPSILON)
    return keras.optimizers.Adam(spec.learning_rate)


def words(of: keras.optimizers.Optimizer) -> str:
    """What it does, from the live object."""
    rate = f"learning rate {float(keras.ops.convert_to_numpy(of.learning_rate)):g}"
    if not isinstance(of, keras.optimizers.Adam):
        return f"{type(of).__name__}, {rate}"
    form = "corrected" if isinstance(of, MatchedAdam) else "uncorrected"
    return f"Adam, {rate}, betas {(of.beta_1, of.beta_2)}, eps {of.epsilon:g} added to the {form} sqrt(v)"

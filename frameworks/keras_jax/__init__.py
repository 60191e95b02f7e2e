"""Information on Keras 3 on JAX: the Keras layer of one framework over the engine of another."""

from frameworks.keras_common import MODELS as KERAS_MODELS

NAME = "keras-jax"
ALIASES = ()
ABOUT = "Keras 3 on JAX: the same Keras adapter over XLA, to part the two; needs: uv sync --extra jax"
MODELS = KERAS_MODELS
DEFAULT_MODELS = ()
OTHER_MODELS = "any keras.applications model"
READS = ()
BARE = ""
NEEDS = ("jax", "keras")
EXTRA = "jax"
PARALLEL = "devices"

"""Information on Keras 3 on torch: the Keras layer of one framework over the engine of another."""

from frameworks.keras_common import MODELS as KERAS_MODELS

NAME = "keras-torch"
ALIASES = ()
ABOUT = "Keras 3 on torch: the same Keras adapter over torch's engine, to part the two"
MODELS = KERAS_MODELS
DEFAULT_MODELS = ()
OTHER_MODELS = "any keras.applications model"
READS = ()
BARE = ""
NEEDS = ("torch", "keras")
EXTRA = ""
PARALLEL = ""

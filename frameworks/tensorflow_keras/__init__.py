"""Information on TensorFlow with Keras 3: what it has, without importing it."""

from frameworks.keras_common import MODELS as KERAS_MODELS

NAME = "tf"
ALIASES = ("tensorflow", "keras")
ABOUT = "TensorFlow through Keras 3: keras.applications' models, a PyDataset into Model.fit, float32"
MODELS = KERAS_MODELS
DEFAULT_MODELS = ("vgg19", "efficientnet_lite0")
OTHER_MODELS = "any keras.applications model"
READS = (".h5",)
BARE = "mobilenetv2"
NEEDS = ("tensorflow", "keras")
EXTRA = ""
PARALLEL = "devices"

"""The card of TensorFlow with Keras 3: what it has, without importing it."""

from frameworks.contract import CAFFE, EFFICIENTNET_LITE0, ModelCard

NAME = "tf"
ALIASES = ("tensorflow", "keras")
ABOUT = "TensorFlow through Keras 3: keras.applications' models, a PyDataset into Model.fit, float32"
MODELS = {
    "vgg19": ModelCard(CAFFE, about="keras.applications"),
    "resnet50": ModelCard(CAFFE, variants=("v1",), about="keras.applications; v1 strides in the first 1x1"),
    "efficientnet_lite0": EFFICIENTNET_LITE0,
}
DEFAULT_MODELS = ("vgg19", "efficientnet_lite0")
OTHER_MODELS = "any keras.applications model"
READS = (".h5",)
BARE = "mobilenetv2"

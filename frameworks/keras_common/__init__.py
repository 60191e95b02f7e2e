"""What every framework that is Keras on some backend has in common. No framework of its own: it has no NAME."""

from frameworks.contract import CAFFE, EFFICIENTNET_LITE0, TORCHVISION, ModelInfo

MODELS = {
    "vgg19": ModelInfo(CAFFE, smallest_side=32, about="keras.applications"),
    "resnet50": ModelInfo(
        CAFFE,
        variants=("v1", "v1.5"),
        own_variant="v1",
        smallest_side=32,
        about="keras.applications, v1: strides in the first 1x1; v1.5: the same remade with the stride in the 3x3",
    ),
    "resnext50_32x4d": ModelInfo(
        TORCHVISION, smallest_side=32, pretrained=False, about="keras.applications' ResNet-50 remade"
    ),
    "efficientnet_lite0": EFFICIENTNET_LITE0,
}

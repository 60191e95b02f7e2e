"""What the tuned lane replaces on torch computes what the library's own does."""

import pytest

from tests.helpers.programs import output

DROPOUT = """
import torch
from torch import nn
from frameworks.pytorch.tuned import QuickDropout

torch.manual_seed(0)
own = nn.Dropout(0.4)
quick = QuickDropout(own)
for shape in ((8, 64, 14, 14), (3, 5)):
    x = torch.rand(shape).to(memory_format=torch.channels_last if len(shape) == 4 else torch.contiguous_format)
    x = (x + 1).requires_grad_()
    own.train()
    out = quick(x)
    kept = out != 0
    assert torch.allclose(out[kept], x[kept] / 0.6), shape
    out.sum().backward()
    assert torch.allclose(x.grad, kept / 0.6), shape
    again = quick(x) != 0
    assert shape == (3, 5) or (again != kept).float().mean() > 0.4, shape
    own.eval()
    assert quick(x) is x, shape
many = torch.ones(64, 256, 14, 14).to(memory_format=torch.channels_last)
own.train()
share = (quick(many) != 0).float()
n = share.numel()
assert abs(share.mean() - 0.6) < 5 * (0.24 / n) ** 0.5, share.mean()
by_channel = share.mean(dim=(0, 2, 3))
assert (by_channel - 0.6).abs().max() < 5 * (0.24 / (n / 256)) ** 0.5, by_channel
"""
HEAD = """
import torch
from frameworks.pytorch.models import Head

head = Head(2048, 20)
x = torch.rand(4, 2048).bfloat16()
expected = torch.nn.functional.linear(x.float(), head.weight, head.bias)
with torch.autocast("cpu", torch.bfloat16):
    assert torch.equal(head(x), expected)
    assert torch.nn.functional.linear(x, head.weight).dtype == torch.bfloat16  # what it would be
"""
FOLDED = """
from collections import OrderedDict
import torch
from torch import nn
from frameworks.pytorch.tuned import folded

torch.manual_seed(0)
inner = nn.Sequential(OrderedDict(conv0=nn.Conv2d(3, 4, 3), norm0=nn.BatchNorm2d(4), relu0=nn.ReLU()))  # DenseNet's names
network = nn.Sequential(inner, nn.Conv2d(4, 5, 1, bias=False), nn.BatchNorm2d(5), nn.ReLU(), nn.BatchNorm2d(5)).eval()
for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
    for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        nn.init.uniform_(values, 0.5, 1.5)
quick, x = folded(network, 8), torch.rand(2, 3, 8, 8)
assert torch.allclose(quick(x), network(x), atol=1e-5)
left = [m for m in quick.modules() if isinstance(m, nn.BatchNorm2d)]
assert len(left) == 1, left  # the one behind the ReLU
assert sum(isinstance(m, nn.BatchNorm2d) for m in network.modules()) == 3
"""
FACTS = """
import numpy as np
from common.core.specs import BuildSpec, ModelSpec, ProcessSpec
from frameworks.contract import TORCHVISION
from frameworks.pytorch.adapter import Adapter

adapter = Adapter(ProcessSpec(device="cpu", deterministic=False, threads=2, timeout_s=0), 0)
spec = BuildSpec(model=ModelSpec(name="resnet50", variant="v1"), classes=5, side=64, preprocessing=TORCHVISION,
                 train="last-block", learning_rate=1e-3, formulas="library")
model = adapter.build(spec)
before = adapter.facts(model)
adapter.run_as(model, {"precision": "bfloat16"}, np.zeros((1, 4, 4, 1024), np.float16))
tuned = adapter.facts(model)
assert tuned["optimiser"] == before["optimiser"] + ", fused"
assert (before["dropout"], tuned["dropout"]) == ("0.5 before layer4", "0.5 before layer4, its mask drawn from 16 bits")
adapter.run_as(model, {}, None)
assert adapter.facts(model) == before
"""
SYNCHRONISED = """
from torch import nn
from frameworks.pytorch.models import Built, with_synchronised_norms

built = Built(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), "head", ())
assert isinstance(with_synchronised_norms(built).network[1], nn.SyncBatchNorm)
"""


@pytest.mark.usefixtures("not_quick")
@pytest.mark.parametrize(
    "script", [DROPOUT, HEAD, FOLDED, FACTS, SYNCHRONISED], ids=["dropout", "head", "folded", "facts", "norms"]
)
def test_it_computes_what_the_librarys_own_does(script):
    output("-c", script, timeout=120)

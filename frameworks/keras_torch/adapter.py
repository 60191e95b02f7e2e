"""torch under Keras 3 behind the contract."""

import os
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

from frameworks.keras_common.settings import keras

# isort: split
import numpy as np
import torch

from common.core.specs import BuildSpec, ExecutionConfig, ProcessSpec
from frameworks.contract import Measurable, Normalising, Optimizable
from frameworks.keras_common.adapter import KerasAdapter, Model, Observed
from frameworks.torch_common import process as torch_process


class Network(Observed):
    """Tells the watch from within the step, which runs eagerly."""

    receipt: torch_process.Receipt

    def train_step(self, data: Any) -> Any:
        images, labels, ids = data
        self.tell(self.receipt(images, labels, ids).cpu().numpy())
        return super().train_step((images, labels))


class Adapter(KerasAdapter):
    """See frameworks/contract.py."""

    Network = Network
    compilers = ("none", "inductor"), ("none", "inductor")

    def __init__(self, process: ProcessSpec, seed: int) -> None:
        keras.utils.set_random_seed(seed)
        self.device = torch_process.set_up(process, seed)

    def environment(self) -> dict[str, str]:
        versions = {"framework": f"keras {keras.__version__} on torch {torch.__version__}"}
        return versions | torch_process.environment(self.device)

    def build(self, spec: BuildSpec) -> Model:
        model = super().build(spec)
        model.network.receipt = torch_process.Receipt(spec.classes, self.device)
        return model

    def run_as(self, model: Model, way: ExecutionConfig, example: np.ndarray | None) -> None:
        super().run_as(model, way, example)
        model.runs.receipt = model.network.receipt

    def receipt(self, model: Model, images: np.ndarray, labels: np.ndarray, ids: np.ndarray) -> np.ndarray:
        batch = (torch.from_numpy(array).to(self.device) for array in (images, labels, ids))
        return model.network.receipt(*batch).cpu().numpy()

    def backend_facts(self, network: Observed) -> dict[str, str]:
        # Keras on torch takes jit_compile for torch.compile of its train_step
        compiled = "torch.compile" if network.jit_compile else torch_process.compiled(network)
        return {"compiled": compiled, **torch_process.facts()}

    def fence(self) -> None:
        torch_process.fence(self.device)

    def peak_device_bytes(self) -> int:
        return torch_process.peak_bytes(self.device)


# mypy checks the signatures.
PROTOCOLS: tuple[type[Optimizable], type[Measurable], type[Normalising]] = (Adapter, Adapter, Adapter)

"""How a process that computes with torch is set up, what it says of itself, and the receipt of what a step took."""

import os

import torch

from common.core.errors import InputError
from common.core.specs import ProcessSpec
from common.data import receipts
from common.process import ranks


def set_up(process: ProcessSpec, seed: int) -> torch.device:
    """Threads, precision, determinism, random generator. InputError: the device is not there."""
    if process.device == "cuda" and not torch.cuda.is_available():
        raise InputError("torch sees no CUDA device; take --device cpu")
    if process.device == "cuda" and process.devices > torch.cuda.device_count():
        raise InputError(f"torch sees {torch.cuda.device_count()} CUDA devices, --devices asks for {process.devices}")
    threads = max(1, process.threads // process.devices)  # ranks on one processor share its cores
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(threads)
    # float32 means float32 on every framework: TF32 is on by default for some operations and off for others
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(seed)
    if process.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS refuses to be deterministic
        torch.use_deterministic_algorithms(True)
    if process.devices > 1:
        where, backend = f"file://{ranks.meeting_point()}", "nccl" if process.device == "cuda" else "gloo"
        torch.distributed.init_process_group(backend, init_method=where, rank=ranks.rank(), world_size=process.devices)
    if process.device == "cuda":
        torch.cuda.set_device(ranks.rank())
        return torch.device("cuda", ranks.rank())
    return torch.device(process.device)


def environment(device: torch.device) -> dict[str, str]:
    """Device, threads and kernels in force."""
    gpu = torch.cuda.get_device_name() if device.type == "cuda" else ""
    return {
        "device": device.type + (f" ({gpu})" if gpu else ""),
        "threads": f"{torch.get_num_threads()} intra-op, {torch.get_num_interop_threads()} inter-op",
        "cpu kernels": torch.backends.cpu.get_cpu_capability(),
    }


def facts() -> dict[str, str]:
    """Precision flags and determinism in force."""
    on = {True: "on", False: "off"}
    return {
        "TF32": f"matrix products {on[torch.backends.cuda.matmul.allow_tf32]}, "
        f"convolutions {on[torch.backends.cudnn.allow_tf32]}",
        "float32 matrix products": torch.get_float32_matmul_precision(),
        "deterministic kernels": str(torch.are_deterministic_algorithms_enabled()),
    }


def precision(stored: torch.dtype, device: torch.device) -> str:
    """What parameters are stored in, and what the process computes in where that is another."""
    name = str(stored).removeprefix("torch.")
    if torch.is_autocast_enabled(device.type):
        computed = str(torch.get_autocast_dtype(device.type)).removeprefix("torch.")
    else:
        computed = name
    return name if computed == name else f"{name}, computed in {computed}"


def compiled(network: torch.nn.Module) -> str:
    """`torch.compile` wraps a module, or puts its compiled call into it."""
    wrapped = hasattr(network, "_orig_mod") or getattr(network, "_compiled_call_impl", None) is not None
    return "torch.compile" if wrapped else "no (eager)"


def fence(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def peak_bytes(device: torch.device) -> int:
    return torch.cuda.max_memory_allocated() if device.type == "cuda" else 0


class Receipt:
    """common/data/receipts.py on torch's tensors, on their device."""

    def __init__(self, classes: int, device: torch.device):
        self.device = device
        self.words, self.bits = self._weights(0), self._weights(classes)

    def _weights(self, n: int) -> torch.Tensor:
        return torch.from_numpy(receipts.weights(n).copy()).to(self.device)

    def __call__(self, images: torch.Tensor, labels: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """int64 [n, 3] of uint8 [n, h, w, 3] (or features [n, ...]), float32 [n, classes] and int64 [n]."""
        flat = images.reshape(len(images), -1).view(torch.uint8)
        flat = torch.nn.functional.pad(flat, (0, -flat.shape[1] % receipts.WORD)).view(torch.int32)
        if len(self.words) != flat.shape[1]:
            self.words = self._weights(flat.shape[1])
        pixels = (flat.to(torch.int64) * self.words).sum(dim=1)
        truth = (labels.contiguous().view(torch.int32).to(torch.int64) * self.bits).sum(dim=1)
        return torch.stack([pixels, truth, ids.to(torch.int64)], dim=1)

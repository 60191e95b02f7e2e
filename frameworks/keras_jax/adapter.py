"""JAX under Keras 3 behind the contract."""

import importlib.util
import os
from typing import Any

from common.core.errors import InputError

if importlib.util.find_spec("jax") is None:
    raise InputError("this framework needs the package jax, which is optional; run: uv sync --extra jax")
os.environ["KERAS_BACKEND"] = "jax"

from frameworks.keras_common.settings import keras

# isort: split
import jax
import numpy as np
from jax import numpy as jnp
from jax.experimental import io_callback

from common.core.specs import ProcessSpec
from common.data import receipts
from frameworks.contract import Measurable, Normalising, Optimizable
from frameworks.keras_common.adapter import KerasAdapter, Model, Observed

# Receipts are 64-bit numbers, and the parity gate computes in float64; what Keras trains with stays float32.
jax.config.update("jax_enable_x64", True)


DETERMINISTIC = "--xla_gpu_deterministic_ops=true"  # on CPUs XLA is
DEVICES = "--xla_force_host_platform_device_count"  # of one processor


def receipt(images: jax.Array, labels: jax.Array, ids: jax.Array) -> jax.Array:
    """common/data/receipts.py in JAX's operations."""
    flat = jax.lax.bitcast_convert_type(images.reshape(len(images), -1), jnp.uint8).reshape(len(images), -1)
    words = receipts.words(flat.shape[1])
    flat = jnp.pad(flat, ((0, 0), (0, words * receipts.WORD - flat.shape[1])))
    pixels = jax.lax.bitcast_convert_type(flat.reshape(len(images), words, receipts.WORD), jnp.int32)
    bits = jax.lax.bitcast_convert_type(labels.astype(jnp.float32), jnp.int32)
    hashes = [(x.astype(jnp.int64) * receipts.weights(x.shape[1])).sum(axis=1) for x in (pixels, bits)]
    return jnp.stack([*hashes, ids.astype(jnp.int64)], axis=1)


compiled_receipt = jax.jit(receipt)


class Whole(keras.distribution.DataParallel):
    """Hands every device the whole batch, of which the step takes parts: Keras would cut all batches as it cuts the first, and
    fails where a last one is smaller."""

    def get_data_layout(self, data_shape: Any) -> keras.distribution.TensorLayout:
        return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)


def spread(batch: jax.Array) -> jax.Array:
    """Each device's part of it computed there; all of it everywhere where it does not part evenly."""
    whole = keras.distribution.distribution()
    if whole is None or len(batch) % whole.num_model_replicas:
        return batch
    axes = [whole.batch_dim_name] + [None] * (batch.ndim - 1)
    layout = keras.distribution.TensorLayout(axes, whole.device_mesh)
    return keras.distribution.distribute_tensor(batch, layout)


class Network(Observed):
    """Tells the watch by a host call from the compiled step."""

    tells_parts = False  # JAX differentiates no host call

    def train_step(self, state: Any, data: Any) -> Any:
        images, labels, ids = map(spread, data)
        # JAX orders no host call of several devices; each step's comes before the next step's, which waits for `settle`.
        ordered = keras.distribution.distribution() is None
        io_callback(lambda taken: self.tell(np.array(taken)), None, receipt(images, labels, ids), ordered=ordered)
        return super().train_step(state, (images, labels))

    def predict_step(self, state: Any, data: Any) -> Any:
        return super().predict_step(state, tuple(map(spread, data)))

    def settle(self) -> None:
        jax.effects_barrier()  # host calls may come after the step has been handed over


class Adapter(KerasAdapter):
    """See frameworks/contract.py."""

    Network = Network
    compilers = ("XLA",), ("XLA",)

    def __init__(self, process: ProcessSpec, seed: int) -> None:
        if hasattr(os, "sched_setaffinity"):  # XLA's pool has a thread for each core that the process may use
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: process.threads])
        if process.deterministic:
            os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + f" {DETERMINISTIC}"
        if process.devices > 1 and process.device == "cpu":
            os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + f" {DEVICES}={process.devices}"
        platforms = {"cpu": "cpu", "cuda": "cuda"}
        jax.config.update("jax_platforms", platforms[process.device])
        jax.config.update("jax_default_matmul_precision", "highest")  # else TF32 on GPUs: one setting for all
        try:
            self.device = jax.devices()[0]
        except RuntimeError as error:
            raise InputError(f"JAX sees no device '{process.device}' ({error}); take --device cpu") from None
        if process.devices > 1:
            if len(jax.devices()) < process.devices:
                raise InputError(f"JAX sees {len(jax.devices())} CUDA devices, --devices asks for {process.devices}")
            keras.distribution.set_distribution(Whole(devices=keras.distribution.list_devices()[: process.devices]))
        keras.utils.set_random_seed(seed)

    def receipt(self, model: Model, images: np.ndarray, labels: np.ndarray, ids: np.ndarray) -> np.ndarray:
        return np.array(compiled_receipt(*map(jnp.asarray, (images, labels, ids))))

    def environment(self) -> dict[str, str]:
        threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        kind = self.device.device_kind
        return {
            "framework": f"keras {keras.__version__} on jax {jax.__version__}",
            "device": "cpu" if self.device.platform == "cpu" else f"cuda ({kind})",
            "threads": f"{threads} of XLA's pool",
        }

    def backend_facts(self, network: Observed) -> dict[str, str]:
        precision, whole = jax.config.jax_default_matmul_precision, keras.distribution.distribution()
        return {
            "TF32": f"matrix products and convolutions at JAX's precision '{precision}'",
            "compiled": "no (eager)" if network.run_eagerly or not network.jit_compile else "jax.jit, XLA on",
            "deterministic kernels": str(
                self.device.platform == "cpu" or DETERMINISTIC in os.environ.get("XLA_FLAGS", "")
            ),
        } | ({"devices": f"{whole.num_model_replicas}, one computation over them (DataParallel)"} if whole else {})

    def fence(self) -> None:
        jax.effects_barrier()
        jax.block_until_ready(jnp.zeros(()) + 1)

    def peak_device_bytes(self) -> int:
        return (self.device.memory_stats() or {}).get("peak_bytes_in_use", 0) if self.device.platform != "cpu" else 0


# mypy checks the signatures.
PROTOCOLS: tuple[type[Optimizable], type[Measurable], type[Normalising]] = (Adapter, Adapter, Adapter)

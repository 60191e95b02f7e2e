"""TensorFlow under Keras 3 behind the contract."""

import os
from contextlib import AbstractContextManager, nullcontext

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

from frameworks.keras_common.settings import keras

# isort: split
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.config import is_op_determinism_enabled

from common.core.errors import InputError
from common.core.specs import BuildSpec, ProcessSpec
from common.data.feed import Feed
from common.trial.stopwatch import Watch
from frameworks.contract import Measurable, Normalising, Optimizable
from frameworks.keras_common import models
from frameworks.keras_common.adapter import KerasAdapter, Model, Observed
from frameworks.tensorflow_keras.network import Mirrored, Network, receipt

compiled_receipt = tf.function(receipt)


class Adapter(KerasAdapter):
    """See frameworks/contract.py."""

    Network = Network
    # XLA compiles no host call, by which a training step tells what it received.
    compilers = ("none", "XLA"), ("none",)

    def __init__(self, process: ProcessSpec, seed: int) -> None:
        gpus = tf.config.list_physical_devices("GPU")
        if process.device == "cuda" and not gpus:
            raise InputError("TensorFlow sees no CUDA device; take --device cpu, or install tensorflow[and-cuda]")
        if process.device == "cpu":
            tf.config.set_visible_devices([], "GPU")  # also where no variable hides it: a trial repeated alone
        for gpu in gpus if process.device == "cuda" else ():
            tf.config.experimental.set_memory_growth(gpu, True)  # else it takes all of the GPU's memory
        if process.device == "cpu" and process.devices > 1:
            parts = [tf.config.LogicalDeviceConfiguration()] * process.devices
            tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
        tf.config.threading.set_intra_op_parallelism_threads(process.threads)
        tf.config.threading.set_inter_op_parallelism_threads(process.threads)
        tf.config.experimental.enable_tensor_float_32_execution(False)  # one setting for all frameworks
        keras.utils.set_random_seed(seed)
        if process.deterministic:
            tf.config.experimental.enable_op_determinism()
        self.device = process.device
        self.strategy: tf.distribute.Strategy | None = None
        if process.devices > 1:
            kind = "GPU" if process.device == "cuda" else "CPU"
            if (there := len(tf.config.list_logical_devices(kind))) < process.devices:
                raise InputError(f"TensorFlow sees {there} CUDA devices, --devices asks for {process.devices}")
            self.strategy = tf.distribute.MirroredStrategy([f"{kind}:{i}" for i in range(process.devices)])
            self.Network = Mirrored

    def scope(self) -> AbstractContextManager:
        return self.strategy.scope() if self.strategy else nullcontext()

    def build(self, spec: BuildSpec) -> Model:
        model = super().build(spec)
        if self.strategy and (moving := models.moving_norms(model.network)):
            raise InputError(
                f"{moving} batch norms train here, and TensorFlow normalises each device's part of a batch by itself, which is "
                "no longer the same work; take --train head, or --devices 1"
            )
        return model

    def train_epoch(self, model: Model, feed: Feed, watch: Watch) -> float:
        self._check_last(feed)
        return super().train_epoch(model, feed, watch)

    def predict(self, model: Model, feed: Feed, watch: Watch) -> np.ndarray:
        self._check_last(feed)
        return super().predict(model, feed, watch)

    def _check_last(self, feed: Feed) -> None:
        """InputError where a device would get no image: TensorFlow fails on a part of none."""
        last, devices = feed.images % feed.batch_size, self.strategy.num_replicas_in_sync if self.strategy else 1
        if 0 < last < devices:
            raise InputError(
                f"the last of the batches of {feed.batch_size} has {last} image{'s' if last > 1 else ''}, and TensorFlow needs one "
                f"for each of {devices} devices; take another --batch-size or --limit"
            )

    def receipt(self, model: Model, images: np.ndarray, labels: np.ndarray, ids: np.ndarray) -> np.ndarray:
        return compiled_receipt(*map(tf.constant, (images, labels, ids))).numpy()

    def environment(self) -> dict[str, str]:
        threading = tf.config.threading
        words = "cuda" if tf.config.get_visible_devices("GPU") else "cpu"
        if words == "cuda":
            details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
            words += f" ({details.get('device_name', 'unnamed')})"
        return {
            "framework": f"tensorflow {tf.__version__}, keras {keras.__version__}",
            "device": words,
            "threads": f"{threading.get_intra_op_parallelism_threads()} intra-op, "
            f"{threading.get_inter_op_parallelism_threads()} inter-op",
            "cpu kernels": f"oneDNN {'off' if os.environ.get('TF_ENABLE_ONEDNN_OPTS') == '0' else 'on (default)'}",
        }

    def backend_facts(self, network: Observed) -> dict[str, str]:
        tf32 = "on" if tf.config.experimental.tensor_float_32_execution_enabled() else "off"
        return {
            "TF32": f"matrix products {tf32}, convolutions {tf32}",
            "compiled": "no (eager)"
            if network.run_eagerly
            else f"tf.function, XLA {'on' if network.jit_compile else 'off'}",
            "deterministic kernels": str(is_op_determinism_enabled()),
        } | (
            {"devices": f"{self.strategy.num_replicas_in_sync}, gradients averaged by MirroredStrategy"}
            if self.strategy
            else {}
        )

    def fence(self) -> None:
        if self.device == "cuda":
            tf.test.experimental.sync_devices()

    def peak_device_bytes(self) -> int:
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] if self.device == "cuda" else 0


# mypy checks the signatures.
PROTOCOLS: tuple[type[Optimizable], type[Measurable], type[Normalising]] = (Adapter, Adapter, Adapter)

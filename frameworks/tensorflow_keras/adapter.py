"""TensorFlow under Keras 3 behind the contract."""

import math
import os
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.config import is_op_determinism_enabled

from common import receipts
from common.errors import InputError
from common.types import ProcessSpec
from common.watch import FORWARD
from frameworks.keras_common.adapter import KerasAdapter, Model, Observed


def receipt(images: tf.Tensor, labels: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """common/receipts.py in TensorFlow's operations. images: uint8 [n, h, w, 3], or features [n, ...]."""
    image_bytes = math.prod(images.shape[1:]) * images.dtype.size
    words = receipts.words(image_bytes)
    flat = tf.reshape(tf.bitcast(images, tf.uint8), [-1, image_bytes])
    flat = tf.pad(flat, [[0, 0], [0, words * receipts.WORD - image_bytes]])
    numbers = tf.bitcast(tf.reshape(flat, [-1, words, receipts.WORD]), tf.int32), tf.bitcast(labels, tf.int32)
    hashes = [tf.reduce_sum(tf.cast(x, tf.int64) * receipts.weights(x.shape[1]), axis=1) for x in numbers]
    return tf.stack([*hashes, tf.cast(ids, tf.int64)], axis=1)


compiled_receipt = tf.function(receipt)


class Network(Observed):
    """Tells the watch by a host call in the graph: about 0.1 ms a step."""

    def train_step(self, data: Any) -> Any:
        images, labels, ids = data
        told = tf.numpy_function(self.tell, [receipt(images, labels, ids)], [])
        with tf.control_dependencies([told]):
            images = tf.identity(images)
        return super().train_step((images, labels))

    def forward_done(self, y_pred: Any) -> Any:
        told = tf.numpy_function(lambda _: self.watch.part(FORWARD), [y_pred[:1, :1]], [])
        with tf.control_dependencies([told]):
            return tf.identity(y_pred)


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
        tf.config.threading.set_intra_op_parallelism_threads(process.threads)
        tf.config.threading.set_inter_op_parallelism_threads(process.threads)
        tf.config.experimental.enable_tensor_float_32_execution(False)  # one setting for all frameworks
        keras.utils.set_random_seed(seed)
        if process.deterministic:
            tf.config.experimental.enable_op_determinism()
        self.device = process.device

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
        }

    def fence(self) -> None:
        if self.device == "cuda":
            tf.test.experimental.sync_devices()

    def peak_device_bytes(self) -> int:
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] if self.device == "cuda" else 0

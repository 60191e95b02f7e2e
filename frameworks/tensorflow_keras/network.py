"""TensorFlow's training step, which tells what it takes: on one device, and mirrored on several."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from common.core.events import FORWARD
from common.data import receipts
from frameworks.keras_common.adapter import Observed


def receipt(images: tf.Tensor, labels: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """common/data/receipts.py in TensorFlow's operations. images: uint8 [n, h, w, 3], or features [n, ...]."""
    image_bytes = math.prod(images.shape[1:]) * images.dtype.size
    words = receipts.words(image_bytes)
    flat = tf.reshape(tf.bitcast(images, tf.uint8), [-1, image_bytes])
    flat = tf.pad(flat, [[0, 0], [0, words * receipts.WORD - image_bytes]])
    numbers = tf.bitcast(tf.reshape(flat, [-1, words, receipts.WORD]), tf.int32), tf.bitcast(labels, tf.int32)
    hashes = [tf.reduce_sum(tf.cast(x, tf.int64) * receipts.weights(x.shape[1]), axis=1) for x in numbers]
    return tf.stack([*hashes, tf.cast(ids, tf.int64)], axis=1)


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


class Mirrored(Network):
    """A replica on each device takes its part of the batch; the gradient is that of the mean over the whole batch."""

    tells_parts = False

    def __init__(self, *args: Any, **words: Any) -> None:
        super().__init__(*args, **words)
        self.told: list[tuple[int, np.ndarray]] = []  # of one step, by the replicas, each at its own time

    def train_step(self, data: Any) -> Any:
        images, labels, ids = data
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        told = tf.numpy_function(lambda *said: self.told.append(said), [replica, receipt(images, labels, ids)], [])
        with tf.control_dependencies([told]):
            images = tf.identity(images)
        return Observed.train_step(self, (images, labels))

    def settle(self) -> None:
        """Replicas hold consecutive parts of the batch."""
        self.tell(np.concatenate([taken for _, taken in sorted(self.told, key=lambda said: int(said[0]))]))
        self.told.clear()

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:  # fmt: skip
        """This replica's mean loss, whose gradient weighs as many images as it has: Keras takes the mean over replicas, and the
        parts of a batch that does not part evenly differ by an image."""
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if (replica := tf.distribute.get_replica_context()) is None:  # compiling asks outside of any step
            return loss
        mine = tf.cast(tf.shape(y_pred)[0], loss.dtype)
        weighed = loss * mine * replica.num_replicas_in_sync / replica.all_reduce(tf.distribute.ReduceOp.SUM, mine)
        return weighed + tf.stop_gradient(loss - weighed)

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Nothing: all is built. Keras's own takes batches from the iterator and does not put them back, so that the first epoch
        trained on the last batch alone (as its receipts showed)."""

"""The feed behind Keras's own generator."""

import math
from functools import cache
from typing import Any

import keras

from common.core.events import REST
from common.data.feed import Feed
from common.trial.stopwatch import Watch


class Batches(keras.utils.PyDataset):
    """Batch index -> uint8 [n, h, w, 3] (with float32 [n, classes] and int64 [n] where the feed has labels).

    At least two worker threads: with fewer, Keras puts tf.data's autotuned prefetch behind the generator, and the end
    of an epoch may wait for the autotuner's next wake-up, which comes after 10 ms, then after twice as long each time:
    epochs of 50 s ended after 82 s, of 1.4 s after 2.6 s, at unchanged step times, in some runs and not in others.
    """

    def __init__(self, feed: Feed):
        super().__init__(workers=max(2, feed.workers), use_multiprocessing=False)
        self.feed = feed

    @property
    def num_batches(self) -> int:
        return self.feed.batches

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return self.feed.batch(index)


@cache
def nothing_of(shape: tuple[int, ...], dtype: str) -> keras.Model:
    """A network that computes nothing but one value of each image: `predict` over it is Keras's own loader."""
    inputs = keras.Input(shape, dtype=dtype)
    network = keras.Model(inputs, keras.ops.reshape(inputs, (-1, math.prod(shape)))[:, :1])
    network.compile(jit_compile=False)
    return network


class Tell(keras.callbacks.Callback):
    """Tells the watch what fit and predict do."""

    def __init__(self, watch: Watch):
        super().__init__()
        self.watch = watch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.model.settle()
        self.watch.stepped(self.model.images_taken, logs["loss"], REST)
        self.watch.wanted()  # here, for on torch's backend the next batch is fetched before its `begin`

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self.watch.stepped(len(logs["outputs"]))

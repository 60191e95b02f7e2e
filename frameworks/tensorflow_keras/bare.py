"""The same work as one trial in a script that imports nothing of ours: `self overhead` compares the two.

python bare.py job.json      prints the seconds of each training epoch, as JSON
"""

import json
import os
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "1"

import keras
import numpy as np
import tensorflow as tf

job = json.load(open(sys.argv[1], encoding="utf-8"))
tf.config.threading.set_intra_op_parallelism_threads(job["threads"])
tf.config.threading.set_inter_op_parallelism_threads(job["threads"])
keras.utils.set_random_seed(0)
n, side, classes = job["images"], job["side"], job["classes"]
pixels = np.memmap(job["pixels"], np.uint8, "r", shape=(n, side, side, 3))
labels = np.load(job["labels"])["labels"]
orders = np.load(job["plan"])["orders"]


class Batches(keras.utils.PyDataset):
    def __init__(self, rows: np.ndarray) -> None:
        super().__init__(workers=2)  # with one, the autotuner may hold the end of an epoch: docs/fairness.md
        self.rows = rows

    @property
    def num_batches(self) -> int:
        return -(-len(self.rows) // job["batch_size"])

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self.rows[i * job["batch_size"] : (i + 1) * job["batch_size"]]
        return pixels[rows], labels[rows].astype(np.float32)


body = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(side, side, 3))
inputs = keras.Input((side, side, 3), dtype="uint8")
x = keras.layers.Rescaling(1 / 127.5, -1.0)(inputs)
x = keras.layers.GlobalAveragePooling2D()(body(x))
model = keras.Model(inputs, keras.layers.Dense(classes)(x))
model.compile(
    keras.optimizers.Adam(job["learning_rate"]), keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False
)
seconds = []
for rows in orders:
    start = time.perf_counter()
    history = model.fit(Batches(rows), epochs=1, shuffle=False, verbose=0)
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": seconds, "loss": history.history["loss"][0]}))

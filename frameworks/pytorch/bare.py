"""The same work as one trial in a loop that imports nothing of ours: `self overhead` compares the two.

python bare.py job.json      prints the seconds of each training epoch, as JSON
"""

import json
import sys
import time
from typing import Any

import numpy as np
import timm
import torch
from safetensors.torch import load_file
from torch.utils.data import DataLoader, Dataset

job = json.load(open(sys.argv[1], encoding="utf-8"))
torch.set_num_threads(job["threads"])
torch.manual_seed(0)
n, side, classes = job["images"], job["side"], job["classes"]
pixels = np.memmap(job["pixels"], np.uint8, "r", shape=(n, side, side, 3))
labels = np.load(job["labels"])["labels"]
orders = np.load(job["plan"])["orders"]


class Images(Dataset):
    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        row = self.rows[i]
        return torch.from_numpy(np.array(pixels[row])), torch.from_numpy(labels[row].astype(np.float32))


network: Any = timm.create_model("tf_efficientnet_lite0")
network.load_state_dict(load_file(job["weights"]), strict=False)
network.reset_classifier(classes)
network.requires_grad_(False)
network.classifier.requires_grad_(True)
network.to(memory_format=torch.channels_last).eval()
optimiser = torch.optim.Adam(network.classifier.parameters(), lr=job["learning_rate"])
criterion = torch.nn.BCEWithLogitsLoss()
seconds = []
for rows in orders:
    start = time.perf_counter()
    total = 0.0
    for images, truth in DataLoader(Images(rows), batch_size=job["batch_size"]):
        optimiser.zero_grad()
        loss = criterion(network((images.permute(0, 3, 1, 2).float() - 127.5) / 127.5), truth)
        loss.backward()
        optimiser.step()
        total += loss.item() * len(images)
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": seconds, "loss": total / len(rows)}))

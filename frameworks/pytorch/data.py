"""The feed behind PyTorch's own DataLoader."""

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from common.data.feed import Feed


class Images(Dataset):
    """Position in the feed -> uint8 [h, w, 3] (with float32 [classes] and int64 [] where the feed has labels)."""

    def __init__(self, feed: Feed):
        self.feed = feed

    def __len__(self) -> int:
        return self.feed.images

    def __getitem__(self, position: int) -> tuple[torch.Tensor, ...]:
        return tuple(torch.from_numpy(np.asarray(a)) for a in self.feed.item(position))


def loader(feed: Feed, batches: list[list[int]], pin: bool) -> DataLoader:
    """The feed's images in these batches of positions, and its number of worker processes; nothing is shuffled."""
    return DataLoader(Images(feed), batch_sampler=batches, num_workers=feed.workers, pin_memory=pin)

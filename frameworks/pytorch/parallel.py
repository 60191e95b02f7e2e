"""One trial on several devices: each rank takes its part of every batch, gradients are averaged, the rest is gathered."""

from typing import Any

import numpy as np
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from common.core.errors import InputError
from common.data.feed import Feed
from common.process.ranks import share


class Ranks:
    """This process among the ranks of a trial; of a trial on one device, alone."""

    def __init__(self) -> None:
        together = distributed.is_initialized()
        self.count, self.rank = (distributed.get_world_size(), distributed.get_rank()) if together else (1, 0)

    def wrapped(self, network: nn.Module, moving_norms: int, device: torch.device) -> nn.Module:
        """The network in DistributedDataParallel, whose backward pass averages the gradients over the ranks. InputError where
        batch norm would normalise each rank's part by itself: torch's synchronised one computes on GPUs alone."""
        if self.count == 1:
            return network
        if moving_norms and device.type != "cuda":
            raise InputError(
                f"{moving_norms} batch norms train here, and on processors torch normalises each device's part of a batch by "
                "itself, which is no longer the same work; take --train head, or --devices 1"
            )
        return DistributedDataParallel(network)

    def positions(self, feed: Feed) -> list[list[int]]:
        """Of the feed, by batch: this rank's part. A batch of fewer images than ranks: one that is another's, as no part of
        a backward pass may be missing; `counts` says that it is none of this rank's."""
        found = []
        for start in range(0, feed.images, feed.batch_size):
            batch = range(start, min(start + feed.batch_size, feed.images))
            found.append(list(batch[share(len(batch), self.count, self.rank)]) or [start])
        return found

    def counts(self, feed: Feed) -> list[tuple[int, int]]:
        """By batch: this rank's images, and all ranks'."""
        sizes = (min(feed.batch_size, feed.images - start) for start in range(0, feed.images, feed.batch_size))
        return [(len(range(n)[share(n, self.count, self.rank)]), n) for n in sizes]

    def weight(self, mine: int, whole: int) -> float:
        """Of this rank's mean loss, that the gradients' mean over ranks is that of the loss's mean over all images."""
        return mine * self.count / whole

    def gathered(self, parts: list[torch.Tensor]) -> np.ndarray:
        """Every rank's tensors, batch by batch, as one array in the order of the feed."""
        if self.count == 1:
            return torch.cat(parts).cpu().numpy()
        everyone: list[Any] = [None] * self.count
        distributed.all_gather_object(everyone, [part.cpu().numpy() for part in parts])
        return np.concatenate([part for batch in zip(*everyone) for part in batch])

    def summed(self, value: torch.Tensor) -> float:
        if self.count > 1:
            distributed.all_reduce(value)
        return float(value)

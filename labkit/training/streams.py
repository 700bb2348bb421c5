"""Streams of batches whose content is a function of the seed and the step alone.

Nothing here has a state that a checkpoint must carry: step 137 draws the same pictures and the same
augmentation whether the training got there in one go or was killed on the way.
"""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Sampler

from labkit.data.dataset import SegmentationDataset
from labkit.data.transforms import to_batch


def derived_seed(*parts: object) -> int:
    """A seed below 2⁶³ from any values, the same on every machine."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") >> 1


class BatchIndices(Sampler[list[int]]):
    """The indices of every batch from ``first`` to ``last`` (exclusive), each device its share.

    Pictures come in a fresh random order each epoch, without replacement; a batch may reach into the next epoch,
    so that none is smaller than the others.
    """

    def __init__(self, length: int, batch_size: int, seed: int, first: int, last: int, rank: int = 0, world: int = 1):
        self.length, self.batch_size, self.seed = length, batch_size, seed
        self.first, self.last, self.rank, self.world = first, last, rank, world
        self._orders: dict[int, torch.Tensor] = {}

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[list[int]]:
        for number in range(self.first, self.last):
            start = number * self.batch_size
            yield [self._index(i) for i in range(start + self.rank, start + self.batch_size, self.world)]

    def _index(self, position: int) -> int:
        epoch, place = divmod(position, self.length)
        if epoch not in self._orders:
            generator = torch.Generator().manual_seed(derived_seed("order", self.seed, epoch))
            # The epoch before is kept: a batch may lie across the border.
            self._orders = {e: o for e, o in self._orders.items() if e == epoch - 1}
            self._orders[epoch] = torch.randperm(self.length, generator=generator)
        return int(self._orders[epoch][place])


def batches(
    dataset: SegmentationDataset,
    batch_size: int,
    seed: int,
    first: int,
    last: int,
    *,
    workers: int = 0,
    pin_memory: bool = False,
    rank: int = 0,
    world: int = 1,
) -> Iterator[tuple[torch.Tensor, torch.Tensor, tuple[str, ...]]]:
    """Iterate over uint8 images ``(N, 3, H, W)``, uint8 labels ``(N, H, W)`` and names.

    From batch ``first`` to ``last − 1``. ``batch_size`` counts the pictures of all ``world`` devices; each gets its
    share. Asking for the iterator starts the workers.
    """
    loader = DataLoader(
        dataset,
        batch_sampler=BatchIndices(len(dataset), batch_size, seed, first, last, rank, world),
        num_workers=workers,
        collate_fn=to_batch,
        pin_memory=pin_memory,
        worker_init_fn=_ignore_signals,
        # The loader draws a seed for its workers: from here, so that the global random state is left alone.
        generator=torch.Generator().manual_seed(derived_seed("workers", seed)),
    )
    return iter(loader)


def _ignore_signals(_worker: int) -> None:
    """Ctrl-C and a scheduler's SIGTERM reach the whole group of processes; the loop alone answers them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

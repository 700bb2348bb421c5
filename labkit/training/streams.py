"""Streams of batches whose content is a function of the seed and the step alone.

Nothing here has a state that a checkpoint must carry: step 137 draws the same pictures and the same
augmentation whether the training got there in one go or was killed on the way.
"""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import DataLoader, Sampler
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from labkit.data.dataset import Sample, SegmentationDataset
from labkit.data.transforms import PixelBatch, to_batch
from labkit.errors import LabError


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


class Batches(Iterator[PixelBatch]):
    """The batches of a loader, one after the other: uint8 images ``(N, 3, H, W)``, uint8 labels ``(N, H, W)``, names.

    Raises:
        LabError: of the data set, in its own words also where a worker met it.
    """

    def __init__(self, loader: DataLoader):
        self._loaded = iter(loader)

    def __next__(self) -> PixelBatch:
        batch = next(self._loaded)
        if isinstance(batch, LabError):
            raise batch
        return batch

    def close(self) -> None:
        """End the workers. They ignore the signal with which Python would end them, and it would wait for ever."""
        if isinstance(self._loaded, _MultiProcessingDataLoaderIter):
            self._loaded._shutdown_workers()


class _Answering:
    """A data set whose errors are its answers: what a worker raises arrives as the text of a traceback."""

    def __init__(self, dataset: SegmentationDataset):
        self.dataset = dataset

    def __getitem__(self, index: int) -> Sample | LabError:
        try:
            return self.dataset[index]
        except LabError as error:
            return error


def _batch_or_error(samples: Sequence[Sample | LabError]) -> PixelBatch | LabError:
    try:
        return next((one for one in samples if isinstance(one, LabError)), None) or to_batch(samples)
    except LabError as error:
        return error


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
) -> Batches:
    """Iterate over batches of a data set's pictures.

    From batch ``first`` to ``last − 1``. ``batch_size`` counts the pictures of all ``world`` devices; each gets its
    share. Asking for the iterator starts the workers; who asks closes it.
    """
    loader = DataLoader(
        _Answering(dataset),
        batch_sampler=BatchIndices(len(dataset), batch_size, seed, first, last, rank, world),
        num_workers=workers,
        collate_fn=_batch_or_error,
        pin_memory=pin_memory,
        worker_init_fn=_ignore_signals,
        # The loader draws a seed for its workers: from here, so that the global random state is left alone.
        generator=torch.Generator().manual_seed(derived_seed("workers", seed)),
    )
    return Batches(loader)


def _ignore_signals(_worker: int) -> None:
    """Ctrl-C and a scheduler's SIGTERM reach the whole group of processes; the loop alone answers them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

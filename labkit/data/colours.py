"""Colours of a data set: their mean and spread, and moving one data set's colours towards another's."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from labkit.data.dataset import Sample, SegmentationDataset


class ColourStatistics(NamedTuple):
    """Mean and standard deviation of each channel over all pixels: float64 ``(3,)`` in 0–255, R, G, B."""

    mean: np.ndarray
    std: np.ndarray


def colour_statistics(dataset: SegmentationDataset) -> ColourStatistics:
    """Statistics over every pixel of every picture, exact: from a histogram of the 256 values."""
    histogram = np.zeros((3, 256), np.int64)
    for index in range(len(dataset)):
        image = dataset[index].image
        for channel in range(3):
            histogram[channel] += np.bincount(image[..., channel].ravel(), minlength=256)
    weights, values = histogram / histogram.sum(axis=1, keepdims=True), np.arange(256)
    mean = weights @ values
    return ColourStatistics(mean, np.sqrt(weights @ values**2 - mean**2))


def class_pixels(dataset: SegmentationDataset) -> np.ndarray:
    """Pixels of each class over all pictures: int64 ``(19,)``; ignored ones are left out."""
    counts = np.zeros(256, np.int64)
    for index in range(len(dataset)):
        counts += np.bincount(dataset[index].label.ravel(), minlength=256)
    return counts[:19]


class Recoloured:
    """A data set whose pictures' colours are moved towards those of another.

    .. math:: x' = (1 - a)\\,x + a \\left(\\sigma_{to} \\frac{x - \\mu_{from}}{\\sigma_{from}} + \\mu_{to}\\right)

    per channel, rounded and clipped to 0–255. With ``amount`` a = 1 the data set has, but for clipping, the other's
    mean and spread. One map serves all pictures: what differs between them stays different. Labels are left alone.
    """

    def __init__(
        self, dataset: SegmentationDataset, own: ColourStatistics, other: ColourStatistics, amount: float = 1.0
    ):
        self.dataset, self.own, self.other, self.amount = dataset, own, other, amount
        self.name, self.split, self.evaluation = dataset.name, dataset.split, dataset.evaluation

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        sample = self.dataset[index]
        moved = (sample.image - self.own.mean) / np.maximum(self.own.std, 1e-6) * self.other.std + self.other.mean
        mixed = (1 - self.amount) * sample.image + self.amount * moved
        return sample._replace(image=np.clip(np.rint(mixed), 0, 255).astype(np.uint8))

    def fingerprint(self) -> dict:
        """The data set's own, and the map."""
        change = {"from": _listed(self.own), "to": _listed(self.other), "amount": self.amount}
        return self.dataset.fingerprint() | {"recoloured": change}


def _listed(statistics: ColourStatistics) -> list[list[float]]:
    return [part.round(6).tolist() for part in statistics]

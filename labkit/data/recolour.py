"""A data set with its colours moved towards those of another."""

from __future__ import annotations

import numpy as np

from labkit.data.dataset import Sample, SegmentationDataset, labelled
from labkit.data.statistics import ColourStatistics


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
        self.labelled = labelled(dataset)

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

"""Statistics of a data set's pixels: colours and classes, over pictures that are spread evenly."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from labkit.data.dataset import SegmentationDataset
from labkit.data.selection import evenly
from labkit.labels import CLASS_NAMES, EVALUATIONS

LIMIT = 400
"""At most so many pictures are read: statistics of a large data set would take longer than a training."""


class ColourStatistics(NamedTuple):
    """Mean and standard deviation of each channel over all pixels: float64 ``(3,)`` in 0–255, R, G, B."""

    mean: np.ndarray
    std: np.ndarray


def colour_statistics(dataset: SegmentationDataset, limit: int = LIMIT) -> ColourStatistics:
    """Statistics over every pixel of the pictures, exact: from a histogram of the 256 values."""
    histogram = np.zeros((3, 256), np.int64)
    for index in evenly(len(dataset), limit):
        image = dataset[index].image
        for channel in range(3):
            histogram[channel] += np.bincount(image[..., channel].ravel(), minlength=256)
    weights, values = histogram / histogram.sum(axis=1, keepdims=True), np.arange(256)
    mean = weights @ values
    return ColourStatistics(mean, np.sqrt(weights @ values**2 - mean**2))


def class_pixels(dataset: SegmentationDataset, evaluation: str = "miou", limit: int = LIMIT) -> dict[str, int]:
    """Pixels of each class by name, ignored ones left out.

    Args:
        dataset: any.
        evaluation: a key of :data:`labkit.labels.EVALUATIONS`; its classes are counted, after its merging.
        limit: at most so many pictures, spread evenly.
    """
    counts = np.zeros(256, np.int64)
    for index in evenly(len(dataset), limit):
        counts += np.bincount(dataset[index].label.ravel(), minlength=256)
    chosen = EVALUATIONS[evaluation]
    merged = np.bincount(chosen.merge, weights=counts[: len(chosen.merge)], minlength=len(chosen.merge))
    return {CLASS_NAMES[i]: int(merged[i]) for i in chosen.train_ids}


def class_presence(dataset: SegmentationDataset, limit: int = LIMIT) -> np.ndarray:
    """Which of the 19 classes occur in which picture: bool ``(N, 19)``, for at most ``limit`` pictures."""
    chosen = evenly(len(dataset), limit)
    present = np.zeros((len(chosen), 256), bool)
    for row, index in enumerate(chosen):
        present[row, np.unique(dataset[index].label)] = True
    return present[:, : len(CLASS_NAMES)]

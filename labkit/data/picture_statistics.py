"""Statistics picture by picture and class by class: how much the pictures of a domain differ, and in what."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from labkit.data.dataset import SegmentationDataset
from labkit.data.selection import evenly
from labkit.data.transforms import GRAY
from labkit.labels import CLASS_NAMES, EVALUATIONS

LIMIT = 200
"""At most so many pictures are read, spread evenly."""


class PictureStatistics(NamedTuple):
    """Of each picture: the mean of its channels, and how much neighbouring pixels differ.

    ``means`` is float64 ``(N, 3)``, R, G, B in 0–255. ``detail`` is float64 ``(N,)``: the mean absolute difference of
    the luma (in 0–255) of pixels that lie side by side.
    """

    means: np.ndarray
    detail: np.ndarray


def picture_statistics(dataset: SegmentationDataset, limit: int = LIMIT) -> PictureStatistics:
    """Statistics of each of at most ``limit`` pictures. A flip changes none of them, a blur the detail alone."""
    means, detail = [], []
    for index in evenly(len(dataset), limit):
        image = dataset[index].image.astype(np.float64)
        means.append(image.mean(axis=(0, 1)))
        detail.append(np.abs(np.diff(image @ np.array(GRAY), axis=1)).mean())
    return PictureStatistics(np.array(means), np.array(detail))


def class_colours(dataset: SegmentationDataset, evaluation: str = "miou", limit: int = LIMIT) -> dict[str, np.ndarray]:
    """Mean colour of each class over its pixels, by name: float64 ``(3,)`` in 0–255; NaN for a class that is absent.

    Args:
        dataset: with labels.
        evaluation: a key of :data:`labkit.labels.EVALUATIONS`; its classes are taken, after its merging.
        limit: at most so many pictures, spread evenly.
    """
    chosen = EVALUATIONS[evaluation]
    merge = np.arange(256)
    merge[: len(chosen.merge)] = chosen.merge
    sums, pixels = np.zeros((256, 3)), np.zeros(256)
    for index in evenly(len(dataset), limit):
        sample = dataset[index]
        classes = merge[sample.label].ravel()
        pixels += np.bincount(classes, minlength=256)
        for channel in range(3):
            sums[:, channel] += np.bincount(classes, weights=sample.image[..., channel].ravel(), minlength=256)
    means = np.divide(sums, pixels[:, None], out=np.full((256, 3), np.nan), where=pixels[:, None] > 0)
    return {CLASS_NAMES[i]: means[i] for i in chosen.train_ids}

"""How far a change of the input moves a network's features: invariance in numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import nn

from labkit.data.augmented import Augmented
from labkit.data.dataset import SegmentationDataset
from labkit.data.transforms import Augmentation
from labkit.evaluation.features import pooled_features


def spread(features: np.ndarray) -> float:
    """Root-mean-square distance of ``(N, K)`` features from their mean."""
    centred = np.asarray(features, dtype=np.float64) - np.mean(features, axis=0)
    return float(np.sqrt((centred**2).sum(axis=1).mean()))


def movement(before: np.ndarray, after: np.ndarray) -> float:
    """Root-mean-square distance that each picture's features have moved, over the spread before.

    0: the change is not seen. 1: a picture moves as far as pictures lie from their mean.

    Args:
        before, after: ``(N, K)``, the same pictures in the same order.
    """
    moved = np.asarray(after, dtype=np.float64) - before
    return float(np.sqrt((moved**2).sum(axis=1).mean())) / max(spread(before), 1e-300)


def mean_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Distance of two sets' means, over the spread of the first."""
    apart = np.mean(first, axis=0, dtype=np.float64) - np.mean(second, axis=0, dtype=np.float64)
    return float(np.linalg.norm(apart)) / max(spread(first), 1e-300)


def feature_movement(
    model: nn.Module,
    dataset: SegmentationDataset,
    augmentations: Mapping[str, Augmentation],
    *,
    feature: str = "backbone",
    limit: int = 100,
    seed: int = 0,
) -> dict[str, float]:
    """:func:`movement` of a network's pooled features (:func:`labkit.evaluation.features.pooled_features`) by name."""
    before = pooled_features(model, dataset, feature, limit=limit)
    return {
        name: movement(before, pooled_features(model, Augmented(dataset, change, seed), feature, limit=limit))
        for name, change in augmentations.items()
    }

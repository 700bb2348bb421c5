"""Statistics of a domain: of its pixels, its labels, and of the features that a network makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from labkit.data.dataset import SegmentationDataset
from labkit.data.transforms import to_batch
from labkit.errors import UnknownNameError
from labkit.evaluation.predict import normalized
from labkit.labels import NUM_CLASSES


@dataclass(frozen=True)
class PixelStatistics:
    """Colours and classes of a data set.

    Attributes:
        histogram: int64 ``(3, 256)``: pixels by channel (R, G, B) and value.
        class_pixels: int64 ``(19,)``: pixels by trainId; ignored ones are left out.
        images: number of pictures.
    """

    histogram: np.ndarray
    class_pixels: np.ndarray
    images: int

    @property
    def mean(self) -> np.ndarray:
        """Float64 ``(3,)``, 0–255."""
        return self.histogram @ np.arange(256) / self.histogram.sum(axis=1)

    @property
    def std(self) -> np.ndarray:
        """Float64 ``(3,)``, 0–255."""
        return np.sqrt(self.histogram @ np.arange(256) ** 2 / self.histogram.sum(axis=1) - self.mean**2)

    @property
    def class_frequency(self) -> np.ndarray:
        """Float64 ``(19,)``: share of each class among the pixels that are not ignored."""
        return self.class_pixels / max(1, self.class_pixels.sum())


def pixel_statistics(dataset: SegmentationDataset) -> PixelStatistics:
    """Count the pixels of every picture of ``dataset``."""
    histogram, class_pixels = np.zeros((3, 256), np.int64), np.zeros(256, np.int64)
    for index in range(len(dataset)):
        sample = dataset[index]
        for channel in range(3):
            histogram[channel] += np.bincount(sample.image[..., channel].ravel(), minlength=256)
        class_pixels += np.bincount(sample.label.ravel(), minlength=256)
    return PixelStatistics(histogram, class_pixels[:NUM_CLASSES], len(dataset))


@dataclass(frozen=True)
class FeatureStatistics:
    """What one layer of a network makes of a domain.

    Attributes:
        mean, std: float ``(K,)``: of each feature channel over all positions of all pictures.
        pooled: float ``(N, K)``: the mean over positions of each picture.
    """

    mean: np.ndarray
    std: np.ndarray
    pooled: np.ndarray


@torch.inference_mode()
def feature_statistics(
    model: nn.Module, dataset: SegmentationDataset, feature: str, *, limit: int = 100
) -> FeatureStatistics:
    """Statistics of the feature map called ``feature`` over the first ``limit`` pictures, in evaluation mode.

    Raises:
        UnknownNameError: the network has no such feature; the message lists those it has.
    """
    model.eval()
    device = next(model.parameters()).device
    sums, squares, pooled, positions = 0.0, 0.0, [], 0
    for index in range(min(limit, len(dataset))):
        images = to_batch([dataset[index]]).images.to(device)
        features = model(normalized(images)).features
        if feature not in features:
            raise UnknownNameError("feature", feature, features)
        values = features[feature][0].flatten(1).double()
        sums, squares = sums + values.sum(1), squares + values.square().sum(1)
        positions += values.shape[1]
        pooled.append(values.mean(1))
    mean = sums / positions
    std = (squares / positions - mean.square()).clamp(min=0).sqrt()
    return FeatureStatistics(mean.cpu().numpy(), std.cpu().numpy(), torch.stack(pooled).cpu().numpy())


def standardized_shift(source: FeatureStatistics, target: FeatureStatistics) -> np.ndarray:
    """How far each feature channel's mean moves between the domains, in the source's standard deviations: ``(K,)``.

    0 for a channel that is constant on the source.
    """
    gap = np.abs(target.mean - source.mean)
    return np.divide(gap, source.std, out=np.zeros_like(gap), where=source.std > 0)

"""Scores near the borders between classes and away from them: detail, and the rest."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from labkit.data.dataset import SegmentationDataset
from labkit.data.transforms import to_batch
from labkit.evaluation.predict import predict_logits
from labkit.labels import IGNORE


class BorderAccuracy(NamedTuple):
    """Shares of valid pixels that are right, in 0–1; NaN where there are none.

    Attributes:
        near: of the pixels near a border.
        inside: of all others.
    """

    near: float
    inside: float


def near_border(labels: Tensor, width: int) -> Tensor:
    """Pixels that have another label than their own within ``width`` rows and columns: bool ``(N, H, W)``.

    Args:
        labels: integer trainIds ``(N, H, W)``; an ignored region has a border like any other.
        width: in pixels, at least 1.
    """
    maps, side = labels.float()[:, None], 2 * width + 1
    highest = F.max_pool2d(maps, side, stride=1, padding=width)
    lowest = -F.max_pool2d(-maps, side, stride=1, padding=width)
    return (highest != lowest)[:, 0]


def border_accuracy(model: nn.Module, dataset: SegmentationDataset, width: int = 2) -> BorderAccuracy:
    """Pixel accuracy near borders and inside of regions, over all pictures. The model is left in evaluation mode."""
    device = next(model.parameters()).device
    right, seen = torch.zeros(2, dtype=torch.int64), torch.zeros(2, dtype=torch.int64)
    for start in range(0, len(dataset), 8):
        images, labels, _ = to_batch([dataset[i] for i in range(start, min(start + 8, len(dataset)))])
        hit = predict_logits(model, images.to(device)).argmax(dim=1).cpu() == labels
        near, valid = near_border(labels, width), labels != IGNORE
        for place, region in enumerate((near & valid, ~near & valid)):
            right[place] += (hit & region).sum()
            seen[place] += region.sum()
    return BorderAccuracy(*(r / s if s else float("nan") for r, s in zip(right.tolist(), seen.tolist(), strict=True)))

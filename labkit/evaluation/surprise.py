"""How sure a network is of the truth, pixel by pixel: −log p, from which every focal loss follows."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from labkit.data.dataset import Sample, SegmentationDataset
from labkit.data.selection import evenly
from labkit.data.transforms import to_batch
from labkit.evaluation.predict import predict_logits
from labkit.labels import IGNORE

LIMIT = 40
"""At most so many pictures are read, spread evenly."""


def surprise_map(model: nn.Module, sample: Sample) -> np.ndarray:
    """−log p of the true class at every pixel: float32 ``(H, W)``, NaN where the label is ignored."""
    batch = to_batch([sample])
    device = next(model.parameters()).device
    logits = predict_logits(model, batch.images.to(device)).float().cpu()
    surprise = F.cross_entropy(logits, batch.labels.long(), ignore_index=IGNORE, reduction="none")[0]
    return torch.where(batch.labels[0] == IGNORE, torch.nan, surprise).numpy()


def surprises(model: nn.Module, dataset: SegmentationDataset, limit: int = LIMIT) -> np.ndarray:
    """−log p of the true class for every labelled pixel of at most ``limit`` pictures: float32, one long row."""
    maps = [surprise_map(model, dataset[index]) for index in evenly(len(dataset), limit)]
    return np.concatenate([surprise[~np.isnan(surprise)] for surprise in maps])


def focal_of(surprise: np.ndarray, gamma: float) -> np.ndarray:
    """Focal loss (baitan2025 §4.6) of each pixel, (1 − p)^γ · s with p = e^(−s), from its surprise s; γ = 0 is s."""
    surprise = np.asarray(surprise, dtype=np.float64)
    return (-np.expm1(-surprise)) ** gamma * surprise


def focal_slope(p: np.ndarray, gamma: float) -> np.ndarray:
    """How strongly a pixel's focal loss pulls at the logit z of its true class, by the probability p of that class.

    .. math:: \\left| \\frac{\\partial L}{\\partial z} \\right| = (1 - p)^\\gamma (1 - p - \\gamma\\, p \\log p)

    for any number of classes, since ∂p/∂z = p (1 − p); 0 at p = 1.
    """
    p = np.asarray(p, dtype=np.float64)
    return (1 - p) ** gamma * (1 - p - gamma * p * np.log(np.maximum(p, 1e-300)))

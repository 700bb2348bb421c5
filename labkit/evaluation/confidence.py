"""How sure a network is, class by class, which pixels pass thresholds, and how many of those are wrong (yan2022)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from labkit.data.dataset import SegmentationDataset
from labkit.data.selection import evenly
from labkit.data.transforms import to_batch
from labkit.evaluation.predict import predict_logits
from labkit.evaluation.uncertainty import entropy_and_confidence
from labkit.labels import EVALUATIONS, IGNORE
from labkit.losses.thresholds import confident, update_thresholds


class Confidence(NamedTuple):
    """Sums over pixels by the class that they are predicted as; float64 ``(C,)`` each.

    Attributes:
        pixels: how many.
        confidence: their largest probabilities.
        entropy: their entropies, in nats.
        passing: how many have a confidence above the threshold of their class.
        labelled: how many have a label.
        wrong: of those, how many have another one.
        passing_labelled, passing_wrong: the same among the passing ones.
    """

    pixels: np.ndarray
    confidence: np.ndarray
    entropy: np.ndarray
    passing: np.ndarray
    labelled: np.ndarray
    wrong: np.ndarray
    passing_labelled: np.ndarray
    passing_wrong: np.ndarray

    @property
    def mean_confidence(self) -> np.ndarray:
        """Of each class's pixels, ``(C,)``; NaN for a class that is not predicted."""
        return _shares(self.confidence, self.pixels)

    @property
    def passing_share(self) -> np.ndarray:
        """Of each class's pixels, ``(C,)``; NaN for a class that is not predicted."""
        return _shares(self.passing, self.pixels)


def _shares(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


@torch.inference_mode()
def class_confidence(
    model: nn.Module, dataset: SegmentationDataset, thresholds: Tensor | float, *, limit: int = 50
) -> Confidence:
    """Look at predictions for at most ``limit`` pictures, spread evenly; ``model`` ends in evaluation mode.

    Args:
        model: a segmenter.
        dataset: with labels, or without any (all 255): then nothing is wrong.
        thresholds: float ``(C,)``, or one for all classes.
        limit: pictures.
    """
    device = next(model.parameters()).device
    merge = torch.tensor(EVALUATIONS[dataset.evaluation].merge, device=device)
    if isinstance(thresholds, Tensor):
        thresholds = thresholds.to(device)
    sums = 0
    for index in evenly(len(dataset), limit):
        images, labels, _ = to_batch([dataset[index]])
        logits, truth = predict_logits(model, images.to(device)), labels.to(device)
        said = logits.argmax(dim=1)
        entropy, confidence = entropy_and_confidence(logits)
        passing, labelled = confident(logits.float().softmax(dim=1), thresholds), truth != IGNORE
        wrong = labelled & (merge[said] != truth)
        columns = (
            torch.ones_like(labelled),
            confidence,
            entropy,
            passing,
            labelled,
            wrong,
            passing & labelled,
            passing & wrong,
        )
        predicted = said.flatten().cpu()  # Apple's GPUs have no float64
        by_class = [torch.bincount(predicted, one.cpu().double().flatten(), logits.shape[1]) for one in columns]
        sums = sums + torch.stack(by_class)
    return Confidence(*sums.numpy())


@torch.inference_mode()
def thresholds_over(
    model: nn.Module,
    dataset: SegmentationDataset,
    *,
    start: float = 0.8,
    a: float = 0.9,
    b: float = 0.8,
    d: float = 8.0,
    limit: int = 100,
) -> Tensor:
    """Where the dynamic thresholds of yan2022 (eqs. 8, 9) come to if this network stands still.

    Args:
        model: a segmenter; it ends in evaluation mode, where in training each batch is normalised by itself.
        dataset: at most ``limit`` pictures of it, spread evenly, one after the other.
        start, a, b, d: as for :func:`labkit.losses.thresholds.update_thresholds`.
        limit: pictures.

    Returns:
        float32 ``(C,)`` on the CPU.
    """
    device, thresholds = next(model.parameters()).device, None
    for index in evenly(len(dataset), limit):
        logits = predict_logits(model, to_batch([dataset[index]]).images.to(device))
        if thresholds is None:
            thresholds = torch.full((logits.shape[1],), start, device=device)
        confidence, prediction = logits.float().softmax(dim=1).max(dim=1)
        thresholds = update_thresholds(thresholds, confidence, prediction, a, b, d)
    return thresholds.cpu()

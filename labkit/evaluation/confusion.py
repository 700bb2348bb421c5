"""Confusion counts: which class was said where which was true."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from labkit.labels import NUM_CLASSES

VOID = NUM_CLASSES
"""The last column of the counts: predictions that name none of the classes (ids without a trainId)."""


def confusion_counts(predictions: Tensor, labels: Tensor) -> Tensor:
    """Count pixels by truth and prediction, on the device of the arguments.

    Args:
        predictions: integer tensor of trainIds; anything outside 0–18 counts as void.
        labels: integer tensor of the same shape; pixels outside 0–18 are ignored.

    Returns:
        int64 ``(19, 20)``: rows are the truth, columns the prediction, column 19 is void. A void prediction on a valid
        pixel is a miss of the true class and a false alarm of none, as in ``cityscapesscripts``.
    """
    # The table has a row and a column for everything else; dropping the row needs no masking of pixels.
    side = NUM_CLASSES + 1
    pairs = _or_void(labels).to(torch.int16) * side + _or_void(predictions)  # narrow integers: memory is what it costs
    return torch.bincount(pairs.flatten(), minlength=side * side).reshape(side, side)[:NUM_CLASSES]


def _or_void(ids: Tensor) -> Tensor:
    if ids.dtype == torch.uint8:
        return ids.clamp(max=VOID)
    return torch.where((ids >= 0) & (ids < NUM_CLASSES), ids, VOID).to(torch.uint8)


def merge_counts(counts: np.ndarray, merge: tuple[int, ...]) -> np.ndarray:
    """Counts ``(19, 20)`` after classes were merged: ``merge[c]`` is the trainId that class c counts as, in both axes.

    Merging counts equals counting merged maps, because a merge is a function of a pixel's class alone.
    """
    merged = np.zeros_like(counts)
    target = np.array([*merge, VOID])
    rows = np.zeros_like(counts)
    np.add.at(rows, np.array(merge), counts)
    np.add.at(merged.T, target, rows.T)
    return merged


def iou(counts: np.ndarray) -> np.ndarray:
    """IoU of each class from counts ``(19, 20)``: float64 ``(19,)`` in 0–1.

    .. math:: IoU_c = TP_c / (TP_c + FP_c + FN_c)

    (baitan2025 §4.1). A class that occurs in neither truth nor prediction is NaN.
    """
    square = counts[:, :NUM_CLASSES]
    hits = np.diag(square).astype(np.float64)
    union = counts.sum(axis=1) + square.sum(axis=0) - hits
    return np.divide(hits, union, out=np.full(NUM_CLASSES, np.nan), where=union > 0)

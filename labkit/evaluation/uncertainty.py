"""How uncertain a network is, pixel by pixel, and whether that tells void from the classes (loda2025 §4.1)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from labkit.data.dataset import SegmentationDataset
from labkit.data.selection import evenly
from labkit.data.transforms import to_batch
from labkit.evaluation.predict import predict_logits
from labkit.labels import EVALUATIONS, IGNORE
from labkit.losses.entropy import self_information

XI_ENTROPY, XI_CONFIDENCE = 1.0, 0.5
"""loda2025, §4.1: pixels of a higher entropy (in nats) or of a lower confidence are blacked out."""


class Uncertainty(NamedTuple):
    """Predictions for several pictures of one size, pixel by pixel; all ``(N, H, W)``.

    Attributes:
        entropy: float32, in nats: 0 to log C.
        confidence: float32: the largest probability, 1/C to 1.
        predicted: uint8 trainIds, merged as the data set merges its classes.
        truth: uint8 trainIds, 255 = void.
    """

    entropy: np.ndarray
    confidence: np.ndarray
    predicted: np.ndarray
    truth: np.ndarray


def entropy_and_confidence(logits: Tensor) -> tuple[Tensor, Tensor]:
    r"""Entropy in nats and largest probability of each pixel, both ``(N, H, W)``, from logits ``(N, C, H, W)``.

    .. math:: H(p) = -\sum_c p_c \log p_c

    loda2025, §4.1, prints it without the minus sign. It is 0 for a spike and log C for the uniform distribution.
    """
    entropy = self_information(logits).sum(dim=1) * math.log(logits.shape[1])
    return entropy, logits.to(entropy.dtype).softmax(dim=1).amax(dim=1)


@torch.inference_mode()
def uncertainty(model: nn.Module, dataset: SegmentationDataset, *, limit: int = 50) -> Uncertainty:
    """Predictions for at most ``limit`` pictures, spread evenly; ``model`` ends in evaluation mode."""
    device = next(model.parameters()).device
    merge = torch.tensor(EVALUATIONS[dataset.evaluation].merge, dtype=torch.uint8, device=device)
    found = []
    for index in evenly(len(dataset), limit):
        images, labels, _ = to_batch([dataset[index]])
        logits = predict_logits(model, images.to(device))
        maps = (*entropy_and_confidence(logits), merge[logits.argmax(dim=1)], labels.to(torch.uint8))
        found.append([one[0].cpu().numpy() for one in maps])
    return Uncertainty(*(np.stack(maps) for maps in zip(*found, strict=True)))


def blacked_out(
    entropy: np.ndarray,
    confidence: np.ndarray,
    xi_entropy: float = XI_ENTROPY,
    xi_confidence: float = XI_CONFIDENCE,
) -> np.ndarray:
    """Pixels that are too uncertain to be shown, bool: entropy above one threshold or confidence below the other."""
    return (entropy > xi_entropy) | (confidence < xi_confidence)


def auroc(positives: np.ndarray, negatives: np.ndarray) -> float:
    """Area under the ROC curve: the probability that a positive scores higher than a negative, ties counting half.

    By ranks, as in the test of Mann and Whitney: no threshold is chosen.

    Args:
        positives, negatives: scores, of any shape.

    Returns:
        0 to 1, 0.5 for scores that tell nothing; NaN where either is empty.
    """
    from scipy.stats import rankdata

    n, m = np.size(positives), np.size(negatives)
    if not n or not m:
        return math.nan
    ranks = rankdata(np.concatenate([np.ravel(positives), np.ravel(negatives)]))
    return float((ranks[:n].sum() - n * (n + 1) / 2) / n / m)


class BackgroundScores(NamedTuple):
    """What thresholds on uncertainty do, as fractions; NaN where there are no such pixels.

    Attributes:
        auroc_entropy, auroc_confidence: how well entropy, and low confidence, rank void pixels above valid ones.
        auroc_errors: how well entropy ranks wrong pixels above right ones, among the valid.
        void_black, valid_black: shares of void and of valid pixels that are blacked out.
        accuracy, accuracy_shown: shares of right pixels among all valid ones, and among those still shown.
    """

    auroc_entropy: float
    auroc_confidence: float
    auroc_errors: float
    void_black: float
    valid_black: float
    accuracy: float
    accuracy_shown: float


def background_scores(
    found: Uncertainty, xi_entropy: float = XI_ENTROPY, xi_confidence: float = XI_CONFIDENCE
) -> BackgroundScores:
    """Score the two thresholds of loda2025 §4.1, and, without any threshold, the orders that they cut."""
    void = found.truth == IGNORE
    black = blacked_out(found.entropy, found.confidence, xi_entropy, xi_confidence)
    right = found.predicted == found.truth
    return BackgroundScores(
        auroc_entropy=auroc(found.entropy[void], found.entropy[~void]),
        auroc_confidence=auroc(-found.confidence[void], -found.confidence[~void]),
        auroc_errors=auroc(found.entropy[~void & ~right], found.entropy[right]),
        void_black=_share(black[void]),
        valid_black=_share(black[~void]),
        accuracy=_share(right[~void]),
        accuracy_shown=_share(right[~void & ~black]),
    )


def _share(chosen: np.ndarray) -> float:
    return float(chosen.mean()) if chosen.size else math.nan

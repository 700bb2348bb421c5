"""Class-level dynamic thresholds: which target pixels are sure enough to learn from (yan2022, §III-B)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from labkit.errors import LabError


@torch.no_grad()
def sample_thresholds(confidence: Tensor, prediction: Tensor, previous: Tensor, b: float, d: float) -> Tensor:
    r"""Each class's threshold by one picture, eq. (9) of yan2022, §III-B.

    .. math:: \alpha'_c = \mathrm{descend}(p_m^c)\left[\lfloor b \, (e^{\alpha_c - 1})^d \, |p_m^c| \rfloor\right]

    p_m^c are the confidences of the pixels that are predicted as c. The paper leaves open how the index is counted and
    rounded; ours counts from 1, rounds down, in float64, and is 1 at least. The lower α, the smaller the share of the
    class that its threshold lets through: at α = 0.8, b = 0.8 and d = 8 it is 16 %.

    It is the very item that sorting would find, without sorting: on the CPU one radix pass groups the pixels by class,
    and a partition of each group selects. Elsewhere two sorts for all classes do it, and the device is waited for.

    Args:
        confidence: float ``(H, W)``, the largest probability of each pixel.
        prediction: int64 ``(H, W)``, its class, 0 … C−1.
        previous: float32 ``(C,)``, α before this picture, on the same device.
        b: the share of pixels that is let through at α = 1, 0 … 1.
        d: how much smaller the share of a class with a low α is, from 0.

    Returns:
        float32 ``(C,)``; a class that is not predicted keeps its previous threshold.

    Raises:
        LabError: b or d outside their range, or a prediction that is no class.
    """
    if not (0 <= b <= 1 and d >= 0):
        raise LabError(f"dynamic thresholds need b from 0 to 1 and d from 0, not b = {b} and d = {d}")
    values, classes = confidence.flatten().float(), prediction.flatten()
    counts = torch.bincount(classes, minlength=len(previous)).cpu()
    if len(counts) > len(previous):
        raise LabError(f"a prediction is {len(counts) - 1}, but there are thresholds for {len(previous)} classes")
    share = b * (previous.cpu().double() - 1).exp() ** d
    ranks = (share * counts).floor().long().clamp(min=1).minimum(counts)
    # Of the confidences in ascending order, class after class, the item that stands at each class's rank from its top.
    positions = counts.cumsum(0) - ranks
    select = _by_partition if values.device.type == "cpu" else _by_sorting
    present = (counts > 0).to(previous.device)
    return torch.where(present, select(values, classes, counts, positions), previous.float())


def _by_partition(values: Tensor, classes: Tensor, counts: Tensor, positions: Tensor) -> Tensor:
    keys = classes.numpy().astype(np.min_scalar_type(len(counts) - 1))  # of 8 or 16 bits NumPy sorts by radix
    grouped = values.numpy()[keys.argsort(kind="stable")]
    items, start = torch.zeros(len(counts)), 0
    for c, (count, position) in enumerate(zip(counts.tolist(), positions.tolist(), strict=True)):
        if count:
            group = grouped[start : start + count]
            group.partition(position - start)
            items[c] = float(group[position - start])
        start += count
    return items


def _by_sorting(values: Tensor, classes: Tensor, counts: Tensor, positions: Tensor) -> Tensor:
    order = values.argsort()
    order = order[classes[order].argsort(stable=True)]
    return values[order[positions.clamp(max=len(values) - 1).to(values.device)]]  # an absent class's may be the end


@torch.no_grad()
def update_thresholds(previous: Tensor, confidence: Tensor, prediction: Tensor, a: float, b: float, d: float) -> Tensor:
    r"""The thresholds after a batch, eq. (8) of yan2022, §III-B, picture after picture, in order.

    .. math:: \alpha_k = a \, \alpha_{k-1} + (1 - a) \, \alpha'_k

    with :func:`sample_thresholds` for α'. A class that no picture of the batch shows keeps its threshold to the bit,
    and with a = 1 all do.

    Args:
        previous: float32 ``(C,)``, α before this batch; the paper starts from 0.8.
        confidence: float ``(N, H, W)``, the largest probability of each pixel.
        prediction: int64 ``(N, H, W)``, its class, 0 … C−1.
        a: the share of the old threshold, 0 … 1.
        b: as in :func:`sample_thresholds`.
        d: as in :func:`sample_thresholds`.

    Returns:
        float32 ``(C,)``; ``previous`` itself stays as it is.

    Raises:
        LabError: a, b or d outside their range, or a prediction that is no class.
    """
    if not 0 <= a <= 1:
        raise LabError(f"dynamic thresholds need a from 0 to 1, not {a}")
    thresholds = previous.float()
    for sure, said in zip(confidence, prediction, strict=True):
        thresholds = thresholds.lerp(sample_thresholds(sure, said, thresholds, b, d), 1 - a)
    return thresholds


@torch.no_grad()
def confident(probabilities: Tensor, thresholds: Tensor | float) -> Tensor:
    """The mask I_t of yan2022, §III-A and B: pixels whose confidence exceeds the threshold of their class.

    Strictly: at a threshold of 1, no pixel counts.

    Args:
        probabilities: ``(N, C, H, W)``, any float type.
        thresholds: float ``(C,)`` on the same device, or one for all classes.

    Returns:
        bool ``(N, H, W)``.
    """
    confidence, prediction = probabilities.max(dim=1)
    if not isinstance(thresholds, Tensor):
        return confidence > thresholds
    return confidence > thresholds[prediction]

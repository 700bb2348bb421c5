"""Which classes a loss listens to: how its gradient is divided among the pixels of each class."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]
"""From logits ``(N, C, H, W)`` and labels int64 ``(N, H, W)`` to a scalar."""


def pixel_gradients(loss: Loss, logits: Tensor, labels: Tensor) -> Tensor:
    """How hard a loss pulls at each pixel: Σ_c ``|∂L/∂z_c|``, float ``(N, H, W)``; 0 on ignored pixels."""
    free = logits.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(free, labels), free)
    return gradient.abs().sum(dim=1)


def gradient_shares(loss: Loss, logits: Tensor, labels: Tensor) -> np.ndarray:
    """The share of the gradient that falls on the pixels of each true class: float64 ``(C,)``, adding up to 1.

    All zero where there is no gradient at all.
    """
    pull = pixel_gradients(loss, logits, labels).double()
    shares = torch.stack([pull[labels == train_id].sum() for train_id in range(logits.shape[1])]).cpu().numpy()
    return shares / max(shares.sum(), np.finfo(np.float64).tiny)


def road_and_poles(share: float, seen: float = 0.3, *, pixels: int = 10_000) -> tuple[Tensor, Tensor]:
    """A picture of two classes, road (0) and pole (1), and a prediction of it that misses the poles.

    Args:
        share: of the pixels that are pole, 0 to 1.
        seen: the probability that is given to pole on a pole's pixels. On the road, 0.9 is given to road.
        pixels: in the picture.

    Returns:
        Logits, float64 ``(1, 2, 1, pixels)``, and labels, int64 ``(1, 1, pixels)``.
    """
    labels = (torch.arange(pixels) < round(share * pixels)).long()
    pole = torch.where(labels == 1, seen, 0.1).double()
    return torch.stack([1 - pole, pole]).log()[None, :, None], labels[None, None]


class RareClassPull(NamedTuple):
    """How hard a loss pulls at the poles of :func:`road_and_poles`.

    Attributes:
        by_share: the share of the whole gradient that falls on them, for each share of pixels.
        by_probability: the pull at one of their pixels, over its maximum, for each probability that it is given.
    """

    by_share: np.ndarray
    by_probability: np.ndarray


def rare_class_pull(loss: Loss, shares: np.ndarray, probabilities: np.ndarray) -> RareClassPull:
    """Measure a loss on the example, for several shares of pixels, and for several probabilities at a share of 1 %."""
    by_share = [gradient_shares(loss, *road_and_poles(share))[1] for share in shares]
    pulls = [float(pixel_gradients(loss, *road_and_poles(0.01, seen))[0, 0, 0]) for seen in probabilities]
    return RareClassPull(np.array(by_share), np.array(pulls) / max(pulls))

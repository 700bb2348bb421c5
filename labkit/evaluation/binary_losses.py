"""Unsupervised losses of one pixel with two classes, by formula and as the library computes them (yan2022, Fig. 1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Line(NamedTuple):
    """A loss by the probability p of the first class; float64 ``(N,)`` each.

    Attributes:
        loss: L(p).
        slope: dL/dp. The slope by the first class's logit is p (1 − p) times that.
    """

    loss: np.ndarray
    slope: np.ndarray


def shannon_line(p: np.ndarray) -> Line:
    """Shannon's entropy (yan2022, eq. 2) for p in (0, 1)."""
    p = np.asarray(p, dtype=np.float64)
    return Line(-p * np.log(p) - (1 - p) * np.log1p(-p), np.log1p(-p) - np.log(p))


def squares_line(p: np.ndarray) -> Line:
    """Maximum squares, averaged over both classes and halved, as :mod:`labkit.losses.unsupervised` has it."""
    p = np.asarray(p, dtype=np.float64)
    return Line(-(p**2 + (1 - p) ** 2) / 4, (1 - 2 * p) / 2)


def focal_line(p: np.ndarray, soft: float, gamma: float) -> Line:
    """Unsupervised focal loss (yan2022, eqs. 3–5), p as both views' probability, p̂ of eq. (4) held still.

    Args:
        p: in (0, 1).
        soft: p̂ in (0, 1).
        gamma: γ ≥ 0; with 0 it is neutral cross-entropy.
    """
    p = np.asarray(p, dtype=np.float64)
    entropy, loss, slope = shannon_line(p), 0.0, 0.0
    for weight, q, sign in ((soft, p, 1), (1 - soft, 1 - p, -1)):
        loss = loss + weight * (np.log(weight) - (1 - q) ** gamma * np.log(q))
        slope = slope + sign * weight * (gamma * (1 - q) ** (gamma - 1) * np.log(q) - (1 - q) ** gamma / q)
    return Line(entropy.loss + loss, entropy.slope + slope)


def least_at(soft: float, gamma: float) -> float:
    """The p at which :func:`focal_line` is least, to four digits; of two equal ones the smaller."""
    p = np.linspace(0, 1, 100_001)[1:-1]
    return float(p[focal_line(p, soft, gamma).loss.argmin()])


def measured(loss: Callable[[Tensor], Tensor], p: np.ndarray) -> Line:
    """What a loss of the library says of single pixels, with autograd's slope by p.

    Args:
        loss: of logits ``(1, 2, 1, 1)``, a scalar.
        p: in (0, 1).
    """
    losses, slopes = [], []
    for value in np.asarray(p, dtype=np.float64).tolist():
        leaf = torch.tensor(value, dtype=torch.float64, requires_grad=True)
        one = loss(pixel(leaf))
        (slope,) = torch.autograd.grad(one, leaf)
        losses.append(one.item())
        slopes.append(slope.item())
    return Line(np.array(losses), np.array(slopes))


def pixel(p: Tensor | float) -> Tensor:
    """Logits ``(1, 2, 1, 1)`` of a pixel with the probabilities p and 1 − p, float64; differentiable."""
    p = torch.as_tensor(p, dtype=torch.float64)
    return torch.stack([p.log(), torch.log1p(-p)]).view(1, 2, 1, 1)

"""Maximum mean discrepancy: how far two sets of features are apart, seen through a kernel (loda2025, §2.3.2)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from labkit.errors import LabError, UnknownNameError

Kernel = Callable[[Tensor, float], Tensor]
"""From the squared distances within and between both sets, one square matrix, and σ to kernel values."""


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """‖x_i − y_j‖² of float ``(n, d)`` and ``(m, d)`` as ``(n, m)``, of at least float32.

    By differences, not by ‖x‖² + ‖y‖² − 2x·y, which loses small distances between long vectors.
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    return (x.to(wide)[:, None] - y.to(wide)[None]).pow(2).sum(dim=-1)


def printed_kernel(distances: Tensor, sigma: float = 1.0) -> Tensor:
    r"""The "RBF" as loda2025 prints it, without exp: :math:`-\|x - y\|^2 / 2\sigma^2`.

    It is conditionally positive definite, so MMD² is still a squared distance: that of the two means, over σ².
    """
    return -distances / (2 * sigma**2)


def rbf_kernel(distances: Tensor, sigma: float = 1.0) -> Tensor:
    r"""The Gaussian kernel :math:`\exp(-\|x - y\|^2 / 2\sigma^2)`."""
    return torch.exp(printed_kernel(distances, sigma))


def median_kernel(distances: Tensor, sigma: float = 1.0) -> Tensor:
    """A Gaussian whose bandwidth squared is half the median squared distance of different points, times σ².

    No gradient passes through the median.

    ``distances`` is the whole square matrix of both sets together. Where more than half of the points coincide the
    smallest positive distance takes the median's place; where all do, every value is 1.
    """
    n = len(distances)
    different = distances.detach()[~torch.eye(n, dtype=torch.bool, device=distances.device)]
    positive = torch.where(different > 0, different, torch.inf)
    scale = torch.maximum(different.median(), positive.min()) if n > 1 else distances.new_ones(())
    return torch.exp(-distances / (sigma**2 * torch.where(scale.isfinite(), scale, 1.0)))


KERNELS: dict[str, Kernel] = {"printed": printed_kernel, "rbf": rbf_kernel, "median": median_kernel}
"""The kernels by name."""


def mmd(x: Tensor, y: Tensor, kernel: str = "median", sigma: float = 1.0, *, unbiased: bool = False) -> Tensor:
    r"""Squared maximum mean discrepancy of two sets of vectors.

    .. math:: \widehat{\mathrm{MMD}}^2 = \frac{1}{n^2} \sum_{i,j} k(x_i, x_j)
              - \frac{2}{nm} \sum_{i,j} k(x_i, y_j) + \frac{1}{m^2} \sum_{i,j} k(y_i, y_j)

    loda2025, §2.3.2, prints 1/n² before the first sum alone; it belongs to all three. That is the biased estimate,
    never negative. The unbiased one leaves out i = j in the first and the last sum; it may be negative, and is 0 on
    average where both sets come from one distribution.

    Args:
        x: float ``(n, d)``.
        y: float ``(m, d)``.
        kernel: ``"printed"``, ``"rbf"`` or ``"median"``.
        sigma: σ of the kernel.
        unbiased: which estimate.

    Returns:
        A scalar of at least float32.

    Raises:
        UnknownNameError: no such kernel.
        LabError: an empty set, other than two dimensions, different lengths d, or, unbiased, fewer than two vectors.
    """
    if kernel not in KERNELS:
        raise UnknownNameError("kernel", kernel, KERNELS)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise LabError(f"mmd compares sets of vectors of one length, (n, d) and (m, d), not {x.shape} and {y.shape}")
    n, m = len(x), len(y)
    if min(n, m) < 1 + unbiased:
        raise LabError(f"mmd of {n} and {m} vectors: the {'un' * unbiased}biased estimate needs {1 + unbiased} of each")
    both = torch.cat([x, y])
    values = KERNELS[kernel](squared_distances(both, both), sigma)
    within_x, within_y, between = values[:n, :n], values[n:, n:], values[:n, n:]
    return _mean(within_x, unbiased) + _mean(within_y, unbiased) - 2 * between.mean()


def _mean(values: Tensor, unbiased: bool) -> Tensor:
    if not unbiased:
        return values.mean()
    n = len(values)
    return (values.sum() - values.diagonal().sum()) / (n * (n - 1))

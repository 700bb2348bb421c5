"""What a kernel makes of two sets of features, and how far an estimate of MMD² is from the truth."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from labkit.data.dataset import SegmentationDataset
from labkit.data.selection import evenly
from labkit.data.transforms import to_batch
from labkit.errors import UnknownNameError
from labkit.evaluation.predict import normalized
from labkit.losses.mmd import KERNELS, mmd, squared_distances


@torch.inference_mode()
def feature_maps(model: nn.Module, dataset: SegmentationDataset, feature: str, *, limit: int = 8) -> np.ndarray:
    """The feature map called ``feature`` of at most ``limit`` pictures, spread evenly: float32 ``(N, K, h, w)``.

    The model is left in evaluation mode. For pooled ones of many pictures see
    :func:`labkit.evaluation.features.pooled_features`.

    Raises:
        UnknownNameError: the network has no such feature; the message lists those it has.
    """
    model.eval()
    device = next(model.parameters()).device
    samples = [dataset[index] for index in evenly(len(dataset), limit)]
    features = model(normalized(to_batch(samples).images.to(device))).features
    if feature not in features:
        raise UnknownNameError("feature", feature, features)
    return features[feature].float().cpu().numpy()


class KernelReading(NamedTuple):
    """Two sets of vectors as a kernel sees them.

    Attributes:
        matrix: kernel values of both sets together, ``(n + m, n + m)``, the first set first.
        biased, unbiased: both estimates of MMD²; the second NaN for a set of one vector.
        gradient: Euclidean norm of the gradient of the biased estimate with respect to all vectors.
    """

    matrix: np.ndarray
    biased: float
    unbiased: float
    gradient: float


def read_kernel(x: np.ndarray, y: np.ndarray, kernel: str, sigma: float = 1.0) -> KernelReading:
    """Kernel matrix, MMD² and gradient for vectors ``(n, d)`` and ``(m, d)``, computed in float64.

    Raises:
        UnknownNameError: no such kernel.
        LabError: shapes that :func:`labkit.losses.mmd.mmd` refuses.
    """
    first, second = (torch.as_tensor(np.asarray(one, dtype=np.float64)).requires_grad_() for one in (x, y))
    biased = mmd(first, second, kernel, sigma)
    gradients = torch.autograd.grad(biased, (first, second))
    with torch.no_grad():
        both = torch.cat([first, second])
        matrix = KERNELS[kernel](squared_distances(both, both), sigma).numpy()
        enough = min(len(first), len(second)) > 1
        unbiased = float(mmd(first, second, kernel, sigma, unbiased=True)) if enough else math.nan
    return KernelReading(matrix, float(biased.detach()), unbiased, float(torch.cat(gradients).norm()))


class Estimates(NamedTuple):
    """Estimates of MMD² between Gaussian sets of n vectors each, over many draws.

    Attributes:
        sizes: n, ``(S,)``.
        biased, unbiased: ``(S, draws)``.
        truth: MMD² of the two distributions themselves.
        bias: by which the biased estimate lies above it on average, ``(S,)``, by formula.
    """

    sizes: np.ndarray
    biased: np.ndarray
    unbiased: np.ndarray
    truth: float
    bias: np.ndarray


def estimates_over_draws(
    sizes: Iterable[int],
    *,
    shift: float = 0.0,
    dimension: int = 16,
    draws: int = 300,
    sigma: float = 4.0,
    seed: int = 0,
) -> Estimates:
    r"""Draw two Gaussian sets again and again, and estimate MMD² with the RBF kernel from each pair.

    The first set comes from the normal distribution N(0, 1) in every coordinate; the second is moved by ``shift`` in
    all. For independent x, x' from the first, :math:`E\,k(x, x') = (\sigma^2 / (\sigma^2 + 2))^{d/2} =: A`, across
    the sets it is A times :math:`\exp(-d\,s^2 / 2(\sigma^2 + 2))`. The biased estimate counts each vector's k = 1 with
    itself, so it lies 2 (1 − A) / n too high.

    Args:
        sizes: n, each at least 2.
        shift: s; 0 for one distribution.
        dimension: d.
        draws: pairs of sets for each n.
        sigma: of the kernel.
        seed: of the draws.
    """
    sizes = np.asarray(list(sizes))
    generator = torch.Generator().manual_seed(seed)
    found = np.zeros((2, len(sizes), draws))
    for place, n in enumerate(sizes.tolist()):
        for draw in range(draws):
            x, y = torch.randn(2, n, dimension, dtype=torch.float64, generator=generator)
            for row, unbiased in enumerate((False, True)):
                found[row, place, draw] = mmd(x, y + shift, "rbf", sigma, unbiased=unbiased)
    within = (sigma**2 / (sigma**2 + 2)) ** (dimension / 2)
    truth = 2 * within * -math.expm1(-dimension * shift**2 / (2 * (sigma**2 + 2)))
    return Estimates(sizes, *found, truth, 2 * (1 - within) / sizes)


def spread_share(x: np.ndarray, y: np.ndarray, batch: int) -> float:
    r"""How much of the biased MMD² of two batches is no distance of the means, with the kernel as loda2025 prints it.

    That kernel's MMD² is the squared distance of the two batches' means. A mean over n vectors wanders, and on average

    .. math:: E\,\|\bar x - \bar y\|^2 = \|\mu_x - \mu_y\|^2 + (\mathrm{tr}\,\Sigma_x + \mathrm{tr}\,\Sigma_y) / n ,

    so part of the loss is each domain's own spread. The moments are estimated from ``x`` and ``y``.

    Args:
        x, y: vectors ``(n, d)`` and ``(m, d)``, at least two of each.
        batch: vectors of each domain in a batch.

    Returns:
        The share of the second summand, 0 to 1.
    """
    x, y = (np.asarray(one, dtype=np.float64) for one in (x, y))
    spread = (x.var(axis=0, ddof=1) / batch + y.var(axis=0, ddof=1) / batch).sum()
    own = (x.var(axis=0, ddof=1) / len(x) + y.var(axis=0, ddof=1) / len(y)).sum()
    means = max(np.square(x.mean(axis=0) - y.mean(axis=0)).sum() - own, 0.0)
    return float(spread / (means + spread))

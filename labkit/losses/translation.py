"""The losses of image translation: adversarial by least squares, cycle and semantic consistency (toldo2020 §3).

All are means over pictures, positions and channels, where the paper prints sums and norms: its weights λ are those of
CycleGAN's means, and a mean over a batch is the mean of its parts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from labkit.losses.cross_entropy import cross_entropy

ORIGINAL, TRANSLATED = 1.0, 0.0
"""The scores that a discriminator is trained to give; a generator is trained towards the first."""


def least_squares(scores: Tensor, wanted: float) -> Tensor:
    r"""Mean squared distance of a discriminator's scores from the one that is wanted.

    .. math:: L = \frac{1}{N} \sum_i (D_i - y)^2

    It replaces the logarithms of toldo2020's eqs. (1), (2), (6) and (7), as §3.3 says: log D becomes (D − 1)², and
    log(1 − D) becomes D² for the discriminator, who minimises both; the generator minimises (D − 1)² of its own
    pictures alone. No sigmoid comes before it.

    Args:
        scores: any shape, any float type; computed in float32 at least.
        wanted: y, :data:`ORIGINAL` or :data:`TRANSLATED`.

    Returns:
        A scalar of at least float32.
    """
    return (_wide(scores) - wanted).square().mean()


def cycle_consistency(reconstructed: Tensor, original: Tensor) -> Tensor:
    r"""Mean absolute difference between a picture and what came back from the other domain: half of eq. (3).

    .. math:: L = \frac{1}{N} \lVert G_{TS}(G_{ST}(x_S)) - x_S \rVert_1

    Args:
        reconstructed, original: pictures of one shape, float in [−1, 1] (a generator's range, which λ_cycle is for).

    Returns:
        A scalar of at least float32, from 0 to 2.
    """
    return (_wide(reconstructed) - _wide(original)).abs().mean()


def semantic_consistency(translated: Tensor, original: Tensor) -> Tensor:
    r"""Cross-entropy of a translated picture's logits against the arg-max ρ of the original's: half of eq. (4).

    .. math:: L = -\frac{1}{N} \sum_i \log \mathrm{softmax}(z'_i)_{\rho(z)_i}

    Every pixel counts, also where the truth is void: no truth is asked. The arg-max sends no gradient.

    Args:
        translated, original: logits ``(N, C, H, W)`` of one shape, any float type.

    Returns:
        A scalar of at least float32.
    """
    return cross_entropy(translated, original.detach().argmax(dim=1))


def _wide(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))

"""Losses without labels, on the target's predictions alone: entropy-based adaptation (yan2022, §III).

Every loss takes a boolean mask I_t ``(N, H, W)`` of the pixels that count, such as
:func:`labkit.losses.thresholds.confident` gives; ``None`` counts all. Where no pixel counts, the loss is 0 with zero
gradient. Means run over all pixels that count in the whole batch. Each loss has a size of its own: a λ that was
found for one does not suit another, nor the same loss divided by something else.
"""

from __future__ import annotations

import torch
from torch import Tensor

from labkit.errors import LabError

IMAGE_WISE_EXPONENT = 0.2
"""α of the image-wise class weights of maximum squares (Chen et al., ICCV 2019)."""

_SMALLEST_DOUBT = 1e-7  # of 1 − p: below 1 the power γ has an infinite slope at p = 1


def shannon_entropy(logits: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Shannon's entropy, eq. (2) of yan2022.

    .. math:: L = -\frac{1}{|I_t|} \sum_{n \in I_t} \sum_{c=1}^{C} p_{n,c} \log p_{n,c}

    Natural logarithm, summed over classes, averaged over the pixels: from 0 to log C. ADVENT divides by log C as well.

    Args:
        logits: ``(N, C, H, W)``, any float type; computed in float32 at least, under autocast too.
        mask: I_t, bool ``(N, H, W)``.

    Returns:
        A scalar of at least float32.

    Raises:
        LabError: a mask of another shape.
    """
    return _mean(_entropy(_log_probabilities(logits)), mask)


def maximum_squares(logits: Tensor, mask: Tensor | None = None, image_wise: bool = False) -> Tensor:
    r"""Maximum squares (Chen et al., ICCV 2019): like entropy, but easy pixels do not dominate the gradient.

    .. math:: L = -\frac{1}{2 C |I_t|} \sum_{n \in I_t} \sum_{c=1}^{C} p_{n,c}^2

    Averaged over pixels *and* classes, and halved, as in its authors' code: from −1/2C to −1/2C², a C-th of what a sum
    over classes would be.

    Image-wise, every pixel is weighted by how rare its predicted class c* is among the n pixels that count in its
    picture, α = 0.2, and the pictures are averaged:

    .. math:: L = -\frac{1}{2 C N} \sum_{i=1}^{N} \sum_{n \in I_i} w_n \sum_{c=1}^{C} p_{n,c}^2, \quad
              w_n = \frac{1}{\max(n_{c^*}^\alpha \, n^{1 - \alpha}, 1)}

    No gradient passes through the weights. They sum to 1 in a picture of one class, and to more, at most C^α, in
    others. The authors' code leaves out the half here; ours keeps it, so that both agree where there is one class.

    Args:
        logits: ``(N, C, H, W)``, any float type; computed in float32 at least, under autocast too.
        mask: I_t, bool ``(N, H, W)``.
        image_wise: with the weights.

    Returns:
        A scalar of at least float32.

    Raises:
        LabError: a mask of another shape.
    """
    probabilities = _log_probabilities(logits).exp()
    squares = -probabilities.square().mean(dim=1) / 2
    if not image_wise:
        return _mean(squares, mask)
    inside = _inside(squares, mask)
    prediction = probabilities.detach().argmax(dim=1).flatten(1)
    counts = torch.zeros(logits.shape[:2], dtype=torch.int64, device=logits.device)
    counts = counts.scatter_add_(1, prediction, inside.flatten(1).long()).to(squares.dtype)
    total = counts.sum(dim=1, keepdim=True)
    weights = 1 / (counts**IMAGE_WISE_EXPONENT * total ** (1 - IMAGE_WISE_EXPONENT)).clamp(min=1)
    weighted = squares * weights.gather(1, prediction).view_as(squares)
    return torch.where(inside, weighted, 0).sum() / len(logits)


def confidence_entropy(logits: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Shannon's entropy with each pixel weighted by its confidence: sure pixels count for more.

    .. math:: L = -\frac{1}{|I_t|} \sum_{n \in I_t} \left(\max_c p_{n,c}\right) \sum_{c=1}^{C} p_{n,c} \log p_{n,c}

    yan2022 compares with a confidence-aware entropy (Zhang et al., 2022) but does not define it. This form is ours: no
    gradient passes through the weight, and the weights are not normalised, so it is at most :func:`shannon_entropy`.

    Args:
        logits: ``(N, C, H, W)``, any float type; computed in float32 at least, under autocast too.
        mask: I_t, bool ``(N, H, W)``.

    Returns:
        A scalar of at least float32.

    Raises:
        LabError: a mask of another shape.
    """
    log_p = _log_probabilities(logits)
    return _mean(log_p.detach().amax(dim=1).exp() * _entropy(log_p), mask)


def neutral_cross_entropy(weak: Tensor, strong: Tensor, mask: Tensor | None = None) -> Tensor:
    """Neutral cross-entropy (Xu et al., TIP 2021): :func:`unsupervised_focal` with γ = 0.

    Entropy sharpens the weak view, and a plain Kullback-Leibler divergence draws the strong view to it. Summed over
    classes, averaged over the pixels.

    Args:
        weak: logits of the weak view, ``(N, C, H, W)``, any float type; computed in float32 at least.
        strong: logits of the strong view, the same pixels at the same places.
        mask: I_t, bool ``(N, H, W)``.

    Returns:
        A scalar of at least float32.

    Raises:
        LabError: views or a mask that differ in shape.
    """
    return unsupervised_focal(weak, strong, 0, mask)


def unsupervised_focal(weak: Tensor, strong: Tensor, gamma: float, mask: Tensor | None = None) -> Tensor:
    r"""Unsupervised focal loss, eq. (5) of yan2022, §III-B.

    .. math:: L = L_\mathrm{shan}(\hat p) + L_{\mathrm{KL}'}(\hat p, p^*)

    :func:`shannon_entropy` of the weak view p̂, with gradient, and :func:`adjusted_divergence` of the strong view p*
    from p̂, where p̂ is a fixed soft label; both summed over classes, averaged over the pixels. In *value* the entropy
    cancels, and :math:`-\sum \hat p \, (1 - p^*)^\gamma \log p^*` remains; in the gradients it does not.

    Args:
        weak: logits of the weak view, ``(N, C, H, W)``, any float type; computed in float32 at least.
        strong: logits of the strong view, the same pixels at the same places.
        gamma: γ ≥ 0.
        mask: I_t, bool ``(N, H, W)``.

    Returns:
        A scalar of at least float32.

    Raises:
        LabError: a negative γ, views or a mask that differ in shape.
    """
    return shannon_entropy(weak, mask) + adjusted_divergence(weak, strong, gamma, mask)


def adjusted_divergence(weak: Tensor, strong: Tensor, gamma: float, mask: Tensor | None = None) -> Tensor:
    r"""Kullback-Leibler divergence with the adjustment of the focal loss, eq. (4) of yan2022, §III-B.

    .. math:: L = \frac{1}{|I_t|} \sum_{n \in I_t} \sum_{c=1}^{C} \hat p_{n,c}
              \left(\log \hat p_{n,c} - (1 - p^*_{n,c})^\gamma \log p^*_{n,c}\right)

    No gradient reaches the weak view p̂. It passes through the factor (1 − p*)^γ as well as through log p*. For γ > 0
    this is no divergence: it may be negative, and is least at a p* flatter than p̂.

    Args:
        weak: logits of p̂, ``(N, C, H, W)``, any float type; computed in float32 at least.
        strong: logits of p*, of the same shape.
        gamma: γ ≥ 0.
        mask: I_t, bool ``(N, H, W)``.

    Returns:
        A scalar of at least float32.

    Raises:
        LabError: a negative γ, views or a mask that differ in shape.
    """
    if gamma < 0:
        raise LabError(f"gamma = {gamma}: the unsupervised focal loss is defined from 0, where it is neutral")
    if weak.shape != strong.shape:
        raise LabError(f"the two views differ in shape: {tuple(weak.shape)} and {tuple(strong.shape)}")
    log_soft, log_p = _log_probabilities(weak.detach()), _log_probabilities(strong)
    surprise = -log_p
    if gamma:
        surprise = (-torch.expm1(log_p)).clamp(min=_SMALLEST_DOUBT) ** gamma * surprise
    return _mean((log_soft.exp() * surprise).sum(dim=1) - _entropy(log_soft), mask)


def _log_probabilities(logits: Tensor) -> Tensor:
    """Of a logit −∞ the lowest finite number: exp(−∞) · −∞ would be NaN, where the limit of p log p is 0."""
    wide = torch.promote_types(logits.dtype, torch.float32)
    return logits.to(wide).log_softmax(dim=1).clamp(min=torch.finfo(wide).min)


def _entropy(log_p: Tensor) -> Tensor:
    return -(log_p.exp() * log_p).sum(dim=1)


def _inside(per_pixel: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return torch.ones_like(per_pixel, dtype=torch.bool)
    if mask.shape != per_pixel.shape:
        raise LabError(f"a mask of shape {tuple(mask.shape)} for pixels of shape {tuple(per_pixel.shape)}")
    return mask


def _mean(per_pixel: Tensor, mask: Tensor | None) -> Tensor:
    inside = _inside(per_pixel, mask)
    return torch.where(inside, per_pixel, 0).sum() / inside.sum().clamp(min=1)

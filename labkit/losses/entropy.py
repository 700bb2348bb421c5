"""How uncertain a prediction is, pixel by pixel."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def self_information(logits: Tensor) -> Tensor:
    r"""Each class's share of the entropy, :math:`-p_c \log p_c / \log C`.

    ADVENT's weighted self-information maps (Vu et al., CVPR 2019), here divided by log C: their sum over classes is the
    normalised entropy, between 0 and 1.

    Args:
        logits: ``(N, C, H, W)`` with C > 1, any float type; computed in float32 at least.

    Returns:
        ``(N, C, H, W)``, from 0 to 1 / (e · log C).
    """
    wide = torch.promote_types(logits.dtype, torch.float32)
    log_p = logits.to(wide).log_softmax(dim=1)
    # exp(−∞) · −∞ would be NaN; the limit of p log p is 0.
    return -(log_p.exp() * log_p.clamp(min=torch.finfo(wide).min)) / math.log(logits.shape[1])

"""Which parts of a network a loss reaches, and how strongly."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def gradient_norms(loss: Tensor, parts: Mapping[str, nn.Module]) -> dict[str, float | None]:
    """Euclidean norm of the gradient of ``loss`` with respect to all parameters of each part.

    Args:
        loss: a scalar; its graph, if it has one, is kept for further losses.
        parts: modules by name; None in the result for a part none of whose parameters the loss depends on, or that is
            frozen.
    """
    if not loss.requires_grad:  # a constant, such as the loss of auxiliary heads in a network without any
        return dict.fromkeys(parts)
    norms: dict[str, float | None] = {}
    for name, part in parts.items():
        learning = [parameter for parameter in part.parameters() if parameter.requires_grad]
        found = torch.autograd.grad(loss, learning, retain_graph=True, allow_unused=True) if learning else ()
        squares = [gradient.double().square().sum() for gradient in found if gradient is not None]
        norms[name] = float(torch.stack(squares).sum().sqrt()) if squares else None
    return norms

"""How far an optimiser moves: on a network tensor by tensor, and in a valley where one can look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn


class StepSizes(NamedTuple):
    """Root mean squares over the entries of each tensor: float64 ``(steps, tensors)``.

    ``gradient`` is what the loss gave, ``update`` by how much the tensor then changed.
    """

    gradient: np.ndarray
    update: np.ndarray


def step_sizes(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[nn.Module, tuple[Tensor, Tensor]], Tensor],
    batches: Iterable[tuple[Tensor, Tensor]],
) -> StepSizes:
    """Train on ``batches``, one step each, and measure every step of every tensor that has a gradient.

    Args:
        model: changed in place; set to training mode.
        optimizer: of the model's parameters.
        loss: a scalar from the model and a batch.
        batches: images and labels as ``loss`` takes them.
    """
    model.train()
    gradients, updates = [], []
    for batch in batches:
        optimizer.zero_grad(set_to_none=True)
        loss(model, batch).backward()
        tensors = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        before = [p.detach().clone() for p in tensors]
        optimizer.step()
        gradients.append([_rms(p.grad) for p in tensors])
        updates.append([_rms(p.detach() - old) for p, old in zip(tensors, before, strict=True)])
    return StepSizes(np.array(gradients), np.array(updates))


def _rms(values: Tensor) -> float:
    return float(values.double().square().mean().sqrt())


def descend(
    optimizer: Callable[[list[Tensor]], torch.optim.Optimizer],
    *,
    curvatures: Sequence[float] = (1.0, 0.05),
    start: Sequence[float] = (1.0, 4.0),
    noise: float = 0.02,
    steps: int = 150,
    seed: int = 0,
) -> np.ndarray:
    """The path of an optimiser down a valley, f(x) = ½ Σ k_i x_i², with gradients that are a little noisy.

    Args:
        optimizer: makes a torch optimiser from the list of parameters.
        curvatures: k, one for each direction.
        start: x at the beginning.
        noise: standard deviation of what is added to each component of the gradient.
        steps: number of steps.
        seed: of the noise, which is the same for every optimiser.

    Returns:
        float64 ``(steps + 1, len(start))``, the start first.
    """
    draws = torch.Generator().manual_seed(seed)
    x = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    k = torch.tensor(curvatures, dtype=torch.float64)
    chosen = optimizer([x])
    path = [x.detach().clone()]
    for _ in range(steps):
        x.grad = k * x.detach() + noise * torch.randn(len(k), generator=draws, dtype=torch.float64)
        chosen.step()
        path.append(x.detach().clone())
    return torch.stack(path).numpy()

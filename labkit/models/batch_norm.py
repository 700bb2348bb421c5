"""Which pictures move the running statistics of batch norm: adaptation's best-known trap, made explicit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def still_statistics(model: nn.Module) -> Iterator[None]:
    """Within, a batch norm in training mode normalises by its batch but leaves its running statistics as they are.

    A forward pass of target pictures in training mode otherwise moves them, and so changes the network even where the
    target's loss has weight 0: "λ = 0" is then not the source-only baseline.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def fix_statistics(model: nn.Module) -> None:
    """Let every batch norm normalise by its running statistics, and leave them as they are, until the next ``train()``.

    Scale and shift still learn. A batch of one picture has no statistics worth the name, and a 1×1 map of it none.
    """
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()

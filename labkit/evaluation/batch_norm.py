"""The same weights with the statistics of another domain: what batch norm alone changes."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from labkit.data.dataset import SegmentationDataset
from labkit.data.selection import evenly
from labkit.data.transforms import to_batch
from labkit.errors import LabError
from labkit.evaluation.predict import normalized


@torch.no_grad()
def with_statistics_of(
    model: nn.Module, dataset: SegmentationDataset, *, batch_size: int = 8, limit: int = 200
) -> nn.Module:
    """A copy of ``model`` whose running statistics are the mean of those of batches of ``dataset``.

    Adaptive batch norm (Li et al., 2016), after training: no weight changes, no label is read. As in training, each
    batch passes normalised by itself.

    Args:
        model: is left as it is.
        dataset: at most ``limit`` pictures of it are used, spread evenly, in whole batches.
        batch_size: pictures of a batch; smaller where the data set is.

    Raises:
        LabError: fewer than two pictures: a batch norm after a global average needs two values.
    """
    indices = list(evenly(len(dataset), limit))
    batch_size = min(batch_size, len(indices))
    if batch_size < 2:
        raise LabError(f"{dataset.name} has {len(indices)} picture; batch-norm statistics need at least two")
    model = copy.deepcopy(model).eval()
    for norm in _norms(model):
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
        norm.train()
    device = next(model.parameters()).device
    for start in range(0, len(indices) - batch_size + 1, batch_size):
        samples = [dataset[i] for i in indices[start : start + batch_size]]
        model(normalized(to_batch(samples).images.to(device)))
    return model.eval()


@torch.no_grad()
def with_mixed_statistics(first: nn.Module, second: nn.Module, share: float) -> nn.Module:
    """A copy of ``first`` whose running means and variances are (1 − share) of its own and ``share`` of ``second``'s.

    That is what running averages over batches of two domains amount to. Both networks have the same structure.
    """
    mixed = copy.deepcopy(first).eval()
    for own, other in zip(_norms(mixed), _norms(second), strict=True):
        own.running_mean.lerp_(other.running_mean, share)
        own.running_var.lerp_(other.running_var, share)
    return mixed


def _norms(model: nn.Module) -> list[_BatchNorm]:
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]

"""What a network makes of a domain: its features picture by picture, and what its batch norms are given."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from labkit.data.dataset import SegmentationDataset
from labkit.data.selection import evenly
from labkit.data.transforms import to_batch
from labkit.errors import UnknownNameError
from labkit.evaluation.predict import normalized


@torch.inference_mode()
def pooled_features(model: nn.Module, dataset: SegmentationDataset, feature: str, *, limit: int = 100) -> np.ndarray:
    """The feature map called ``feature``, averaged over positions, for at most ``limit`` pictures, spread evenly.

    Returns:
        float32 ``(N, K)``. The model is left in evaluation mode.

    Raises:
        UnknownNameError: the network has no such feature; the message lists those it has.
    """
    model.eval()
    device = next(model.parameters()).device
    pooled = []
    for index in evenly(len(dataset), limit):
        features = model(normalized(to_batch([dataset[index]]).images.to(device))).features
        if feature not in features:
            raise UnknownNameError("feature", feature, features)
        pooled.append(features[feature].float().mean(dim=(2, 3))[0])
    return torch.stack(pooled).cpu().numpy()


class ChannelMoments(NamedTuple):
    """Mean and standard deviation of each channel: float32 ``(K,)``."""

    mean: np.ndarray
    std: np.ndarray


@torch.inference_mode()
def batch_norm_moments(
    model: nn.Module, dataset: SegmentationDataset, *, layer: int = -1, limit: int = 100
) -> tuple[ChannelMoments, ChannelMoments]:
    """What a batch norm of the backbone has stored, and what it is given by ``dataset``.

    Args:
        model: has a ``backbone``; left in evaluation mode.
        dataset: at most ``limit`` pictures of it are used, spread evenly.
        layer: which of the backbone's batch norms, in the order of its modules; the last by default.

    Returns:
        The running statistics, by which the layer normalises; and the moments of its input over all positions of all
        pictures, by which it would have to normalise.
    """
    norm = [module for module in model.backbone.modules() if isinstance(module, nn.BatchNorm2d)][layer]
    sums = torch.zeros(3, norm.num_features, dtype=torch.float32)

    def count(_, inputs):
        values = inputs[0].float()
        number = torch.full((norm.num_features,), values[:, 0].numel())
        sums.add_(torch.stack([number, values.sum((0, 2, 3)).cpu(), values.square().sum((0, 2, 3)).cpu()]))

    device = next(model.parameters()).device
    model.eval()
    with norm.register_forward_pre_hook(count):
        for index in evenly(len(dataset), limit):
            model(normalized(to_batch([dataset[index]]).images.to(device)))
    mean = sums[1] / sums[0]
    std = (sums[2] / sums[0] - mean.square()).clamp(min=0).sqrt()
    stored = ChannelMoments(norm.running_mean.cpu().numpy(), norm.running_var.sqrt().cpu().numpy())
    return stored, ChannelMoments(mean.numpy(), std.numpy())

"""What a network makes of a domain: the mean activation of its feature channels, picture by picture."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from labkit.data.dataset import SegmentationDataset
from labkit.data.transforms import to_batch
from labkit.errors import UnknownNameError
from labkit.evaluation.predict import normalized


@torch.inference_mode()
def pooled_features(model: nn.Module, dataset: SegmentationDataset, feature: str, *, limit: int = 100) -> np.ndarray:
    """The feature map called ``feature``, averaged over positions, for the first ``limit`` pictures.

    Returns:
        float32 ``(N, K)``. The model is left in evaluation mode.

    Raises:
        UnknownNameError: the network has no such feature; the message lists those it has.
    """
    model.eval()
    device = next(model.parameters()).device
    pooled = []
    for index in range(min(limit, len(dataset))):
        features = model(normalized(to_batch([dataset[index]]).images.to(device))).features
        if feature not in features:
            raise UnknownNameError("feature", feature, features)
        pooled.append(features[feature].float().mean(dim=(2, 3))[0])
    return torch.stack(pooled).cpu().numpy()

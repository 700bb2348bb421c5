"""What a change of pictures did to their content, position by position and picture by picture."""

from __future__ import annotations

import numpy as np
from torch import nn

from labkit.data.dataset import SegmentationDataset
from labkit.data.selection import evenly
from labkit.errors import LabError
from labkit.evaluation.predict import predict_labels
from labkit.labels import IGNORE


def mean_picture(dataset: SegmentationDataset, limit: int = 200) -> np.ndarray:
    """The mean over at most ``limit`` pictures of one size: uint8 ``(H, W, 3)``.

    What stands in the same place in all pictures shows in it, such as the bonnet of the camera's car.

    Raises:
        LabError: pictures of different sizes.
    """
    total, indices = 0.0, evenly(len(dataset), limit)
    for index in indices:
        image = dataset[index].image.astype(np.float64)
        if np.ndim(total) and image.shape != total.shape:
            raise LabError(
                f"{dataset.name}: pictures of {image.shape[:2]} and {total.shape[:2]}; a mean needs one size"
            )
        total = total + image
    return np.rint(total / len(indices)).astype(np.uint8)


def picture_agreement(model: nn.Module, dataset: SegmentationDataset) -> np.ndarray:
    """Share of labelled pixels that ``model`` predicts as their label, picture by picture: float64 ``(N,)``.

    NaN for a picture without any. The mean over all pixels is :func:`labkit.evaluation.translations.label_agreement`.
    """
    shares = []
    for index in range(len(dataset)):
        sample = dataset[index]
        known = sample.label != IGNORE
        (predicted,) = predict_labels(model, [sample])
        shares.append((predicted == sample.label)[known].mean() if known.any() else np.nan)
    return np.array(shares, dtype=np.float64)

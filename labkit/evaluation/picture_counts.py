"""Intersections and unions picture by picture, from which the IoU of any selection of pictures follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from labkit.data.dataset import SegmentationDataset
from labkit.data.transforms import to_batch
from labkit.errors import LabError
from labkit.evaluation.confusion import confusion_counts, merge_counts
from labkit.evaluation.predict import predict_logits
from labkit.labels import EVALUATIONS, NUM_CLASSES


@dataclass(frozen=True)
class PictureCounts:
    """Pixels of each class in which truth and prediction meet, and pixels that either has, in each picture.

    The IoU of a class over several pictures is the quotient of the pictures' sums, not the mean of their IoU.

    Attributes:
        intersections, unions: int64 ``(images, 19)``; classes are merged as the data set merges them.
        evaluation: the classes that the data set is scored over, a key of :data:`labkit.labels.EVALUATIONS`.
    """

    intersections: np.ndarray
    unions: np.ndarray
    evaluation: str = "miou"

    def __post_init__(self):
        shapes = self.intersections.shape, self.unions.shape
        if shapes != ((len(self), NUM_CLASSES),) * 2:
            raise LabError(f"intersections and unions are {shapes}; expected (images, {NUM_CLASSES}) for both")

    def __len__(self) -> int:
        return len(self.unions)

    @classmethod
    def from_confusion(cls, counts: Sequence[np.ndarray] | np.ndarray, evaluation: str = "miou") -> PictureCounts:
        """From each picture's confusion counts, int64 ``(images, 19, 20)``."""
        merge = EVALUATIONS[evaluation].merge
        merged = np.array([merge_counts(one, merge) for one in counts], dtype=np.int64)
        merged = merged.reshape(-1, NUM_CLASSES, NUM_CLASSES + 1)  # also without pictures
        intersections = merged.diagonal(axis1=1, axis2=2).copy()
        unions = merged.sum(axis=2) + merged[..., :NUM_CLASSES].sum(axis=1) - intersections
        return cls(intersections, unions, evaluation)

    def over(self, evaluation: str) -> tuple[np.ndarray, np.ndarray]:
        """Intersections and unions of the classes of an evaluation only, int64 ``(images, C)``.

        Raises:
            LabError: CamVid's classes, which were merged, against the others'.
        """
        merged = "miou11"
        if evaluation != self.evaluation and merged in (evaluation, self.evaluation):
            raise LabError(f"pictures counted for {self.evaluation} cannot be scored over {evaluation}")
        chosen = list(EVALUATIONS[evaluation].train_ids)
        return self.intersections[:, chosen], self.unions[:, chosen]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON: lists of integers."""
        return {
            "intersections": self.intersections.tolist(),
            "unions": self.unions.tolist(),
            "evaluation": self.evaluation,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> PictureCounts:
        """The counts that :meth:`as_json` described."""
        both = (np.array(value[name], dtype=np.int64).reshape(-1, NUM_CLASSES) for name in ("intersections", "unions"))
        return cls(*both, value["evaluation"])


def count_pictures(
    model: nn.Module, dataset: SegmentationDataset, *, device: torch.device | str = "cpu", batch_size: int = 8
) -> PictureCounts:
    """Predict every picture of ``dataset`` and count; ``model`` is on ``device``, and left in evaluation mode.

    Their sums are those that :func:`labkit.evaluation.predict.evaluate` scores.
    """
    counts = []
    for start in range(0, len(dataset), batch_size):
        images, labels, _ = to_batch([dataset[i] for i in range(start, min(start + batch_size, len(dataset)))])
        predictions = predict_logits(model, images.to(device)).argmax(dim=1)
        counts += [confusion_counts(*pair) for pair in zip(predictions, labels.to(device), strict=True)]
    return PictureCounts.from_confusion([one.cpu().numpy() for one in counts], dataset.evaluation)

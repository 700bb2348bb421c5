"""Running a network over a data set: predictions, and the scores of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from labkit.data.dataset import Sample, SegmentationDataset
from labkit.data.transforms import layout, normalize, to_batch, to_device, to_float
from labkit.evaluation.confusion import confusion_counts
from labkit.evaluation.scores import Scores


def evaluate(
    model: nn.Module, dataset: SegmentationDataset, *, device: torch.device | str = "cpu", batch_size: int = 8
) -> Scores:
    """Score ``model`` on every picture of ``dataset``, at the size that the data set delivers.

    The counts stay on the device until the end. The model is left in evaluation mode.
    """
    counts: Tensor | None = None
    for images, labels in _batches(dataset, batch_size, device):
        batch_counts = confusion_counts(predict_logits(model, images).argmax(dim=1), labels)
        counts = batch_counts if counts is None else counts + batch_counts
    if counts is None:
        counts = confusion_counts(torch.empty(0), torch.empty(0))
    return Scores(counts.cpu().numpy(), len(dataset), dataset.evaluation)


@torch.inference_mode()
def predict_logits(model: nn.Module, images: Tensor) -> Tensor:
    """Logits ``(N, C, H, W)`` for uint8 images ``(N, 3, H, W)`` on the model's device. Leaves it in evaluation mode."""
    model.eval()
    return model(normalized(images)).logits


def normalized(images: Tensor) -> Tensor:
    """uint8 images ``(N, 3, H, W)`` as networks take them: ImageNet-normalised, in their device's layout."""
    return normalize(to_float(images)).contiguous(memory_format=layout(images.device))


def predict_labels(model: nn.Module, samples: Sequence[Sample]) -> list[np.ndarray]:
    """Predicted trainIds, uint8 ``(H, W)``, for each sample; samples may differ in size."""
    device = next(model.parameters()).device
    return [
        predict_logits(model, to_batch([sample]).images.to(device)).argmax(dim=1)[0].to(torch.uint8).cpu().numpy()
        for sample in samples
    ]


def _batches(dataset: SegmentationDataset, batch_size: int, device) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(dataset), batch_size):
        samples = [dataset[i] for i in range(start, min(start + batch_size, len(dataset)))]
        images, labels, _ = to_batch(samples)
        yield to_device(images, torch.device(device)), to_device(labels, torch.device(device))

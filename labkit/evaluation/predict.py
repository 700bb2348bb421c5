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
from labkit.labels import IGNORE
from labkit.losses.cross_entropy import cross_entropy


def evaluate(
    model: nn.Module, dataset: SegmentationDataset, *, device: torch.device | str = "cpu", batch_size: int = 8
) -> Scores:
    """Score ``model`` on every picture of ``dataset``, at the size that the data set delivers.

    The counts stay on the device until the end. The model is left in evaluation mode.
    """
    return evaluate_with_loss(model, dataset, device=device, batch_size=batch_size)[0]


def evaluate_with_loss(
    model: nn.Module, dataset: SegmentationDataset, *, device: torch.device | str = "cpu", batch_size: int = 8
) -> tuple[Scores, float]:
    """The scores of :func:`evaluate`, and the mean cross-entropy in nats over every labelled pixel of the data set.

    The loss is the main head's, with γ = 0 whatever the network was trained with (the target curves of baitan2025
    Fig. 5 and Table 6). Labels count as they stand: where a data set merges classes, as CamVid does, a prediction of
    the class that was merged away costs loss, but no score.
    """
    counts: Tensor | None = None
    losses, pixels = [], []
    for images, labels in _batches(dataset, batch_size, device):
        logits = predict_logits(model, images)
        batch_counts = confusion_counts(logits.argmax(dim=1), labels)
        counts = batch_counts if counts is None else counts + batch_counts
        losses.append(cross_entropy(logits, labels.long()))
        pixels.append((labels != IGNORE).sum())
    if counts is None:
        counts = confusion_counts(torch.empty(0), torch.empty(0))
    loss = np.average(_read(losses), weights=_read(pixels)) if _read(pixels).any() else np.nan
    return Scores(counts.cpu().numpy(), len(dataset), dataset.evaluation), float(loss)


def _read(scalars: list[Tensor]) -> np.ndarray:
    return torch.stack(scalars).cpu().double().numpy() if scalars else np.zeros(0)


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

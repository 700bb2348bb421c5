"""Pictures as a network sees them in training: with random draws of an augmentation."""

from __future__ import annotations

import numpy as np
import torch

from labkit.data.dataset import Sample, SegmentationDataset, labelled
from labkit.data.transforms import Augmentation, to_batch
from labkit.settings import describe


def augmented_draws(sample: Sample, augmentation: Augmentation, count: int, seed: int = 0) -> list[Sample]:
    """``count`` draws of one picture with its labels, in uint8 again: rounded, which a training does not do.

    Two augmentations with one seed draw the same numbers: with equal probabilities they change the same pictures,
    and twice the range is twice the change.
    """
    images, labels, _ = to_batch([sample] * count)
    images, labels = augmentation(images, labels, torch.Generator().manual_seed(seed))
    pictures = images.mul(255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    return [
        Sample(picture, label, sample.name)
        for picture, label in zip(pictures, labels.to(torch.uint8).numpy(), strict=True)
    ]


class Augmented:
    """A data set with one draw of an augmentation for each picture, the same draw whenever it is asked for."""

    def __init__(self, dataset: SegmentationDataset, augmentation: Augmentation, seed: int = 0):
        self.dataset, self.augmentation, self.seed = dataset, augmentation, seed
        self.name, self.split, self.evaluation = dataset.name, dataset.split, dataset.evaluation
        self.labelled = labelled(dataset)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        seed = int(np.random.SeedSequence([self.seed, index]).generate_state(1)[0])
        return augmented_draws(self.dataset[index], self.augmentation, 1, seed)[0]

    def fingerprint(self) -> dict:
        """The data set's own, and the augmentation."""
        change = describe(self.augmentation) | {"seed": self.seed}
        return self.dataset.fingerprint() | {"augmented": change}

"""The two ranges of pictures: what a segmenter is given, and what a generator is given and gives."""

from __future__ import annotations

from torch import Tensor

from labkit.data.transforms import denormalize, normalize


def to_generator(images: Tensor) -> Tensor:
    """ImageNet-normalised images float ``(…, 3, H, W)`` as pictures in [−1, 1], the range of a generator's tanh."""
    return 2 * denormalize(images) - 1


def to_segmenter(pictures: Tensor) -> Tensor:
    """Inverse of :func:`to_generator`: pictures in [−1, 1] as ImageNet-normalised images, with their gradient."""
    return normalize((pictures + 1) / 2)

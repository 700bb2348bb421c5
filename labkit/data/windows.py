"""Pieces of pictures: of several batches at one size, and of a stored picture where it shows a class."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from labkit.data.dataset import Sample
from labkit.errors import LabError
from labkit.labels import IGNORE


def at_one_size(
    source: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor], generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two batches at their smaller height and width, so that they can be mixed.

    Args:
        source, target: images ``(N, K, H, W)`` and labels ``(N, H, W)`` that lie upon each other.
        generator: of the draws, on the CPU; None is torch's global one. A call takes the same number of draws for each
            picture, whatever the sizes.

    Returns:
        Source images and labels, target images and labels, ``(N, …, h, w)``: of each picture a piece at a uniformly
        drawn place, all of it where the size is right.
    """
    size = tuple(min(lengths) for lengths in zip(source[1].shape[-2:], target[1].shape[-2:], strict=True))
    return *_random_crops(*source, size, generator), *_random_crops(*target, size, generator)


def _random_crops(images: Tensor, labels: Tensor, size: tuple[int, int], generator: torch.Generator | None):
    draws = torch.rand(len(images), 2, generator=generator)
    if labels.shape[-2:] == size:
        return images, labels
    spare = torch.tensor(labels.shape[-2:]) - torch.tensor(size)
    pieces = []
    for index, (top, left) in enumerate((draws * (spare + 1)).long().tolist()):
        window = (index, ..., slice(top, top + size[0]), slice(left, left + size[1]))
        pieces.append((images[window], labels[window]))
    return tuple(torch.stack(column) for column in zip(*pieces, strict=True))


def window_with(
    sample: Sample, train_id: int, size: tuple[int, int], generator: torch.Generator | None = None
) -> Sample:
    """A piece of a picture that shows a class: around one of its pixels, drawn uniformly, as far as the edges allow.

    Where the picture is smaller than ``size`` it lies at a drawn place of the piece, black and ignored (255) around it.

    Args:
        sample: the picture, not changed.
        train_id: the class; the picture has to have a pixel of it.
        size: ``(h, w)`` of the piece, in pixels.
        generator: of the draws, on the CPU; None is torch's global one.

    Raises:
        LabError: the picture has no pixel of the class.
    """
    places = np.flatnonzero(sample.label == train_id)
    if not len(places):
        raise LabError(
            f"{sample.name}: no pixel of class {train_id}, although the class database says so: the label map has "
            "changed since. Delete the file class-database-….json in the data sets' folder cache; it is made again"
        )
    height, width = sample.label.shape
    pixel = divmod(int(places[int(torch.randint(len(places), (), generator=generator))]), width)
    image = np.zeros((*size, 3), sample.image.dtype)
    label = np.full(size, IGNORE, sample.label.dtype)
    read, written = [], []
    for length, kept, centre in zip((height, width), size, pixel, strict=True):
        start = min(max(centre - kept // 2, 0), max(length - kept, 0))
        place = int(torch.randint(max(kept - length, 0) + 1, (), generator=generator))
        shown = min(length, kept)
        read.append(slice(start, start + shown))
        written.append(slice(place, place + shown))
    image[tuple(written)] = sample.image[tuple(read)]
    label[tuple(written)] = sample.label[tuple(read)]
    return Sample(image, label, sample.name)

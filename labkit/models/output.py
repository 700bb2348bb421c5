"""What every segmentation network returns."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class SegmentationOutput(NamedTuple):
    """A network's answer for a batch of normalised images ``(N, 3, H, W)``.

    Attributes:
        logits: ``(N, C, H, W)``, at the image's own size.
        auxiliary: further logits of the same shape, from the training-only heads; empty in evaluation mode.
        features: named feature maps ``(N, K, h, w)`` for methods that align features and for looking at them; in every
            network ``backbone`` is the last of its backbone.
    """

    logits: Tensor
    auxiliary: tuple[Tensor, ...]
    features: dict[str, Tensor]

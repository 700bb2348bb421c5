"""Training on source pictures that were given the target's look without learning: the rivals of image translation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from labkit.data.restyle import match_histograms, swap_amplitude
from labkit.data.transforms import denormalize, layout, normalize
from labkit.methods.supervised import SourceOnly
from labkit.settings import setting
from labkit.training.method import SOURCE, TARGET, Batch, Objective


@dataclass
class Histogram(SourceOnly):
    """Each source picture with the histograms of a target picture, channel by channel; then as *source only*.

    The partner of a batch's i-th source picture is its i-th target picture, both as the loop has augmented them:
    another one each time that the picture comes. The labels stay. Ours as a baseline, in no paper's table.
    """

    name: ClassVar[str] = "histogram"
    streams: ClassVar[tuple[str, ...]] = (SOURCE, TARGET)
    batch_norm: ClassVar[str] = "statistics of restyled source pictures alone; the network sees no target picture"

    def objectives(self, batches: Mapping[str, Batch]) -> Iterator[Objective]:
        """The supervised loss on the restyled pictures."""
        source, target = batches[SOURCE], batches[TARGET]
        partners = target.images[[i % len(target.images) for i in range(len(source.images))]]
        restyled = self.restyle(denormalize(source.images).clamp(0, 1), denormalize(partners).clamp(0, 1)).clamp(0, 1)
        images = normalize(restyled).contiguous(memory_format=layout(restyled.device))
        batch = replace(source, images=images)
        yield Objective(self.supervised(self.model(images), batch))

    def restyle(self, images: Tensor, references: Tensor) -> Tensor:
        """Pictures ``(N, 3, H, W)`` in the style of references ``(N, 3, h, w)``, float32 in [0, 1]."""
        return match_histograms(images, references)


@dataclass
class Fourier(Histogram):
    """Each source picture with a target picture's amplitudes at the lowest frequencies; then as *source only*.

    The first part of FDA (Yang and Soatto, CVPR 2020): neither its entropy term nor its self-training. What falls
    outside of [0, 1] is clipped, which is ours.

    Attributes:
        band: FDA's β, half the side of the swapped square of frequencies, as a share of the picture's shorter side; the
            FDA paper tries 0.01, 0.05 and 0.09.
    """

    name: ClassVar[str] = "fourier"

    band: float = setting(0.01, 0, 0.5)

    def restyle(self, images: Tensor, references: Tensor) -> Tensor:
        """As :func:`labkit.data.restyle.swap_amplitude`."""
        return swap_amplitude(images, references, self.band)

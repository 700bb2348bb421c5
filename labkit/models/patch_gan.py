"""Discriminators that judge patches: CycleGAN's, and those of toldo2020 on pictures and on features.

All of them are five 4×4 convolutions to 64, 128, 256, 512 and 1 channels, leaky ReLU 0.2 between them, instance norm
after the middle three; they differ in strides. An answer is a score without a sigmoid: the least-squares loss draws it
towards one number for real and another for translated.
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

from torch import Tensor, nn

from labkit.errors import LabError, UnknownNameError
from labkit.models.generator import InstanceNorm, normal_start


class PatchGAN(nn.Sequential):
    """CycleGAN's discriminator of 70×70 patches: 2,764,737 parameters for pictures, 30×30 answers for 256×256 pixels.

    Args:
        channels: of what it judges; 3 for pictures.
        filters: channels of the first convolution; they double up to eight times as many.
    """

    def __init__(self, channels: int = 3, filters: int = 64):
        super().__init__(*_layers(channels, filters, (2, 2, 2, 1, 1)))
        normal_start(self)

    def forward(self, images: Tensor) -> Tensor:
        """Scores ``(N, 1, ⌊H/8⌋ − 2, ⌊W/8⌋ − 2)`` of ``(N, channels, H, W)``; raises LabError below 24 pixels."""
        return super().forward(_large_enough(images, 24))


class ImageDiscriminator(nn.Sequential):
    """toldo2020's discriminator of pictures (§4): 94×94 patches, and as many parameters as :class:`PatchGAN`.

    The text has five layers of stride 2. The authors' code leaves the last at stride 1, which gives more answers on
    patches as large. Channels, norm and activations, which the text does not print, are those of CycleGAN's
    discriminator, on which it says to be based.

    Args:
        layers: ``"printed"`` or ``"published-code"``.
        channels, filters: as of :class:`PatchGAN`.

    Raises:
        UnknownNameError: other layers.
    """

    STRIDES: ClassVar[dict[str, tuple[int, ...]]] = {"printed": (2, 2, 2, 2, 2), "published-code": (2, 2, 2, 2, 1)}

    def __init__(self, layers: str = "printed", channels: int = 3, filters: int = 64):
        if layers not in self.STRIDES:
            raise UnknownNameError("layers of a discriminator", layers, self.STRIDES)
        super().__init__(*_layers(channels, filters, self.STRIDES[layers]))
        normal_start(self)

    def forward(self, images: Tensor) -> Tensor:
        """Scores ``(N, 1, h, w)`` of ``(N, channels, H, W)``; raises LabError below 32 pixels.

        As printed h = ⌊H/32⌋ and w = ⌊W/32⌋, in the published code ⌊H/16⌋ − 1 and ⌊W/16⌋ − 1.
        """
        return super().forward(_large_enough(images, 32))


class FeatureDiscriminator(nn.Sequential):
    """toldo2020's discriminator of features (§4): the same five layers, all with stride 1, on 16×16 features a patch.

    It has no variants, since with all strides 1 the text's layers are those of the authors' code: 4,072,385 parameters
    for the 1280 channels of MobileNetV2. Zeros around keep the size, so that a few features are enough.

    Args:
        channels: of the features.
        filters: as of :class:`PatchGAN`.
    """

    def __init__(self, channels: int, filters: int = 64):
        super().__init__(*_layers(channels, filters, (1, 1, 1, 1, 1)))
        normal_start(self)

    def forward(self, features: Tensor) -> Tensor:
        """Scores ``(N, 1, h, w)`` of ``(N, channels, h, w)``; raises LabError for a single position."""
        if features.shape[-2:].numel() < 2:
            raise LabError(
                "FeatureDiscriminator cannot judge features of one position, which have no variance. "
                "Use larger pictures or crops."
            )
        return super().forward(features)


def _layers(channels: int, filters: int, strides: tuple[int, ...]) -> list[nn.Module]:
    widths = [channels, filters, 2 * filters, 4 * filters, 8 * filters, 1]
    same_size = set(strides) == {1}
    layers: list[nn.Module] = []
    for number, ((before, after), stride) in enumerate(zip(pairwise(widths), strides, strict=True)):
        if same_size:  # an even kernel has one neighbour more on one side
            layers.append(nn.ZeroPad2d((1, 2, 1, 2)))
        layers.append(nn.Conv2d(before, after, 4, stride=stride, padding=0 if same_size else 1))
        if 0 < number < 4:
            layers.append(InstanceNorm(after))
        if number < 4:
            layers.append(nn.LeakyReLU(0.2, inplace=True))
    return layers


def _large_enough(images: Tensor, side: int) -> Tensor:
    height, width = images.shape[-2:]
    if min(height, width) < side:
        raise LabError(
            f"this discriminator cannot judge pictures of {height}×{width} pixels: it needs {side} in height and in "
            "width for one answer. Use larger pictures or crops."
        )
    return images

"""The fully convolutional discriminator that tells a source's segmentation from a target's (baitan2025, §4.5)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class Discriminator(nn.Sequential):
    """Five 4×4 convolutions of stride 2, leaky ReLU 0.2 between them, no norm: 2,781,121 parameters for 19 channels.

    baitan2025 takes it from AdaptSegNet (Tsai et al., CVPR 2018, §5). It sees a patch of 94 pixels at a time, and
    answers for each with a logit: above 0 for the target. A picture has to be 32 pixels high and wide at least.

    Args:
        in_channels: of what it judges: the classes, 19.
        width: channels of the first convolution; they double up to eight times as many.
    """

    def __init__(self, in_channels: int, width: int = 64):
        channels = [in_channels, width, 2 * width, 4 * width, 8 * width]
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        super().__init__(*layers, nn.Conv2d(channels[-1], 1, 4, stride=2, padding=1))

    def forward(self, maps: Tensor) -> Tensor:
        """Logits ``(N, 1, H/32, W/32)`` of maps ``(N, in_channels, H, W)``."""
        return super().forward(maps)

"""CycleGAN's generator, a ResNet from picture to picture, and its instance norm (Zhu et al., ICCV 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from labkit.errors import LabError


class InstanceNorm(nn.InstanceNorm2d):
    """Each channel of each picture to mean 0 and variance 1, without scale and shift: it has neither weights nor state.

    Nothing of the other pictures in a batch enters, nor of those before: training and evaluation compute the same, and
    so do one batch and its accumulated parts. Statistics are taken in float32, also under mixed precision: in 16
    bits, a mean that is large beside the deviation takes the picture with it. The answer has the dtype that came in.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Normalised maps ``(N, K, h, w)``, same shape and dtype; more than one position a channel is needed."""
        return super().forward(_single(maps)).to(maps.dtype)


def normal_start(network: nn.Module) -> None:
    """CycleGAN's start: every convolution normal with standard deviation 0.02, biases zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
            nn.init.zeros_(module.bias)


class ResidualBlock(nn.Module):
    """x + f(x), f two 3×3 convolutions over reflected borders, instance norm after both, a ReLU between."""

    def __init__(self, channels: int):
        super().__init__()
        self.residual = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            InstanceNorm(channels),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            InstanceNorm(channels),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``(N, channels, h, w)`` of the same shape, h and w at least 2."""
        return maps + self.residual(maps)


class Generator(nn.Module):
    """ResNet generator of CycleGAN, which toldo2020 (§4) takes over: 11,378,179 parameters with 9 blocks.

    A 7×7 convolution, two of stride 2 to a quarter of the size, the residual blocks there, two transposed convolutions
    back, a 7×7 convolution, and tanh. CycleGAN takes 9 blocks for pictures of 256 pixels and more, and 6 (7,837,699
    parameters) for smaller ones. Convolutions have biases, although instance norm takes all but the last one's out
    again: they are among the published parameters.

    Args:
        blocks: residual blocks.
        filters: channels of the first convolution; four times as many in the residual blocks.
    """

    def __init__(self, blocks: int = 9, filters: int = 64):
        super().__init__()
        self.down = nn.Sequential(
            nn.ReflectionPad2d(3),
            *_normalised(nn.Conv2d(3, filters, 7)),
            *_normalised(nn.Conv2d(filters, 2 * filters, 3, stride=2, padding=1)),
            *_normalised(nn.Conv2d(2 * filters, 4 * filters, 3, stride=2, padding=1)),
        )
        self.blocks = nn.Sequential(*(ResidualBlock(4 * filters) for _ in range(blocks)))
        self.up = nn.Sequential(
            *_normalised(nn.ConvTranspose2d(4 * filters, 2 * filters, 3, stride=2, padding=1, output_padding=1)),
            *_normalised(nn.ConvTranspose2d(2 * filters, filters, 3, stride=2, padding=1, output_padding=1)),
            nn.ReflectionPad2d(3),
            nn.Conv2d(filters, 3, 7),
        )
        normal_start(self)

    def forward(self, images: Tensor) -> Tensor:
        """Translate pictures.

        Args:
            images: float in [−1, 1], ``(N, 3, H, W)``; H and W multiples of four, at least 8.

        Returns:
            Pictures of the same shape, float32 in [−1, 1], also under mixed precision.

        Raises:
            LabError: another height or width.
        """
        height, width = images.shape[-2:]
        if height % 4 or width % 4 or min(height, width) < 8:
            raise LabError(
                f"the generator cannot translate pictures of {height}×{width} pixels: it halves them twice and doubles "
                "them twice, so height and width have to be multiples of four, and at least 8. Resize or crop them."
            )
        return _single(self.up(self.blocks(self.down(images)))).tanh()


def _single(maps: Tensor) -> Tensor:
    """In float32, unless they are more precise already."""
    return maps.to(torch.promote_types(maps.dtype, torch.float32))


def _normalised(convolution: nn.Module) -> tuple[nn.Module, ...]:
    return convolution, InstanceNorm(convolution.out_channels), nn.ReLU(inplace=True)

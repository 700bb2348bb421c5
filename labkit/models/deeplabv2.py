"""DeepLabV2 on ResNet-101: features at 1/8 by atrous convolution, and a head that sums four views of them.

The network of Chen et al. (TPAMI 2018) as domain adaptation uses it: one scale, no CRF. Its totals are those that
baitan2025 prints in Table 1 (43.901 M parameters, 375 GFLOPs).
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torchvision.models import resnet101

from labkit.models.bisenet import resize
from labkit.models.output import SegmentationOutput

RATES = (6, 12, 18, 24)
"""Atrous rates of the head's four branches, in cells of the features at 1/8."""


class AtrousResNet(nn.Module):
    """ResNet-101 without its classifier, at output stride 8, under torchvision's names, so that its weights fit.

    The last two stages do not stride; their 3×3 convolutions, the first block's too, reach as far by rates of 2 and 4.
    Max pooling rounds sizes up: 512×1024 becomes 65×129 at 1/8, with a feature on each border.
    """

    def __init__(self):
        super().__init__()
        for name, module in resnet101(weights=None).named_children():
            if name not in ("avgpool", "fc"):
                self.add_module(name, module)
        self.maxpool.ceil_mode = True
        _dilate(self.layer3, 2)
        _dilate(self.layer4, 4)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features of ``(N, 3, H, W)`` at 1/8: ``(N, 1024, …)`` of the third stage, ``(N, 2048, …)`` of the last."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        third = self.layer3(self.layer2(self.layer1(x)))
        return third, self.layer4(third)


def _dilate(stage: nn.Sequential, rate: int) -> None:
    """No stride, and a rate for every 3×3 convolution (torchvision's own option spares the first block's)."""
    for block in stage:
        block.conv2.stride = (1, 1)
        block.conv2.dilation = block.conv2.padding = (rate, rate)
    stage[0].downsample[0].stride = (1, 1)


class AtrousPyramid(nn.Module):
    """Atrous spatial pyramid pooling: one 3×3 convolution with bias for each rate, and the sum of all of them."""

    def __init__(self, in_channels: int, num_classes: int, rates: tuple[int, ...] = RATES):
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Conv2d(in_channels, num_classes, 3, padding=rate, dilation=rate) for rate in rates
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Logits ``(N, num_classes, h, w)`` of maps ``(N, in_channels, h, w)``."""
        # Widely copied code returns from inside this loop and so sums two branches of four, without any error.
        return sum(branch(maps) for branch in self.branches)


class DeepLabV2(nn.Module):
    """DeepLabV2-R101 as in baitan2025 (§2.1, Table 1).

    Trained without a file it starts as torchvision's ResNet does; the head is normal with standard deviation 0.01 and
    has zero bias. There are no auxiliary heads. The stride of a stage is where torchvision has it, in the 3×3
    convolution; where older code has it, in the 1×1 before, multiply-adds are 0.2 % fewer, 375 G in print either way.

    Args:
        num_classes: classes C of the logits.

    Attributes:
        IMAGENET: torchvision's name of the network whose ImageNet weights fit :attr:`backbone`.
    """

    IMAGENET: ClassVar[str] = "resnet101"

    def __init__(self, num_classes: int = 19):
        super().__init__()
        self.num_classes = num_classes
        self.backbone = AtrousResNet()
        self.head = AtrousPyramid(2048, num_classes)
        for branch in self.head.branches:
            nn.init.normal_(branch.weight, std=0.01)
            nn.init.zeros_(branch.bias)

    def forward(self, images: Tensor) -> SegmentationOutput:
        """Segment normalised images, float ``(N, 3, H, W)``; any size.

        Returns:
            Logits ``(N, C, H, W)``, resized bilinearly with ``align_corners=False``; no
            auxiliary logits; features ``layer3`` (1024 channels) and ``backbone`` (2048), both from the backbone, and
            ``coarse`` (C, the logits before they are resized), all at 1/8.
        """
        third, last = self.backbone(images)
        coarse = self.head(last)
        features = {"layer3": third, "backbone": last, "coarse": coarse}
        return SegmentationOutput(resize(coarse, images.shape[-2:]), (), features)

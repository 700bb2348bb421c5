"""BiSeNet on ResNet-18: a fast path for detail, a deep path for context, and their fusion.

The structure is the one whose totals baitan2025 prints in Table 1 (12.582 M parameters, 25.78 GFLOPs). It
differs from the network that it is named after (Yu et al., ECCV 2018) where the two paths meet: the fusion
already works in class space, 1024 channels to 19, and a 1×1 classifier follows *after* the upsampling.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet18

from labkit.errors import LabError
from labkit.models.output import SegmentationOutput


def resize(maps: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Bilinear resize of ``(N, K, h, w)`` to ``(N, K, *size)`` with ``align_corners=False``.

    Pixels are areas, not points, so their outer edges coincide before and after. With ``align_corners=True``
    published scores move by more than the differences between methods, hence one function for all of them.
    """
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def global_average(maps: Tensor) -> Tensor:
    """Mean over all positions: ``(N, K, h, w)`` to ``(N, K, 1, 1)``."""
    return maps.mean(dim=(2, 3), keepdim=True)


class ConvBlock(nn.Sequential):
    """3×3 convolution without bias, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class SpatialPath(nn.Sequential):
    """Detail: three stride-2 blocks, 3 → 64 → 128 → 256 channels, to 1/8 of the image's size."""

    def __init__(self):
        super().__init__(ConvBlock(3, 64, 2), ConvBlock(64, 128, 2), ConvBlock(128, 256, 2))


class ResNetStages(nn.Module):
    """ResNet-18 up to its last stage, under torchvision's names, so that its ImageNet weights fit.

    The classifier ``fc`` does not exist here: segmentation never calls it.
    """

    def __init__(self):
        super().__init__()
        for name, module in resnet18(weights=None).named_children():
            if name not in ("avgpool", "fc"):
                self.add_module(name, module)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features of ``(N, 3, H, W)`` at 1/16 ``(N, 256, …)`` and at 1/32 ``(N, 512, …)``."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        x = self.layer2(self.layer1(x))
        at_16 = self.layer3(x)
        return at_16, self.layer4(at_16)


class AttentionRefinement(nn.Module):
    """Attention Refinement Module: weigh every channel by what the whole image says about it.

    Global average → 1×1 convolution with bias → batch norm → sigmoid → multiply.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, maps: Tensor) -> Tensor:
        """Reweighted maps, same shape; raises LabError for a single image while batch norm is training."""
        if self.norm.training and maps.shape[0] < 2:
            raise LabError(
                "BiSeNet cannot train on a batch of one image: its attention modules normalise one value per "
                "image and channel, and a single value has no variance. Use a batch size of at least 2 (and "
                "drop a last batch of one), or put the network's batch norms into evaluation mode."
            )
        return maps * torch.sigmoid(self.norm(self.conv(global_average(maps))))


class Context(NamedTuple):
    """What the context path hands on: raw backbone features, and refined ones."""

    backbone16: Tensor
    backbone32: Tensor
    refined16: Tensor
    refined32: Tensor


class ContextPath(nn.Module):
    """Meaning: ResNet-18, its last two stages refined by attention, the last one also by its average."""

    def __init__(self):
        super().__init__()
        self.backbone = ResNetStages()
        self.attention16 = AttentionRefinement(256)
        self.attention32 = AttentionRefinement(512)

    def forward(self, images: Tensor) -> Context:
        """Features of ``(N, 3, H, W)``: 256 channels at 1/16 and 512 channels at 1/32."""
        at_16, at_32 = self.backbone(images)
        tail = global_average(at_32)
        return Context(at_16, at_32, self.attention16(at_16), self.attention32(at_32) * tail)


class FeatureFusion(nn.Module):
    """Feature Fusion Module: both paths in one 3×3 block, then channel attention with residual, x·a + x."""

    def __init__(self, in_channels: int, num_classes: int):
        super().__init__()
        self.block = ConvBlock(in_channels, num_classes, stride=1)
        self.attention = nn.Sequential(
            nn.Conv2d(num_classes, num_classes, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(num_classes, num_classes, 1),
            nn.Sigmoid(),
        )

    def forward(self, *maps: Tensor) -> Tensor:
        """Fuse maps ``(N, K_i, h, w)`` of one size, ΣK_i = ``in_channels``, to ``(N, num_classes, h, w)``."""
        x = self.block(torch.cat(maps, dim=1))
        return x * self.attention(global_average(x)) + x


class BiSeNet(nn.Module):
    """BiSeNet-R18 as in baitan2025 (§2.2, Table 1).

    Trained without a file it starts from He initialisation: convolutions of our own modules normal with
    variance 2 / fan-in and zero bias, the ResNet as torchvision does it (variance 2 / fan-out), batch norms at scale 1
    and shift 0. The two auxiliary heads (on the 1/16 and the 1/32 branch) only run in training mode.

    Args:
        num_classes: classes C of the logits.

    Attributes:
        UNUSED_PUBLISHED_PARAMETERS: the ResNet's ``fc`` (512·1000 + 1000), which the published 12,581,672
            parameters include although nothing ever calls it; 12,068,672 are alive for 19 classes.
        IMAGENET: torchvision's name of the network whose ImageNet weights fit :attr:`backbone`.
    """

    UNUSED_PUBLISHED_PARAMETERS: ClassVar[int] = 513_000
    IMAGENET: ClassVar[str] = "resnet18"

    def __init__(self, num_classes: int = 19):
        super().__init__()
        self.num_classes = num_classes
        self.spatial_path = SpatialPath()
        self.context_path = ContextPath()
        self.fusion = FeatureFusion(256 + 256 + 512, num_classes)
        self.classifier = nn.Conv2d(num_classes, num_classes, 1)
        self.auxiliary16 = nn.Conv2d(256, num_classes, 1)
        self.auxiliary32 = nn.Conv2d(512, num_classes, 1)
        self._initialise()

    def _initialise(self) -> None:
        backbone = set(self.backbone.modules())
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module not in backbone:
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    @property
    def backbone(self) -> ResNetStages:
        """The part that ImageNet weights are loaded into."""
        return self.context_path.backbone

    def forward(self, images: Tensor) -> SegmentationOutput:
        """Segment normalised images, float ``(N, 3, H, W)``; any size.

        Returns:
            Logits ``(N, C, H, W)``; in training mode two auxiliary logits of that shape, else none; features
            ``spatial`` (256 channels at 1/8), ``context16`` (256) and ``backbone`` (512 at 1/32), both straight from
            the ResNet, and ``fused`` (C at 1/8, before upsampling and classifier).

        Raises:
            LabError: in training mode with a single image.
        """
        image_size = images.shape[-2:]
        spatial = self.spatial_path(images)
        context = self.context_path(images)
        # Resized to the partner's size rather than by a factor, so sizes that 32 does not divide work too.
        context16 = resize(context.refined16, spatial.shape[-2:])
        context32 = resize(context.refined32, spatial.shape[-2:])
        fused = self.fusion(spatial, context16, context32)
        logits = self.classifier(resize(fused, image_size))
        auxiliary = ()
        if self.training:
            auxiliary = (
                resize(self.auxiliary16(context16), image_size),
                resize(self.auxiliary32(context32), image_size),
            )
        features = {
            "spatial": spatial,
            "context16": context.backbone16,
            "backbone": context.backbone32,
            "fused": fused,
        }
        return SegmentationOutput(logits, auxiliary, features)

"""U-Net on ResNet-50: the network of segmentation-models-pytorch with its features at hand, and loda2025's variant."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from labkit.errors import LabError
from labkit.models.output import SegmentationOutput


class UNet(nn.Module):
    """U-Net-R50 as in loda2025 (§2.2.1, at 480×256): 32,523,715 parameters for 19 classes.

    Five times the encoder halves the picture, and five times the decoder doubles it again (to the nearest) and sees the
    encoder's features of the same size beside. Where a size is no multiple of 32 the decoder resizes to the size of
    those features, so 466×256 passes too; the variant of the paper pads instead.

    Trained without a file it starts as the library's network does: the encoder as torchvision's ResNet, the decoder's
    convolutions uniform after He, the last layer uniform after Glorot. There are no auxiliary heads.

    Args:
        num_classes: classes C of the logits.

    Attributes:
        IMAGENET: torchvision's name of the network whose ImageNet weights fit :attr:`backbone`.
    """

    IMAGENET: ClassVar[str] = "resnet50"

    def __init__(self, num_classes: int = 19):
        from segmentation_models_pytorch import Unet

        super().__init__()
        self.num_classes = num_classes
        network = Unet("resnet50", encoder_weights=None, classes=num_classes)
        self.encoder = network.encoder
        self.decoder = network.decoder
        self.segmentation_head = network.segmentation_head

    @property
    def backbone(self) -> nn.Module:
        """The part that ImageNet weights are loaded into."""
        return self.encoder

    def forward(self, images: Tensor) -> SegmentationOutput:
        """Segment normalised images, float ``(N, 3, H, W)``; any size.

        Returns:
            Logits ``(N, C, H, W)``; no auxiliary logits; features ``backbone`` (2048 channels at 1/32, the encoder's
            last), which loda2025 aligns (§2.3.2), and ``decoder`` (16 at the image's size).

        Raises:
            LabError: in training mode with a single image of at most 32×32 pixels.
        """
        if self.encoder.layer4[0].bn1.training and images.shape[0] < 2 and max(images.shape[-2:]) <= 32:
            raise LabError(
                "U-Net cannot train on one image of at most 32×32 pixels: a single position is left of it, and one "
                "value per channel has no variance. Use larger pictures or a batch size of at least 2."
            )
        stages = self.encoder(images)
        decoded = self.decode(stages)
        features = {"backbone": stages[-1], "decoder": decoded}
        return SegmentationOutput(self.segmentation_head(decoded), (), features)

    def decode(self, stages: list[Tensor]) -> Tensor:
        """Features at the image's size, from the image and the encoder's five stages."""
        return self.decoder(stages)


class PaddedUNet(UNet):
    """loda2025's "Padded U-Net" (§2.2.1, at 466×256): sizes that 32 does not divide are padded in the skip connections.

    Halving rounds up, so what the decoder has doubled may be larger than the encoder's features that it is joined with;
    those get zeros on the right and below. The paper does not say on which side, nor how the picture's own size comes
    back: ours is to cut the surplus off at the end. Where 32 divides the size this is :class:`UNet`.
    """

    def decode(self, stages: list[Tensor]) -> Tensor:
        """Features at the image's size, from the image and the encoder's five stages."""
        (height, width), (deepest_height, deepest_width) = stages[0].shape[-2:], stages[-1].shape[-2:]
        padded = []
        for halvings, stage in enumerate(stages):
            growth = 2 ** (len(stages) - 1 - halvings)
            below, right = deepest_height * growth - stage.shape[-2], deepest_width * growth - stage.shape[-1]
            padded.append(F.pad(stage, (0, right, 0, below)))
        return self.decoder(padded)[..., :height, :width]

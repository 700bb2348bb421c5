"""DeepLabV3+ on MobileNetV2: the network of segmentation-models-pytorch, with its features at hand."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from labkit.errors import LabError
from labkit.models.output import SegmentationOutput

RATES = (6, 12, 18)
"""Atrous rates of the ASPP's three branches, in cells of the features at 1/16 (toldo2020, §4)."""


class PooledBatchNorm(nn.BatchNorm2d):
    """Batch norm of the ASPP's image pooling, where a batch of one picture has one value per channel.

    One value has no variance. For such a batch this layer normalises by its running statistics, also in training, and
    leaves them as they are; weight and bias learn. With more pictures it is an ordinary batch norm.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Normalised maps ``(N, K, h, w)``, same shape."""
        if self.training and maps[:, 0].numel() == 1:
            return F.batch_norm(maps, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(maps)


class DeepLabV3Plus(nn.Module):
    """DeepLabV3+ on MobileNetV2 as in toldo2020 (§4): 4,383,139 parameters for 19 classes, output stride 16.

    The encoder is MobileNetV2 whose last stage does not stride. The decoder begins with the ASPP (a 1×1 convolution,
    three separable atrous ones, the average of the image), resizes its answer to 1/4, and joins it with the encoder's
    features of that size. State dicts have the library's names, so files of its ``DeepLabV3Plus`` fit. Resizing is the
    library's and DeepLab's own, bilinear with ``align_corners=True``, unlike that of the other networks here.

    toldo2020 trains on one picture at a time, for which image pooling cannot be normalised by its batch. Its layer then
    takes running statistics, which those trained with larger batches before have brought along: see
    :class:`PooledBatchNorm`. All other batch norms are ordinary.

    The paper starts from weights for Pascal VOC. DeepLab's public ones for MobileNetV2 are for TensorFlow, and have
    neither ASPP nor decoder. Whoever has VOC weights of this network gives the file; its 21 classes are no hindrance
    (:func:`labkit.models.weights.load_file`).

    Trained without a file it starts as the library's network does: the encoder as torchvision's MobileNetV2, the
    decoder's convolutions uniform after He, the last layer uniform after Glorot. There are no auxiliary heads.

    Args:
        num_classes: classes C of the logits.

    Attributes:
        IMAGENET: torchvision's name of the network whose ImageNet weights fit :attr:`backbone`.
        CLASSIFIERS: the last layer, whose shape depends on the classes.
    """

    IMAGENET: ClassVar[str] = "mobilenet_v2"
    CLASSIFIERS: ClassVar[tuple[str, ...]] = ("segmentation_head.0",)

    def __init__(self, num_classes: int = 19):
        from segmentation_models_pytorch import DeepLabV3Plus as Network

        super().__init__()
        self.num_classes = num_classes
        network = Network(
            "mobilenet_v2",
            encoder_weights=None,
            encoder_output_stride=16,
            decoder_atrous_rates=RATES,
            classes=num_classes,
        )
        self.encoder = network.encoder
        self.decoder = network.decoder
        self.segmentation_head = network.segmentation_head
        pooling = self.decoder.aspp[0].convs[-1]
        pooling[2] = PooledBatchNorm(pooling[2].num_features)

    @property
    def backbone(self) -> nn.Module:
        """The part that ImageNet weights are loaded into: the encoder."""
        return self.encoder

    def forward(self, images: Tensor) -> SegmentationOutput:
        """Segment normalised images, float ``(N, 3, H, W)``; any size.

        Returns:
            Logits ``(N, C, H, W)``; no auxiliary logits; features ``backbone`` (1280 channels, the encoder's last),
            which toldo2020 aligns (§3.3), ``aspp`` (256, after projection, dropout and a separable convolution), both
            at 1/16, ``decoder`` (256) and ``coarse`` (C, the logits before they are resized), both at 1/4.

        Raises:
            LabError: in training mode with a single image of at most 16×16 pixels.
        """
        if self.encoder.features[0][1].training and images.shape[0] < 2 and max(images.shape[-2:]) <= 16:
            raise LabError(
                "DeepLabV3+ cannot train on one image of at most 16×16 pixels: a single position is left of it, and "
                "one value per channel has no variance. Use larger pictures or a batch size of at least 2."
            )
        return self.decode(self.encoder(images))

    def decode(self, stages: list[Tensor]) -> SegmentationOutput:
        """The answer of :meth:`forward`, from the image and the encoder's five stages."""
        # Resized to the partner's size, not by a factor: the library's own forward refuses what 16 does not divide.
        aspp = self.decoder.aspp(stages[-1])
        joined = torch.cat([_resize(aspp, stages[2]), self.decoder.block1(stages[2])], dim=1)
        decoded = self.decoder.block2(joined)
        coarse = self.segmentation_head[0](decoded)
        features = {"backbone": stages[-1], "aspp": aspp, "decoder": decoded, "coarse": coarse}
        return SegmentationOutput(_resize(coarse, stages[0]), (), features)


def _resize(maps: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(maps, size=like.shape[-2:], mode="bilinear", align_corners=True)

"""DeepLabV3 on ResNet-50: torchvision's network, with its features at hand."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torchvision.models.segmentation import deeplabv3_resnet50

from labkit.errors import LabError
from labkit.models.bisenet import resize
from labkit.models.output import SegmentationOutput


class DeepLabV3(nn.Module):
    """DeepLabV3-R50 as in loda2025 (§2.2.2): torchvision's, under torchvision's names, so that its weights fit.

    The last two stages do not stride, which leaves features at 1/8; the ASPP concatenates a 1×1 convolution, three
    atrous ones (rates 12, 24, 36) and the average of the image. The paper names no auxiliary loss. Torchvision's
    network has an auxiliary head on the third stage, for training only; it counts among the live parameters as
    BiSeNet's two heads do: 42,003,046 for 19 classes, of which it is 2,364,691. A method that does not ask for
    auxiliary logits leaves it as it started.

    Trained without a file it starts as torchvision's network does.

    Args:
        num_classes: classes C of the logits.

    Attributes:
        IMAGENET: torchvision's name of the network whose ImageNet weights fit :attr:`backbone`.
        COCO: torchvision's name of weights for the whole network, trained on the pictures of COCO that show the 20
            classes of Pascal VOC; 21 classes with the background.
        CLASSIFIERS: the last layers of the head and of the auxiliary head, whose shapes depend on the classes.
    """

    IMAGENET: ClassVar[str] = "resnet50"
    COCO: ClassVar[str] = "DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1"
    CLASSIFIERS: ClassVar[tuple[str, ...]] = ("classifier.4", "aux_classifier.4")

    def __init__(self, num_classes: int = 19):
        super().__init__()
        self.num_classes = num_classes
        network = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=num_classes, aux_loss=True)
        self.backbone = network.backbone
        self.classifier = network.classifier
        self.aux_classifier = network.aux_classifier

    def forward(self, images: Tensor) -> SegmentationOutput:
        """Segment normalised images, float ``(N, 3, H, W)``; any size.

        Returns:
            Logits ``(N, C, H, W)``; in training mode one auxiliary logits of that shape, else none; features
            ``backbone`` (2048 channels, the last stage) and ``aspp`` (256, after the projection and its dropout), which
            loda2025 aligns (§2.3.2), and ``coarse`` (C, the logits before they are resized), all at 1/8.

        Raises:
            LabError: in training mode with a single image.
        """
        if self.classifier[0].convs[-1][2].training and images.shape[0] < 2:
            raise LabError(
                "DeepLabV3 cannot train on a batch of one image: its image pooling normalises one value per image and "
                "channel, and a single value has no variance. Use a batch size of at least 2 (and drop a last batch of "
                "one), or put the network's batch norms into evaluation mode."
            )
        stages = self.backbone(images)
        coarse = aspp = self.classifier[0](stages["out"])
        for layer in list(self.classifier)[1:]:
            coarse = layer(coarse)
        auxiliary = ()
        if self.training:
            auxiliary = (resize(self.aux_classifier(stages["aux"]), images.shape[-2:]),)
        features = {"backbone": stages["out"], "aspp": aspp, "coarse": coarse}
        return SegmentationOutput(resize(coarse, images.shape[-2:]), auxiliary, features)

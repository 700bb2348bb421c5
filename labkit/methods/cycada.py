"""CyCADA as a baseline: CycleGAN with semantic consistency, then alignment of features (toldo2020 §5.3).

Hoffman et al., *CyCADA: Cycle-Consistent Adversarial Domain Adaptation*, ICML 2018.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from labkit.methods.cyclegan import CycleGAN
from labkit.methods.translation import Translated, feature_channels
from labkit.models.batch_norm import still_statistics
from labkit.models.patch_gan import FeatureDiscriminator
from labkit.settings import setting
from labkit.training.method import SOURCE, TARGET, Batch, Objective, Term


@dataclass
class CyCADA(CycleGAN):
    """Pixel level first, feature level second, each part by itself.

    .. math:: L_1 = L_{i,S} + L_{i,T} + \\lambda_{cycle} L_{cycle} + \\lambda_{sem} L_{sem}, \\qquad
              L_2 = L_{ce}(M, G_{ST}(X_S), Y_S) + \\lambda_{feat} L_f

    In the first part M, as it came from the source, judges whether a translation keeps the content; L₁ reaches the
    generators alone. In the second L_f makes the encoder's features of target pictures look like those of adapted
    source pictures to a discriminator: L_ce reaches all of M, and L_f the encoder, through the target's features alone.

    Attributes:
        lambda_sem: CyCADA's objective has no weights: 1.
        lambda_feat: not given for this network; that of toldo2020's own method.
    """

    name: ClassVar[str] = "cycada"

    lambda_sem: float = setting(1.0, 0)
    lambda_feat: float = setting(1e-4, 0)

    def build(self, model: nn.Module) -> dict[str, nn.Module]:
        """CycleGAN's networks and a discriminator of features."""
        networks = super().build(model)
        if self.lambda_feat:
            networks["discriminator-features"] = FeatureDiscriminator(
                feature_channels(model), self.discriminator_filters
            )
        return networks

    def further_terms(self, batches: Mapping[str, Batch], pictures: Translated) -> dict[str, Term]:
        """The semantic consistency under the fixed segmenter."""
        if not self.lambda_sem:
            return {}
        translated = tuple(self.segment(one) for one in (pictures.source_as_target, pictures.target_as_source))
        original = tuple(self.segment_original(batches[stream].images) for stream in (SOURCE, TARGET))
        return {"semantic": Term(self.semantic(translated, original), self.lambda_sem)}

    def segmentation(self, batches: Mapping[str, Batch], adapted: Tensor) -> Iterator[Objective]:
        """The segmenter's objective, then that of the discriminator of features."""
        if not self.lambda_feat:
            yield from super().segmentation(batches, adapted)
            return
        source = self.segment(adapted)
        with still_statistics(self.model):
            target = self.model(batches[TARGET].images)
        features = [output.features["backbone"] for output in (source, target)]
        alignment = Term(self.deceived("discriminator-features", features[1]), self.lambda_feat)
        yield Objective(self.supervised(source, batches[SOURCE]) | {"feature": alignment})
        yield self.judge("discriminator-features", *features)

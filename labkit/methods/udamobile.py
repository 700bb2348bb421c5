"""toldo2020's method: translation, alignment of features and segmentation in one objective (§3, §4).

.. math:: L_{tot} = (L_{i,S} + L_{i,T}) + \\lambda_{feat} (L_{f,S} + L_{f,T})
          + \\lambda_{cycle} L_{cycle} + \\lambda_{sem} L_{sem} + \\lambda_{ce} L^s_{ce}

Eq. (9) minimises it over G_ST, G_TS and M, and maximises it over the discriminators. So each term reaches whatever it
depends on:

==================  =============  ==========================================  ======================================
term                equation       of L_tot, minimised                         its discriminator's own objective
==================  =============  ==========================================  ======================================
``image-target``    (1)            G_ST                                        D_T
``image-source``    (2)            G_TS                                        D_S
``cycle``           (3)            G_ST, G_TS
``semantic``        (4), (5)       G_ST, G_TS, M
``feature-target``  (6)            G_ST, encoder of M                          D'_T
``feature-source``  (7)            G_TS, encoder of M                          D'_S
``main``            (8), L^s_ce    G_ST, M
==================  =============  ==========================================  ======================================

While M is fixed, the generators' column is what remains. Three things are read into the equations:

- By §3.3 the logarithms become squares, and each adversarial term is split in two: original pictures and features reach
  their discriminator alone, although eq. (6) by itself would also let M_e spoil its features of original pictures.
- The segmentation loss on translated pictures reaches G_ST, since eq. (9) minimises all of L_tot over it ("all the
  networks are simultaneously optimized", §4); §3.3 speaks of M alone. The authors' code keeps the loss from G_ST.
- The semantic loss reaches M too, where §3.2 speaks of the generator; so it does in the authors' code. Its arg-max
  sends no gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from labkit.errors import UnknownNameError
from labkit.methods.translation import GENERATORS, Translation, feature_channels
from labkit.models.batch_norm import still_statistics
from labkit.models.patch_gan import FeatureDiscriminator, ImageDiscriminator
from labkit.settings import setting
from labkit.training.method import SEGMENTER, SOURCE, TARGET, Batch, Objective, Term

PRINTED, PUBLISHED_CODE = "printed", "published-code"
VARIANTS = (PRINTED, PUBLISHED_CODE)


@dataclass
class UDAMobile(Translation):
    """L_tot, with the segmenter fixed for the first steps; it has to start from weights trained on the source.

    A term with weight 0 is not computed. ``main`` is L^s_ce (with the loss of auxiliary heads beside it, where the
    network has such heads), all of it weighted with λ_ce.

    Attributes:
        lambda_cycle, lambda_sem, lambda_feat, lambda_ce: the weights of L_tot (§4).
        frozen_steps: steps in which the segmenter is kept fixed; None for a quarter of all, as 20K are of §4's 80K.
        variant: ``printed``, or what the authors' ``published-code`` has instead: a last layer of stride 1 in the
            discriminators of pictures, L^s_ce that does not reach G_ST, and features that are aligned, and judged, only
            from the end of the fixed phase on. Its λ_cycle is 10.
    """

    name: ClassVar[str] = "udamobile"

    lambda_cycle: float = setting(20.0, 0)
    lambda_sem: float = setting(0.1, 0)
    lambda_feat: float = setting(1e-4, 0)
    lambda_ce: float = setting(1.0, 0)
    frozen_steps: int | None = setting(None, 0)
    variant: str = PRINTED

    def build(self, model: nn.Module) -> dict[str, nn.Module]:
        """Generators, discriminators of pictures and, unless λ_feat is 0, of features; raises for another variant."""
        if self.variant not in VARIANTS:
            raise UnknownNameError("variant", self.variant, VARIANTS)
        networks = super().build(model)
        if self.lambda_feat:
            channels = feature_channels(model)
            for domain in (TARGET, SOURCE):
                networks[f"discriminator-features-{domain}"] = FeatureDiscriminator(
                    channels, self.discriminator_filters
                )
        return networks

    def image_discriminator(self) -> nn.Module:
        """toldo2020's own."""
        return ImageDiscriminator(self.variant, filters=self.discriminator_filters)

    @property
    def segmenter_begins(self) -> int:
        """The step after the last one of the fixed phase."""
        return self.steps // 4 if self.frozen_steps is None else self.frozen_steps

    def objectives(self, batches: Mapping[str, Batch]) -> Iterator[Objective]:
        """L_tot, then each discriminator's objective."""
        as_code = self.variant == PUBLISHED_CODE
        task = self.lambda_ce > 0 and not (as_code and self.segmenter_fixed)
        aligned = self.lambda_feat > 0 and not (as_code and self.segmenter_fixed)
        compared = self.lambda_sem > 0 or aligned

        pictures = self.translate(batches)
        terms, judged = self.image_terms(pictures), []
        if compared or (task and not as_code):
            adapted = self.segment(pictures.source_as_target)
        if compared:
            with still_statistics(self.model):
                restyled = self.segment(pictures.target_as_source)
            source, target = (self.segment_original(batches[stream].images) for stream in (SOURCE, TARGET))
        if self.lambda_sem:
            terms["semantic"] = Term(self.semantic((adapted, restyled), (source, target)), self.lambda_sem)
        if aligned:
            for domain, original, translated in ((TARGET, target, adapted), (SOURCE, source, restyled)):
                discriminator = f"discriminator-features-{domain}"
                original = self.judged_original(batches[domain].images, original)
                features = [output.features["backbone"] for output in (original, translated)]
                terms[f"feature-{domain}"] = Term(self.deceived(discriminator, features[1]), self.lambda_feat)
                judged.append((discriminator, features[0], features[1].detach()))
        if task:
            output = self.segment(pictures.source_as_target.detach()) if as_code else adapted
            supervised = self.supervised(output, batches[SOURCE])
            terms |= {name: Term(term.loss, self.lambda_ce * term.weight) for name, term in supervised.items()}

        learns = not self.segmenter_fixed and (task or compared)
        yield Objective(terms, optimizer=(GENERATORS, SEGMENTER) if learns else GENERATORS)
        yield from self.image_judges(pictures)
        for discriminator, original, translated in judged:
            yield self.judge(discriminator, original, translated)

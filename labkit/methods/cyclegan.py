"""CycleGAN as a baseline of adaptation: first learn to translate, then learn from translated pictures (toldo2020 §5.3).

Zhu et al., *Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks*, ICCV 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from labkit.methods.translation import GENERATORS, Translated, Translation
from labkit.models.picture_range import to_generator
from labkit.settings import setting
from labkit.training.method import SEGMENTER, SOURCE, Batch, Objective, Term


@dataclass
class CycleGAN(Translation):
    """Two trainings in one: generators alone, then the segmenter on source pictures that the finished G_ST translates.

    .. math:: L_1 = L_{i,S} + L_{i,T} + \\lambda_{cycle} L_{cycle}, \\qquad L_2 = L_{ce}(M, G_{ST}(X_S), Y_S)

    That is translating the data set and training on it, without the data set: labels are unchanged. L₁ reaches the
    generators, L₂ the segmenter. The generators' rate is constant for the first half of their steps and then falls
    linearly to 0, as in CycleGAN, which also gives λ_cycle; the segmenter's schedule begins with its own part.

    Attributes:
        translation_steps: steps of the first training; None for half of all.
    """

    name: ClassVar[str] = "cyclegan"

    translation_steps: int | None = setting(None, 0)

    @property
    def segmenter_begins(self) -> int:
        """The step after the last one of the translation."""
        return self.steps // 2 if self.translation_steps is None else self.translation_steps

    def learning_rate_factor(self, network: str, step: int, recipe: Callable[[int], float]) -> float:
        """CycleGAN's schedule for generators and discriminators of pictures."""
        last = self.segmenter_begins
        if network == SEGMENTER or step >= last:
            return super().learning_rate_factor(network, step, recipe)
        return min(1.0, 2 * (1 - step / last))

    def objectives(self, batches: Mapping[str, Batch]) -> Iterator[Objective]:
        """Generators and discriminators in the first part, the segmenter in the second."""
        if self.segmenter_fixed:
            pictures = self.translate(batches)
            yield Objective(self.image_terms(pictures) | self.further_terms(batches, pictures), optimizer=GENERATORS)
            yield from self.image_judges(pictures)
        else:
            with torch.no_grad():
                adapted = self.networks[GENERATORS]("to_target", to_generator(batches[SOURCE].images))
            yield from self.segmentation(batches, adapted)

    def further_terms(self, batches: Mapping[str, Batch], pictures: Translated) -> dict[str, Term]:
        """What else the generators minimise: nothing."""
        return {}

    def segmentation(self, batches: Mapping[str, Batch], adapted: torch.Tensor) -> Iterator[Objective]:
        """The second part's objectives, given G_ST(x_S) in [−1, 1] without gradient."""
        yield Objective(self.supervised(self.segment(adapted), batches[SOURCE]))


@dataclass
class CycleGANTranslation(CycleGAN):
    """The first of CycleGAN's two trainings alone: generators for others to translate with; nothing is segmented.

    yan2022 (§III) preprocesses its source pictures with such generators. The segmenter stays as it starts, so
    the score of such a run says nothing; ``translation_steps`` is without effect.
    """

    name: ClassVar[str] = "cyclegan-translation"
    batch_norm: ClassVar[str] = "none: no picture passes through the segmenter"

    @property
    def segmenter_begins(self) -> int:
        """Never: after the last step."""
        return self.steps

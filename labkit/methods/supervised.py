"""Source only and oracle: the two supervised trainings between which adaptation takes place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from labkit.losses.cross_entropy import AUXILIARY_WEIGHT, auxiliary_cross_entropy
from labkit.losses.dice import dice_loss
from labkit.losses.focal import focal_loss
from labkit.models.output import SegmentationOutput
from labkit.settings import setting
from labkit.training.method import LABELLED_TARGET, SOURCE, Batch, Method, Objective, Term


@dataclass
class SourceOnly(Method):
    """Train on labelled source pictures, never see the target (baitan2025 §3.1, §4.3).

    .. math:: L_{total} = L_{main} + \\beta \\sum_m L_{aux_m}

    L_main is cross-entropy; with γ the focal loss of baitan2025 §4.6; with λ_Dice the mixture of loda2025 §2.3.1,
    (1 − λ) · L_CE + λ · L_Dice. The auxiliary heads keep plain cross-entropy, which no paper says otherwise.

    Attributes:
        beta: weight β of the auxiliary losses.
        gamma: γ of the focal loss; 0 is cross-entropy.
        dice: λ_Dice.
    """

    name: ClassVar[str] = "source-only"
    streams: ClassVar[tuple[str, ...]] = (SOURCE,)
    batch_norm: ClassVar[str] = "statistics of source pictures alone"

    beta: float = setting(AUXILIARY_WEIGHT, 0)
    gamma: float = setting(0.0, 0)
    dice: float = setting(0.0, 0, 1)

    def objectives(self, batches: Mapping[str, Batch]) -> Iterator[Objective]:
        """The supervised loss on the one stream there is."""
        batch = batches[self.streams[0]]
        yield Objective(self.supervised(self.model(batch.images), batch))

    def supervised(self, output: SegmentationOutput, batch: Batch) -> dict[str, Term]:
        """The terms of a labelled batch."""
        main = focal_loss(output.logits, batch.labels, self.gamma)
        terms = {
            "main": Term(main, 1 - self.dice),
            "auxiliary": Term(auxiliary_cross_entropy(output.auxiliary, batch.labels), self.beta),
        }
        if self.dice:
            terms["dice"] = Term(dice_loss(output.logits, batch.labels), self.dice)
        return terms


@dataclass
class Oracle(SourceOnly):
    """The same training on the *labelled target*: what would be reached if labels cost nothing (baitan2025 §4.2)."""

    name: ClassVar[str] = "oracle"
    streams: ClassVar[tuple[str, ...]] = (LABELLED_TARGET,)
    batch_norm: ClassVar[str] = "statistics of target pictures alone"

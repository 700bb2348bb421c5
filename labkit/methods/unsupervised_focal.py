"""Stage one of yan2022: two views of a target picture agree, and hard classes get thresholds of their own (§III-B).

.. math:: L_u = L_{shan}(\\hat p_t) + L_{KL'}(\\hat p_t, p_{t^*})

The weak view is the target picture as it comes, the strong one its perturbed copy g(x_t). The paper moves the
prediction of the weak view along ("the same perturbation", §III); we move its logits, so that p̂_t is a distribution
wherever pixels are blended. Pixels that g brings in from outside of the picture do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from labkit.data.perturbation import Perturbation
from labkit.data.transforms import layout
from labkit.labels import TRAIN_LABELS
from labkit.losses.thresholds import confident, update_thresholds
from labkit.losses.unsupervised import neutral_cross_entropy, unsupervised_focal
from labkit.methods.entropy_minimisation import EntropyMinimisation
from labkit.methods.supervised import SourceOnly
from labkit.models.batch_norm import still_statistics
from labkit.models.output import SegmentationOutput
from labkit.settings import setting
from labkit.training.method import Batch, Term


@dataclass
class Neutral(EntropyMinimisation):
    """Neutral cross-entropy (Xu et al., TIP 2021) as yan2022 compares it: eq. (5) with γ = 0, and a fixed threshold.

    Perturbations are after §IV-C, colours and all ranges ours: :class:`labkit.data.perturbation.Perturbation`.
    """

    name: ClassVar[str] = "neutral"
    batch_norm: ClassVar[str] = (
        "each batch by itself; running statistics of source and target pictures in turn, not of perturbed ones"
    )
    perturbation: ClassVar[Perturbation] = Perturbation()

    def unsupervised(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """L_u of the two views, and I_t at the places of the strong one. Draws from torch's global generator."""
        weak = self.forward_target(images).logits
        thresholds = self.thresholds_after(weak.detach())
        drawn = self.perturbation.draw(len(images), tuple(images.shape[-2:]), device=images.device)
        perturbed = drawn.images(images).contiguous(memory_format=layout(images.device))
        with still_statistics(self.model):
            strong = self.model(perturbed).logits
        moved = drawn.maps(weak)
        mask = confident(moved.detach().float().softmax(dim=1), thresholds) & drawn.inside
        return self.consistency(moved, strong, mask), mask

    def thresholds_after(self, weak: Tensor) -> Tensor | float:
        """The thresholds of I_t, for each class or for all, once these logits of target pictures have been seen."""
        return self.threshold

    def consistency(self, weak: Tensor, strong: Tensor, mask: Tensor) -> Tensor:
        """L_u, a scalar, of both views' logits ``(N, C, H, W)`` within I_t."""
        return neutral_cross_entropy(weak, strong, mask)


@dataclass
class UnsupervisedFocal(Neutral):
    """The threshold-adaptive unsupervised focal loss: eq. (5) with I_t by a threshold α for each class, eqs. (8), (9).

    α follows every target picture in turn, before its own I_t is taken: also the micro-batches of one step. Of several
    devices each has its own α; a resumed training goes on with the first one's on all.

    Attributes:
        lambda_u: λ_u; 0.05 is the best of Fig. 7.
        threshold: where α begins.
        gamma: γ of eq. (4); the loss on the source stays cross-entropy.
        a: memory of α; with 1 it stays where it begins.
        b: share of a class's pixels that its next threshold lets pass, where α is 1.
        d: how much smaller that share is for classes with a low α.
    """

    name: ClassVar[str] = "unsupervised-focal"

    lambda_u: float = setting(0.05, 0)
    gamma: float = setting(2.0, 0)
    a: float = setting(0.9, 0, 1)
    b: float = setting(0.8, 0, 1)
    d: float = setting(8.0, 0)

    def build(self, model: nn.Module) -> dict[str, nn.Module]:
        """No networks; α_0."""
        self.thresholds = torch.full((model.num_classes,), self.threshold)
        return {}

    def supervised(self, output: SegmentationOutput, batch: Batch) -> dict[str, Term]:
        """The terms of a labelled batch, to which this γ does not belong."""
        return SourceOnly(beta=self.beta, dice=self.dice).supervised(output, batch)

    def thresholds_after(self, weak: Tensor) -> Tensor:
        """α_k, by what the network makes of the unperturbed pictures."""
        confidence, prediction = weak.float().softmax(dim=1).max(dim=1)
        previous = self.thresholds.to(weak.device)
        self.thresholds = update_thresholds(previous, confidence, prediction, self.a, self.b, self.d)
        return self.thresholds

    def consistency(self, weak: Tensor, strong: Tensor, mask: Tensor) -> Tensor:
        """Eq. (5)."""
        return unsupervised_focal(weak, strong, self.gamma, mask)

    def watched(self) -> dict[str, Tensor]:
        """α, class by class."""
        values = zip(TRAIN_LABELS, self.thresholds.unbind(), strict=True)
        return {f"threshold/{label.name}": value for label, value in values}

    def state_dict(self) -> dict:
        """α."""
        return {"thresholds": self.thresholds}

    def load_state_dict(self, state: dict) -> None:
        """Take α back; the next step brings it to the device."""
        self.thresholds = state["thresholds"]

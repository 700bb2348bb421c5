"""Entropy minimisation: supervised on the source, and on the target a loss that asks for certainty (yan2022 §III-A).

.. math:: Loss = L_s(x_s, y_s) + \\lambda_u L_u(x_t)

Eq. (1). The losses L_u of the papers that yan2022 compares itself with differ in how much a pixel counts that is
certain already; they stand side by side here, with one mask I_t of confident pixels for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from labkit.losses.thresholds import confident
from labkit.losses.unsupervised import confidence_entropy, maximum_squares, shannon_entropy
from labkit.methods.supervised import SourceOnly
from labkit.models.batch_norm import still_statistics
from labkit.models.output import SegmentationOutput
from labkit.settings import setting
from labkit.training.method import SOURCE, TARGET, Batch, Objective, Term


@dataclass
class EntropyMinimisation(SourceOnly):
    """Base of the methods with an unsupervised loss on the target; it has no such loss of its own.

    L_s and L_u are two objectives of the segmenter: their gradients add up, and the memory of one is free before the
    other needs it. L_u judges the main head alone; auxiliary heads learn from the source.

    Attributes:
        lambda_u: λ_u. With 0 the target still passes through the network: see ``target_statistics``.
        threshold: t of I_t; a pixel counts if its largest probability is above it.
        target_statistics: whether target pictures, as they come, move the running statistics of batch norm. Switched
            off, and with λ_u = 0, this is source-only training.
    """

    streams: ClassVar[tuple[str, ...]] = (SOURCE, TARGET)
    batch_norm: ClassVar[str] = "each batch by itself; running statistics of source and target pictures in turn"

    lambda_u: float = setting(0.01, 0)
    threshold: float = setting(0.8, 0, 1)
    target_statistics: bool = True

    def objectives(self, batches: Mapping[str, Batch]) -> Iterator[Objective]:
        """L_s, then λ_u L_u; watched is the share of the target's pixels that I_t has."""
        yield Objective(self.supervised(self.model(batches[SOURCE].images), batches[SOURCE]))
        loss, mask = self.unsupervised(batches[TARGET].images)
        watched = {"unsupervised share": mask.float().mean(), **self.watched()}
        yield Objective({"unsupervised": Term(loss, self.lambda_u)}, watched=watched)

    def unsupervised(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """L_u of target pictures ``(N, 3, H, W)``, and the mask I_t, bool ``(N, H, W)``."""
        logits = self.forward_target(images).logits
        mask = confident(logits.detach().float().softmax(dim=1), self.threshold)
        return self.unsupervised_loss(logits, mask), mask

    def forward_target(self, images: Tensor) -> SegmentationOutput:
        """The network's answer for target pictures as they come."""
        with nullcontext() if self.target_statistics else still_statistics(self.model):
            return self.model(images)

    def unsupervised_loss(self, logits: Tensor, mask: Tensor) -> Tensor:
        """L_u, a scalar, of logits ``(N, C, H, W)`` within I_t."""
        raise NotImplementedError(f"{type(self).__name__} has no unsupervised loss")

    def watched(self) -> dict[str, Tensor]:
        """Further columns of the metrics."""
        return {}


@dataclass
class Shannon(EntropyMinimisation):
    """Shannon's entropy (eq. 2; without adversary the direct minimisation of ADVENT, Vu et al., CVPR 2019)."""

    name: ClassVar[str] = "shannon"

    def unsupervised_loss(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Eq. (2)."""
        return shannon_entropy(logits, mask)


@dataclass
class MaximumSquares(EntropyMinimisation):
    """Maximum squares (Chen et al., ICCV 2019): the gradient of a certain pixel grows linearly, not beyond all bounds.

    Attributes:
        image_wise: whether classes that a picture shows little of weigh more. yan2022 suspects that the loss needs it
            (§IV-D.1), and reports it without.
    """

    name: ClassVar[str] = "maxsquares"

    lambda_u: float = setting(0.005, 0)
    image_wise: bool = False

    def unsupervised_loss(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Minus half the mean square of the probabilities."""
        return maximum_squares(logits, mask, self.image_wise)


@dataclass
class ConfidenceEntropy(EntropyMinimisation):
    """Confidence-aware entropy. No paper of the course defines it: ours is in labkit.losses.unsupervised."""

    name: ClassVar[str] = "confidence"

    def unsupervised_loss(self, logits: Tensor, mask: Tensor) -> Tensor:
        """The entropy of each pixel, weighted by its confidence."""
        return confidence_entropy(logits, mask)

"""Maximum mean discrepancy: make the two domains' features look alike on average (loda2025 §2.3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from labkit.errors import LabError
from labkit.losses.dice import DICE_WEIGHT
from labkit.losses.mmd import mmd
from labkit.methods.supervised import SourceOnly
from labkit.models.output import SegmentationOutput
from labkit.settings import setting
from labkit.training.method import SOURCE, TARGET, Batch, Objective, Term


@dataclass
class MMD(SourceOnly):
    """Segmentation loss on the source, plus the discrepancy between the backbone's features of both domains.

    .. math:: L = L_{Seg}(p, g) + \\lambda_{MMD} L_{MMD}(s, r)

    One picture is one vector. loda2025 does not say how a map of features becomes one: pooled to a mean for each
    channel (``pooled``), or as long as the map has values.

    Attributes:
        dice: λ_Dice, 0.3 in §2.3.1.
        lambda_mmd: λ_MMD; §3.2 tries 0.2, 0.1, 0.05 and 0.01.
        kernel: ``printed`` (without exp), ``rbf`` or ``median``, see :mod:`labkit.losses.mmd`.
        sigma: σ, 1 in the paper; of the kernel ``median`` a factor on its own.
        pooled: whether features are averaged over the picture first.
        unbiased: which estimate of MMD².
    """

    name: ClassVar[str] = "mmd"
    streams: ClassVar[tuple[str, ...]] = (SOURCE, TARGET)
    batch_norm: ClassVar[str] = "each batch by itself; running statistics of source and target pictures in turn"
    taps: ClassVar[tuple[str, ...]] = ("backbone",)

    dice: float = setting(DICE_WEIGHT, 0, 1)
    lambda_mmd: float = setting(0.05, 0)
    kernel: str = "printed"
    sigma: float = setting(1.0, 1e-6)
    pooled: bool = True
    unbiased: bool = False

    def objectives(self, batches: Mapping[str, Batch]) -> Iterator[Objective]:
        """One objective: supervised terms and the mean discrepancy over the levels."""
        source = self.model(batches[SOURCE].images)
        target = self.model(batches[TARGET].images)
        levels = [
            mmd(self.vectors(source, tap), self.vectors(target, tap), self.kernel, self.sigma, unbiased=self.unbiased)
            for tap in self.taps
        ]
        discrepancy = torch.stack(levels).mean()
        yield Objective({**self.supervised(source, batches[SOURCE]), "mmd": Term(discrepancy, self.lambda_mmd)})

    def vectors(self, output: SegmentationOutput, tap: str) -> Tensor:
        """A vector for each picture, float32 ``(N, d)``, from one of the network's features."""
        if tap not in output.features:
            raise LabError(f"{self.name} aligns the features {tap!r}; this network has {', '.join(output.features)}")
        maps = output.features[tap].float()
        return maps.mean(dim=(2, 3)) if self.pooled else maps.flatten(1)


@dataclass
class MultiLevelMMD(MMD):
    """The mean discrepancy of two levels, the backbone and the ASPP; of the networks here DeepLabV3 has both."""

    name: ClassVar[str] = "mmd-multilevel"
    taps: ClassVar[tuple[str, ...]] = ("backbone", "aspp")

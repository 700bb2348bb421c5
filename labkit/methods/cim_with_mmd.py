"""Two papers in one: yan2022's stage two, and loda2025's discrepancy between the features; neither paper tried it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from labkit.losses.mmd import mmd
from labkit.methods.cim import CIM
from labkit.models.batch_norm import still_statistics
from labkit.settings import setting
from labkit.training.method import SOURCE, TARGET, Batch, Objective, Term


@dataclass
class CIMWithMMD(CIM):
    """Stage two, plus λ_MMD times the MMD² of both domains' features, pooled to one vector for each picture.

    The features come from passes of their own, which leave the running statistics alone: what was there without MMD
    stays as it was.

    Attributes:
        lambda_mmd: λ_MMD; loda2025 §3.2 tries 0.2, 0.1, 0.05 and 0.01.
        kernel: as of :class:`labkit.methods.mmd.MMD`.
    """

    name: ClassVar[str] = "cim-mmd"

    lambda_mmd: float = setting(0.05, 0)
    kernel: str = "median"

    def objectives(self, batches: Mapping[str, Batch]) -> Iterator[Objective]:
        """Stage two's objectives, then the discrepancy."""
        yield from super().objectives(batches)
        with still_statistics(self.model):
            source, target = (self.pooled_features(batches[stream].images) for stream in (SOURCE, TARGET))
        yield Objective({"mmd": Term(mmd(source, target, self.kernel), self.lambda_mmd)})

    def pooled_features(self, images: Tensor) -> Tensor:
        """The backbone's features, averaged over each picture: float32 ``(N, d)``."""
        return self.model(images).features["backbone"].float().mean(dim=(2, 3))

"""Adaptive batch norm: learn from the source, but keep the target's statistics (Li et al., 2016)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from labkit.methods.supervised import SourceOnly
from labkit.models.batch_norm import still_statistics
from labkit.training.method import SOURCE, TARGET, Batch, Objective


@dataclass
class AdaptiveBatchNorm(SourceOnly):
    """Source-only training whose running statistics are the target's.

    Weights, and their gradients, see source pictures alone, each batch normalised by itself. Target pictures pass
    through without gradient, and they alone move what the network normalises by when it is tested. It is the cheapest
    adaptation there is, hidden in every method that forwards target pictures: so it has to be measured by itself.
    """

    name: ClassVar[str] = "adabn"
    streams: ClassVar[tuple[str, ...]] = (SOURCE, TARGET)
    batch_norm: ClassVar[str] = "running statistics of target pictures alone"

    def objectives(self, batches: Mapping[str, Batch]) -> Iterator[Objective]:
        """The supervised loss on the source; nothing of the target but its statistics."""
        with torch.no_grad():
            self.model(batches[TARGET].images)
        with still_statistics(self.model):
            output = self.model(batches[SOURCE].images)
        yield Objective(self.supervised(output, batches[SOURCE]))

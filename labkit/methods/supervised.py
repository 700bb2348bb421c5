"""Source only and oracle: the two supervised trainings between which adaptation takes place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from labkit.losses.cross_entropy import AUXILIARY_WEIGHT, auxiliary_cross_entropy, cross_entropy
from labkit.settings import setting
from labkit.training.method import LABELLED_TARGET, SOURCE, Batch, Method, Objective, Term


@dataclass
class SourceOnly(Method):
    """Train on labelled source pictures, never see the target (baitan2025 §3.1, §4.3).

    .. math:: L_{total} = L_{main} + \\beta \\sum_m L_{aux_m}

    Attributes:
        beta: weight β of the auxiliary losses.
    """

    name: ClassVar[str] = "source-only"
    streams: ClassVar[tuple[str, ...]] = (SOURCE,)
    batch_norm: ClassVar[str] = "statistics of source pictures alone"

    beta: float = setting(AUXILIARY_WEIGHT, 0)

    def objectives(self, batches: Mapping[str, Batch]) -> Iterator[Objective]:
        """Cross-entropy of the main and the auxiliary heads on the one stream there is."""
        batch = batches[self.streams[0]]
        output = self.model(batch.images)
        yield Objective(
            {
                "main": Term(cross_entropy(output.logits, batch.labels)),
                "auxiliary": Term(auxiliary_cross_entropy(output.auxiliary, batch.labels), self.beta),
            }
        )


@dataclass
class Oracle(SourceOnly):
    """The same training on the *labelled target*: what would be reached if labels cost nothing (baitan2025 §4.2)."""

    name: ClassVar[str] = "oracle"
    streams: ClassVar[tuple[str, ...]] = (LABELLED_TARGET,)
    batch_norm: ClassVar[str] = "statistics of target pictures alone"

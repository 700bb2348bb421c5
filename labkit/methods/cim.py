"""Stage two of yan2022: cross-domain image mixing (CIM), with boundary enhancement and long-tail pasting (§III-C).

.. math:: Loss = L_s(x_s, y_s) + \\lambda_u L_u(x_t) + \\lambda_m L_m(x_m, y_m)

Eq. (12). A mixed picture x_m shows half of the classes of a source picture upon a target picture. Before that, classes
with low thresholds are pasted into the source picture, which L_s sees without them. The target's labels are what
the network of stage one makes of the picture as it comes.
"""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from labkit.data.class_database import build_class_database
from labkit.data.dataset import Sample, SegmentationDataset
from labkit.data.formats import data_root
from labkit.data.mixing import boundary_weights, half_of_classes, mix, paste, selection_probabilities
from labkit.data.transforms import layout, normalize, to_batch, to_device, to_float
from labkit.data.windows import at_one_size, window_with
from labkit.losses.weighted_cross_entropy import weighted_cross_entropy
from labkit.methods.unsupervised_focal import UnsupervisedFocal
from labkit.models.batch_norm import still_statistics
from labkit.settings import setting
from labkit.training.method import SOURCE, TARGET, Batch, Objective, Term

log = logging.getLogger(__name__)

LABELLER = "labeller"


@dataclass
class CIM(UnsupervisedFocal):
    """Stage one's losses, and cross-entropy on mixed pictures. It begins like stage one, not with its result.

    The thresholds begin at ``threshold`` again, not where stage one left them, which the paper does not say. The
    labeller, a network of the segmenter's kind with the weights of stage one, never learns. What the paper
    leaves open: how many classes are pasted, that a class comes from a picture as stored, that pictures of two sizes
    are mixed at the smaller height and width, cropped at random, and that L_m judges the main head alone.

    Attributes:
        lambda_m: λ_m; 1 is the best of Fig. 8.
        pasted: classes that are pasted into each source picture; Fig. 4 shows two.
        boundary_size: side of the field around each boundary point in which W_m is large, in pixels, odd.
        boundary_weight: W_m there; it is 1 elsewhere.
    """

    name: ClassVar[str] = "cim"
    batch_norm: ClassVar[str] = (
        "each batch by itself; running statistics of source and target pictures in turn, not of perturbed or mixed ones"
    )
    given: ClassVar[tuple[str, ...]] = (LABELLER,)

    lambda_m: float = setting(1.0, 0)
    pasted: int = setting(2, 0)
    boundary_size: int = setting(7, 1)
    boundary_weight: float = setting(2.0, 0)

    def build(self, model: nn.Module) -> dict[str, nn.Module]:
        """The labeller, until it is given its weights a copy of the segmenter; and α_0."""
        return {**super().build(model), LABELLER: copy.deepcopy(model).requires_grad_(False)}

    def receive(self, labelled: Mapping[str, SegmentationDataset]) -> None:
        """The source pictures, and which of them show which class."""
        self.pictures = labelled[SOURCE]
        if self.pasted:
            log.info("class database: which of %d source pictures show which class", len(self.pictures))
            self.database = build_class_database(self.pictures, _database_folder(self.pictures))

    def training_mode(self) -> None:
        """The labeller is always in evaluation mode."""
        super().training_mode()
        self.networks[LABELLER].eval()

    def objectives(self, batches: Mapping[str, Batch]) -> Iterator[Objective]:
        """L_s, λ_u L_u, and λ_m L_m."""
        yield from super().objectives(batches)
        images, labels, weights = self.mixed(batches[SOURCE], batches[TARGET].images)
        with still_statistics(self.model):
            logits = self.model(images).logits
        yield Objective({"mixed": Term(weighted_cross_entropy(logits, labels, weights), self.lambda_m)})

    def mixed(self, source: Batch, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x_m, y_m and W_m, eqs. (10) and (11). Draws from torch's global generator.

        Returns:
            Images ``(N, 3, h, w)``, labels int64 ``(N, h, w)``, weights float ``(N, h, w)``.
        """
        with torch.no_grad():
            pseudo_labels = self.networks[LABELLER](target).logits.argmax(dim=1)
        pictures = at_one_size(self.with_long_tail(source), (target, pseudo_labels))
        mask = half_of_classes(pictures[1])
        images, labels = mix(mask, *pictures)
        images = images.contiguous(memory_format=layout(images.device))
        return images, labels, boundary_weights(mask, self.boundary_size, self.boundary_weight)

    def with_long_tail(self, source: Batch) -> tuple[Tensor, Tensor]:
        """x_s′ and y_s′: each source picture with the classes that were drawn for it, each from another picture."""
        images, labels = source.images, source.labels
        if not self.pasted:
            return images, labels
        for classes in self.drawn_classes(len(images)).T.tolist():
            samples = [self.picture_of(train_id, tuple(images.shape[-2:])) for train_id in classes]
            others = to_batch(samples)
            other_images = normalize(to_float(to_device(others.images, images.device)))
            other_labels = to_device(others.labels, images.device).long()
            chosen = [(train_id,) for train_id in classes]
            images, labels = paste(images, labels, other_images, other_labels, chosen)
        return images, labels

    def drawn_classes(self, count: int) -> Tensor:
        """For each of ``count`` pictures ``pasted`` distinct classes, int64 ``(count, k)`` on the CPU.

        k is smaller where fewer classes have any probability. To know α, the host waits for the device here.
        """
        probabilities = selection_probabilities(self.thresholds, self.database.classes)
        distinct = min(self.pasted, int(probabilities.count_nonzero()))
        return torch.multinomial(probabilities.expand(count, -1), distinct)

    def picture_of(self, train_id: int, size: tuple[int, int]) -> Sample:
        """A source picture with a class, drawn at random; where it is of another size, a window around the class."""
        indices = self.database.pictures_with(train_id)
        sample = self.pictures[int(indices[int(torch.randint(len(indices), ()))])]
        return window_with(sample, train_id, size)


def _database_folder(dataset: SegmentationDataset) -> Path | None:
    """Where the class database of a data set on disk is kept, with the caches; of a generated one nowhere."""
    while hasattr(dataset, "dataset"):  # what holds it in memory, say
        dataset = dataset.dataset
    root = data_root()
    return root / "cache" if hasattr(dataset, "root") and os.access(root, os.W_OK) else None

"""Which network each term of a method's step reaches, measured on pictures of both domains."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import torch

from labkit.data.dataset import SegmentationDataset
from labkit.data.selection import evenly
from labkit.data.transforms import to_batch
from labkit.evaluation.gradients import gradient_norms
from labkit.evaluation.predict import normalized
from labkit.lab import Lab
from labkit.methods.registry import create_method
from labkit.models.registry import create_model
from labkit.training.method import SOURCE, TARGET, Batch

if TYPE_CHECKING:
    import pandas


def gradient_reach(
    lab: Lab,
    method: str,
    model: str = "bisenet",
    pictures: int = 2,
    *,
    step: int = 0,
    steps: int = 1,
    by_part: Collection[str] = (),
    weights: str = "none",
    **settings: Any,
) -> pandas.DataFrame:
    """The norm of the gradient of each weighted term with respect to each network, before a method's own have learned.

    A dash where the term does not depend on a network. The loop collects a gradient only for the networks whose
    optimisers the objective names, in the last column.

    Args:
        lab: whose pictures, and whose seed for the weights of all networks.
        method: name of one that learns from source and target pictures.
        model: name of the segmenter.
        pictures: of each domain.
        step, steps: which step of how many, for a method with phases.
        by_part: networks to be shown by their parts (encoder and decoder), a column each.
        weights: what the segmenter starts from, as for :meth:`labkit.lab.Lab.experiment`.
        settings: hyperparameters of the method.
    """
    import pandas

    chosen, segmenter = create_method(method, **settings), create_model(model, weights=weights, seed=lab.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(lab.seed)
        own = chosen.build(segmenter)
    chosen.model, chosen.networks = segmenter, own
    chosen.training_mode()
    chosen.begin_step(step, steps)
    networks = {}
    for name, network in {"segmenter": segmenter, **own}.items():
        networks |= dict(network.named_children()) if name in by_part else {name: network}
    batches = {SOURCE: _batch(lab.source(), pictures, True), TARGET: _batch(lab.unlabelled_target(), pictures, False)}
    rows = {}
    for objective in chosen.objectives(batches):
        for name, term in objective.terms.items():
            norms = gradient_norms(term.weight * term.loss, networks)
            rows[name] = {to: "–" if norm is None else f"{norm:.2g}" for to, norm in norms.items()}
            rows[name]["taken by"] = ", ".join(objective.optimizers)
    return pandas.DataFrame.from_dict(rows, orient="index").rename_axis("term")


def _batch(dataset: SegmentationDataset, count: int, labelled: bool) -> Batch:
    pixels = to_batch([dataset[i] for i in evenly(len(dataset), count)])
    return Batch(normalized(pixels.images), pixels.labels.long() if labelled else None, pixels.names)

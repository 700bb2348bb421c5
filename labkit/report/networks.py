"""Networks side by side: what one picture costs on this machine, and what recorded trainings of theirs reached."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from labkit.evaluation.cost import Latency, count_parameters, measure_latency, multiply_adds
from labkit.evaluation.pareto import pareto_front
from labkit.models.registry import create_model
from labkit.profiles import pair_named
from labkit.report.results import RESULTS, load_results
from labkit.report.spread import deviation, percent_text
from labkit.report.tables import Noted, Words

NETWORKS = {
    "BiSeNet": "bisenet",
    "DeepLabV3+": "deeplabv3plus",
    "U-Net": "unet",
    "DeepLabV3": "deeplabv3",
    "DeepLabV2": "deeplabv2",
}
"""Names on the command line by title; DeepLabV3+ on MobileNetV2, U-Net and DeepLabV3 on ResNet-50."""

RECORDED = {
    "source only": {
        "BiSeNet": ("baitan2025.table2", "source only"),
        "DeepLabV3+": ("toldo2020.table1", "Source only"),
        "U-Net": ("loda2025.table3", "U-Net 480x256"),
        "DeepLabV3": ("loda2025.table3", "DeepLabV3 480x256"),
    },
    "oracle": {
        "BiSeNet": ("baitan2025.table2", "oracle"),
        "DeepLabV3+": ("toldo2020.table1", "Oracle"),
        "DeepLabV2": ("baitan2025.table1", "DeepLabV2"),
    },
}
"""By training and network, the sweep and its row that trained it alone."""


class NetworkCost(NamedTuple):
    """A network's cost for one picture, and the recorded scores of its trainings.

    Attributes:
        parameters, multiply_adds: numbers, as :mod:`labkit.evaluation.cost` counts them.
        latency: here.
        scores: mIoU in 0–1, ``(seeds,)``, by the trainings of :data:`RECORDED` that have been recorded.
    """

    parameters: int
    multiply_adds: int
    latency: Latency
    scores: dict[str, np.ndarray]


def network_costs(
    pair: str,
    size: tuple[int, int],
    device: torch.device,
    *,
    repeats: int | None = None,
    profile: str = "mini",
    folder: Path = RESULTS,
) -> dict[str, NetworkCost]:
    """Measure every network for one picture of ``size`` on ``device``, with what is recorded of it.

    Args:
        pair, profile: of the recorded trainings.
        size: height and width, multiples of 32.
        device: where to compute.
        repeats: timed passes of each; by default as :func:`labkit.evaluation.cost.measure_latency` has it.
        folder: of the recorded results.
    """
    found = {}
    for title, name in NETWORKS.items():
        model = create_model(name, seed=0)
        scores = {
            training: score
            for training, rows in RECORDED.items()
            if title in rows and (score := _recorded(*rows[title], pair, profile, folder)) is not None
        }
        found[title] = NetworkCost(
            count_parameters(model).live,
            sum(multiply_adds(model, size).values()),
            measure_latency(model, size, device, repeats),
            scores,
        )
    return found


def _recorded(sweep: str, name: str, pair: str, profile: str, folder: Path) -> np.ndarray | None:
    outcome = load_results(sweep, pair, profile, folder)
    row = next((row for row in outcome["rows"] if row["name"] == name), None) if outcome else None
    return np.array(row["miou"]) if row else None


def network_table(costs: Mapping[str, NetworkCost], pair: str, size: tuple[int, int], profile: str = "mini") -> Noted:
    """Cost and recorded accuracy, a row for each network; a star for the Pareto front of each training.

    Args:
        costs: of :func:`network_costs`.
        pair, size, profile: what they were asked for with.
    """
    import pandas

    rows = {
        name: {
            "parameters, M": f"{one.parameters / 1e6:.1f}",
            "multiply-adds, G": f"{one.multiply_adds / 1e9:.1f}",
            "latency here, ms": f"{one.latency.mean:.1f} ± {one.latency.std:.1f}",
        }
        for name, one in costs.items()
    }
    for training in RECORDED:
        points = _points(costs, training)
        front = pareto_front(points)
        for name, row in rows.items():
            row[f"{training}, mIoU %"] = (
                f"{percent_text(costs[name].scores[training])}{' *' if name in front else ''}"
                if name in points
                else "not recorded"
            )
    height, width = size
    note = (
        f"Latency and multiply-adds of one picture of {height}×{width}. Accuracy: recorded, {pair_named(pair).title}, "
        f"profile {profile}, each network with its own paper's optimiser and losses. *On the Pareto front of latency "
        "and accuracy, among the networks of the column."
    )
    return Noted(pandas.DataFrame.from_dict(rows, orient="index"), note)


def network_figure(
    costs: Mapping[str, NetworkCost], training: str, pair: str, size: tuple[int, int], profile: str = "mini"
):
    """Recorded accuracy against latency here, with the Pareto front; words where nothing is recorded.

    Args:
        costs: of :func:`network_costs`.
        training: a key of :data:`RECORDED`.
        pair, size, profile: as for :func:`network_table`.
    """
    from labkit import plots

    points, data = _points(costs, training), pair_named(pair).title
    if not points:
        return Words(f"The training {training} of these networks has not been recorded on {data} ({profile}).")
    return plots.cost_accuracy(
        points,
        pareto_front(points),
        title=f"{training}, {data}, profile {profile}",
        cost=f"latency on this machine, ms, one picture of {size[0]}×{size[1]}",
        spreads={name: deviation(costs[name].scores[training]) for name in points},
    )


def _points(costs: Mapping[str, NetworkCost], training: str) -> dict[str, tuple[float, float]]:
    return {
        name: (one.latency.mean, float(one.scores[training].mean()))
        for name, one in costs.items()
        if training in one.scores
    }

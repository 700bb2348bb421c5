"""Sweeps: a published table as a named list of experiments, trained over seeds."""

from __future__ import annotations

from typing import Any

import numpy as np

from labkit.errors import UnknownNameError
from labkit.lab import Lab

SWEEPS: dict[str, dict[str, tuple[str, str, dict[str, Any]]]] = {
    # Both networks on the target's own labels: what each could reach.
    "baitan2025.table1": {
        "DeepLabV2": ("deeplabv2", "oracle", {}),
        "BiSeNet": ("bisenet", "oracle", {}),
    },
    # Table 2 prints the source-only row; the oracle that §4.3 compares it with stands in Table 1.
    "baitan2025.table2": {
        "source only": ("bisenet", "source-only", {}),
        "oracle": ("bisenet", "oracle", {}),
    },
}
"""Named lists of experiments: title of the row to model, method and settings."""


def sweep(name: str, pair: str, profile: str, seeds: list[int], **lab_options: Any) -> dict[str, Any]:
    """Train every experiment of a sweep with every seed (finished ones are found); the outcome as plain JSON.

    Raises:
        UnknownNameError: no such sweep.
    """
    if name not in SWEEPS:
        raise UnknownNameError("sweep", name, SWEEPS)
    rows, environments = [], []
    for title, (model, method, changes) in SWEEPS[name].items():
        runs = [Lab(profile, pair, seed, **lab_options).train(model, method, **changes) for seed in seeds]
        scores = [run.scores for run in runs]
        environments += [run.result["environment"] for run in runs]
        rows.append(
            {
                "name": title,
                "model": model,
                "method": method,
                "settings": changes,
                "miou": [score.miou for score in scores],
                "miou_best": [run.result["miou_target_best"] for run in runs],
                "iou": {c: [_null(score.iou[c]) for score in scores] for c in scores[0].iou},
                "seconds": [run.result["seconds"] for run in runs],
                "runs": [run.name for run in runs],
            }
        )
    lab = Lab(profile, pair, **lab_options)
    report = lab.target()
    return {
        "sweep": name,
        "pair": pair,
        "data": lab.pair.title,
        "profile": profile,
        "size": list(lab.size),
        "steps": runs[0].result["steps"],
        "seeds": seeds,
        "report": {"data": report.name, "split": report.split, "images": len(report), "evaluation": report.evaluation},
        "selection": "last checkpoint; best is selected on target validation labels",
        "rows": rows,
        "environment": _summary(environments),
    }


def _summary(environments: list[dict[str, Any]]) -> dict[str, Any]:
    """What all runs share; where they differ, all the different values, as text."""
    values = {key: [env.get(key) for env in environments] for key in environments[0]}
    return {
        key: found[0] if all(value == found[0] for value in found) else " / ".join(sorted(set(map(str, found))))
        for key, found in values.items()
    }


def _null(value: float) -> float | None:
    return None if np.isnan(value) else value

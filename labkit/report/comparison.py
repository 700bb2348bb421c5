"""The comparison that every page begins with: source only and oracle, and what they make of the same pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from labkit import plots
from labkit.data.selection import evenly
from labkit.report.results import RESULTS, load_results, recorded_seeds
from labkit.report.tables import Words

if TYPE_CHECKING:
    from labkit.lab import Lab
    from labkit.training.runs import Run


def source_only_and_oracle(lab: Lab, model: str = "bisenet") -> dict[str, Run]:
    """Both trainings by title; empty where the lab's data is not here."""
    if not lab.ready:
        return {}
    return {"source only": lab.train(model, "source-only"), "oracle": lab.train(model, "oracle")}


def prediction_figure(lab: Lab, runs: Mapping[str, Run], pictures: int = 3):
    """Pictures spread evenly over the report split, with the predictions of ``runs``; None without runs."""
    if not runs:
        return None
    samples = [lab.target()[i] for i in evenly(len(lab.target()), pictures)]
    predictions = {title: lab.predict(run, samples) for title, run in runs.items()}
    return plots.prediction_panels(plots.make_panels(samples, predictions), evaluation=lab.target().evaluation)


def recorded_prediction_figure(lab: Lab, rows: Mapping[str, tuple[str, str]], folder: Path = RESULTS):
    """The pictures that were recorded with sweeps: truth and predictions of each row's first seed.

    Args:
        lab: profile and pair of the recording; its target gives pictures and truth.
        rows: by title the sweep and the name of its row.
        folder: of the recorded results.

    Returns:
        A figure; words where the target's data is not here or nothing has been recorded.
    """
    if not lab.has(lab.pair.target):
        return Words(f"{lab.pair.title}: the pictures are not shown. {lab.missing()}.")
    predictions, split = {}, None
    for title, (sweep, name) in rows.items():
        outcome = load_results(sweep, lab.pair.name, lab.profile.name, folder)
        found = next((row for row in outcome["rows"] if row["name"] == name), {}) if outcome else {}
        if not found.get("pictures"):
            return recorded_seeds(sweep, lab.pair.name, lab.profile.name)
        predictions[title] = {key: _train_ids(folder / file) for key, file in found["pictures"].items()}
        split = outcome["report"]["split"]
    target = lab.target(split)
    names = list(next(iter(predictions.values())))
    samples = {sample.name: sample for sample in (target[i] for i in range(len(target))) if sample.name in names}
    if absent := set(names) - set(samples):
        return Words(f"{target.name} {split} has no picture {', '.join(sorted(absent))}, which was recorded.")
    shown = {title: [of[name] for name in names] for title, of in predictions.items()}
    panels = plots.make_panels([samples[name] for name in names], shown)
    return plots.prediction_panels(panels, evaluation=target.evaluation)


def _train_ids(path: Path) -> np.ndarray:
    with Image.open(path) as picture:  # a palette's indices
        return np.asarray(picture)

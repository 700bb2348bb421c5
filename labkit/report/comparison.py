"""The comparison that every page begins with: source only and oracle, and what they make of the same pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from labkit import plots
from labkit.data.selection import evenly

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

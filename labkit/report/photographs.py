"""A section of a page that needs a data set which may not be there: it says what is missing, and how to get it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from labkit import plots
from labkit.report.tables import Words

if TYPE_CHECKING:
    from labkit.lab import Lab
    from labkit.training.runs import Run


def missing(lab: Lab) -> Words:
    """What this lab's pair lacks, and the command or page that helps."""
    return Words(f"{lab.pair.title} was not run here: {lab.missing()}")


def prediction_figure(lab: Lab, runs: Mapping[str, Run], pictures: int = 3):
    """The first pictures of the report split with the predictions of ``runs``; None, and so no output, without runs."""
    if not runs:
        return None
    samples = [lab.target()[i] for i in range(min(pictures, len(lab.target())))]
    predictions = {title: lab.predict(run, samples) for title, run in runs.items()}
    return plots.prediction_panels(plots.make_panels(samples, predictions), evaluation=lab.target().evaluation)

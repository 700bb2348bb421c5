"""Tables of runs, ready for a page: every number with the data that it was measured on."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from labkit.data.formats import ATTRIBUTIONS
from labkit.labels import CLASS_NAMES, EVALUATIONS

if TYPE_CHECKING:
    import pandas

    from labkit.lab import Lab
    from labkit.training.runs import Run


@dataclass(frozen=True)
class Words:
    """A sentence as a cell's output."""

    text: str

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.text, quote=False)}</p>"


@dataclass(frozen=True)
class Noted:
    """A table and the note below it, as one output of a cell."""

    table: pandas.DataFrame
    note: str

    def __str__(self) -> str:
        return f"{self.table}\n{self.note}"

    def _repr_html_(self) -> str:
        return f'{self.table.to_html()}<p class="lab-note">{html.escape(self.note, quote=False)}</p>'


def result_table(runs: Mapping[str, Run], lab: Lab) -> Noted | Words:
    """Target mIoU of single runs in percent, last and best, with steps and training time; below, what they are of.

    Args:
        runs: finished runs by title.
        lab: whose report split they were scored on. Without its data, and so without runs: how to get it.
    """
    import pandas

    if not lab.ready:
        return Words(f"{lab.pair.title} was not run here: {lab.missing()}.")
    rows = {}
    for title, run in runs.items():
        result = run.result
        best = result["miou_target_best"]
        rows[title] = {
            f"mIoU %, {lab.target().name}": f"{100 * result['miou_target']:.1f}",
            "best*": "–" if best is None else f"{100 * best:.1f}",
            "steps": result["steps"],
            "minutes": f"{result['seconds'] / 60:.1f}",
            "seed": run.description["seed"],
        }
    return Noted(pandas.DataFrame.from_dict(rows, orient="index"), scored_on(lab))


def scored_on(lab: Lab) -> str:
    """Which pictures a lab's results are measured on, at which size, what *best* means, and whose the pictures are."""
    report, (height, width) = lab.target(), lab.size
    chosen = "the same pictures" if report.split == "val" else "the target's split val, with its labels"
    instead = "" if report.split == lab.pair.report_split else f"; the split {lab.pair.report_split} is not here"
    classes = len(EVALUATIONS[report.evaluation].train_ids)
    return (
        f"Mean over {classes} classes on {len(report)} pictures of {report.name} (split {report.split}{instead}) at "
        f"{height}×{width}, which no training has seen. *Best: the checkpoint that scored best on {chosen}. "
        f"{ATTRIBUTIONS.get(lab.pair.target, '')}"
    ).strip()


def per_class_table(columns: Mapping[str, Mapping[str, float]]) -> pandas.DataFrame:
    """IoU by class in percent, one column each, with the mean below, and over how many classes it is.

    Args:
        columns: by the column's head (which names the data), IoU by class name in 0–1; absent classes NaN. A
            class that a column does not have stays empty.
    """
    import pandas

    classes = [name for name in CLASS_NAMES if any(name in column for column in columns.values())]
    table = pandas.DataFrame(
        {head: [_percent(column.get(name)) for name in classes] for head, column in columns.items()}, index=classes
    )
    table.loc["mean"] = [_mean_of(list(column.values())) for column in columns.values()]
    return table


def _mean_of(values: list[float]) -> str:
    known = [value for value in values if not np.isnan(value)]
    return f"{_percent(float(np.mean(known)))} (over {len(known)})"


def _percent(value: float | None) -> str:
    if value is None:
        return ""
    return "absent" if np.isnan(value) else f"{100 * value:.1f}"

"""Tables of runs, ready for a page: every number with the data that it was measured on."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from labkit.labels import CLASS_NAMES

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
        return f"<p>{html.escape(self.text)}</p>"


@dataclass(frozen=True)
class Noted:
    """A table and the note below it, as one output of a cell."""

    table: pandas.DataFrame
    note: str

    def __str__(self) -> str:
        return f"{self.table}\n{self.note}"

    def _repr_html_(self) -> str:
        return f'{self.table.to_html()}<p class="lab-note">{html.escape(self.note)}</p>'


def result_table(runs: Mapping[str, Run], data: str) -> pandas.DataFrame:
    """Target mIoU of single runs in percent, last and best, with steps and training time.

    Args:
        runs: finished runs by title.
        data: what they were measured on, in words; stands in the column's head.
    """
    import pandas

    rows = {}
    for title, run in runs.items():
        result, seed = run.result, run.description["seed"]
        best = result["miou_target_best"]
        rows[title] = {
            f"mIoU %, {data}": f"{100 * result['miou_target']:.1f}",
            "best*": "–" if best is None else f"{100 * best:.1f}",
            "steps": result["steps"],
            "minutes": f"{result['seconds'] / 60:.1f}",
            "seed": seed,
        }
    return pandas.DataFrame.from_dict(rows, orient="index")


def scored_on(lab: Lab) -> Words:
    """Which pictures a lab's results are measured on, at which size, and whose they are; empty without the data."""
    if not lab.ready:
        return Words("")
    report, (height, width) = lab.target(), lab.size
    return Words(
        f"Measured on {len(report)} pictures of {report.name}, split {report.split}, at {height}×{width}; no training "
        f"has seen them. Curves, and *best*, use the split val. {lab.pair.attribution}".strip()
    )


def per_class_table(columns: Mapping[str, Mapping[str, float]]) -> pandas.DataFrame:
    """IoU by class in percent, one column each, with the mean below.

    Args:
        columns: by the column's head (which names the data), IoU by class name in 0–1; absent classes NaN. A
            class that a column does not have stays empty.
    """
    import pandas

    classes = [name for name in CLASS_NAMES if any(name in column for column in columns.values())]
    table = pandas.DataFrame(
        {head: [_percent(column.get(name)) for name in classes] for head, column in columns.items()}, index=classes
    )
    table.loc["mean"] = [_percent(float(np.nanmean(list(column.values())))) for column in columns.values()]
    return table


def _percent(value: float | None) -> str:
    if value is None:
        return ""
    return "absent" if np.isnan(value) else f"{100 * value:.1f}"

"""Tables of runs, ready for a page: every number with the data that it was measured on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from labkit.labels import CLASS_NAMES

if TYPE_CHECKING:
    import pandas

    from labkit.training.runs import Run


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


def per_class_table(columns: Mapping[str, Mapping[str, float]]) -> pandas.DataFrame:
    """IoU by class in percent, one column each, with the mean below.

    Args:
        columns: by the column's head (which names the data), IoU by class name in 0–1; absent classes NaN. A class that a
            column does not have stays empty.
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

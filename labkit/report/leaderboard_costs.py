"""What the rows of the leaderboard cost in training, beside what they reach."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from labkit.errors import UnknownNameError
from labkit.evaluation.pareto import pareto_front
from labkit.report.results import RESULTS
from labkit.report.spread import deviation, spread_text
from labkit.report.standings import BOARD, CONTINUED, START, board_title, no_board, recorded_board, standings
from labkit.report.sweep_tables import SWEEPS
from labkit.report.tables import Noted, Words


def training_costs(record: Mapping[str, Any]) -> dict[str, float]:
    """The median time of each row's further steps, as a multiple of that of :data:`CONTINUED`.

    NaN where a time was not recorded, or not together with that row's: other hardware, or other work beside it, makes
    another time. The time of trainings that a row alone begins with, a translator's or a labeller's, counts
    (``seconds_before``, one a seed); the common start does not. The median, because one training that had to share its
    machine would double a mean.

    Raises:
        UnknownNameError: the record lacks the row that all are compared with.
    """
    alone = {row.name for row in SWEEPS[BOARD].rows if not (row.translator or row.given)}

    def seconds(row: Mapping[str, Any]) -> float:
        before = row.get("seconds_before", 0 if row["name"] in alone else np.nan)
        return float(np.median(np.array(row["seconds"], dtype=float) + np.array(before, dtype=float)))

    def recording(row: Mapping[str, Any]) -> Any:
        return row.get("environment", record["environment"])

    rows = {row["name"]: row for row in record["rows"] if row["name"] != START}
    if CONTINUED not in rows:
        raise UnknownNameError(f"recorded row of {record['sweep']}", CONTINUED, rows)
    control = rows[CONTINUED]
    return {
        name: seconds(row) / seconds(control) if recording(row) == recording(control) else float("nan")
        for name, row in rows.items()
    }


def cost_figure(pair: str, profile: str = "mini", folder: Path = RESULTS):
    """mIoU against the time of training, with the Pareto front of the contenders; words if not recorded."""
    from labkit import plots

    board = recorded_board(pair, profile, folder)
    if board is None:
        return no_board(pair, profile, folder)
    record, _ = board
    costs = training_costs(record)
    ranked = [one for one in standings(record, {}) if one.place and not np.isnan(costs[one.name])]
    if not ranked:
        return Words(f"The times of the trainings have not been recorded on {record['data']}.")
    points = {one.name: (costs[one.name], float(one.scores.mean())) for one in ranked}
    return plots.cost_accuracy(
        points,
        pareto_front(points),
        numbers={one.name: one.place for one in ranked},
        title=board_title(record),
        cost=f"time of training, × that of “{CONTINUED}”",
        spreads={one.name: deviation(one.scores) for one in ranked},
    )


def cost_table(pair: str, profile: str = "mini", folder: Path = RESULTS) -> Noted | Words:
    """The Pareto front of accuracy and time of training, the cheapest first; words if not recorded."""
    import pandas

    board = recorded_board(pair, profile, folder)
    if board is None:
        return no_board(pair, profile, folder)
    record, _ = board
    costs = training_costs(record)
    ranked = {one.name: one for one in standings(record, {}) if one.place and not np.isnan(costs[one.name])}
    front = pareto_front({name: (costs[name], float(one.scores.mean())) for name, one in ranked.items()})
    rows = {
        name: {
            "× the time": f"{costs[name]:.1f}",
            "mIoU %": spread_text(100 * ranked[name].scores),
            "place": ranked[name].place,
        }
        for name in front
    }
    if not rows:
        return Words(f"The times of the trainings have not been recorded on {record['data']}.")
    control = next(row for row in record["rows"] if row["name"] == CONTINUED)
    hardware = control.get("environment", record["environment"])["hardware"]
    note = (
        f"{record['data']}, profile {profile}. Time, median of the seeds, on {hardware}, with the trainings that a row "
        f"begins with; the common start is not counted.{_left_out(costs)}"
    )
    return Noted(pandas.DataFrame.from_dict(rows, orient="index").rename_axis("Pareto front"), note)


def _left_out(costs: Mapping[str, float]) -> str:
    """Which rows have no time, in a sentence; empty for none."""
    names = [name for name, cost in costs.items() if np.isnan(cost)]
    return f" Without a time that was taken together with that of “{CONTINUED}”: {', '.join(names)}." if names else ""

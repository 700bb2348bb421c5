"""What was measured along trainings, by step: of runs at hand, and of recorded sweeps as means over their seeds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from labkit.errors import UnknownNameError
from labkit.report.results import data_title, load_results, recorded_seeds, rows_of
from labkit.report.sweep_tables import SWEEPS
from labkit.report.tables import Words
from labkit.training.experiment import VALIDATION_MIOU

if TYPE_CHECKING:
    from labkit.training.runs import Run

TITLES = {
    "val/miou": "mIoU on the target's validation pictures",
    "val/loss": "cross-entropy on the target's validation pictures",
    "loss/main": "training loss of the main head",
    "loss/cycle": "cycle consistency, without its λ",
    "discriminator accuracy": "share of right answers of the discriminator",
    "discriminator-target accuracy": "share of right answers of the target's discriminator",
    "unsupervised share": "share of the target's pixels that the unsupervised loss sees",
}
"""What a column is, in words; another column is its own title."""

_FRACTIONS = ("miou", "accuracy", "share")


def curves_of(run: Run) -> dict[str, list[float | None]]:
    """At every evaluation its step and scores; losses and what was watched as means over the steps since the last."""
    table = run.metrics
    if VALIDATION_MIOU not in table:
        return {}
    evaluated = table[VALIDATION_MIOU].notna()
    since = evaluated.shift(fill_value=False).cumsum()
    once = ["step", *table.filter(like="val/")]
    curves = table.loc[evaluated, once].reset_index(drop=True)
    curves = curves.join(table.drop(columns=[*once, "learning_rate"]).groupby(since).mean())
    return {
        name: [None if np.isnan(value) else round(value, 5) for value in column.tolist()]
        for name, column in curves.items()
    }


def curves_figure(runs: Mapping[str, Run], column: str | Sequence[str]):
    """One or several columns of runs at hand by step, a panel each, at the evaluations; words without runs.

    Args:
        runs: finished runs by title.
        column: as for :func:`recorded_curves_figure`.
    """
    if not runs:
        return Words("No training of this figure was run here.")
    data = dict.fromkeys(data_title(run.description) for run in runs.values())
    seeds = {title: [curves_of(run)] for title, run in runs.items()}
    return drawn_curves(seeds, column, f"{' / '.join(data)}: this page's trainings")


def recorded_curves_figure(
    sweep: str,
    pair: str,
    column: str | Sequence[str],
    profile: str = "mini",
    rows: Collection[str] | Mapping[str, str] | None = None,
):
    """One or several columns of a recorded sweep by step, a panel each: for each row the mean over its seeds, and them.

    Args:
        sweep, pair, profile: as for :func:`labkit.report.recorded_seeds`.
        column: names of columns, such as ``val/miou``, ``val/loss``, ``loss/main``, ``discriminator accuracy``. Rows
            that do not have one are left out of its panel.
        rows: names of the rows to draw, or titles by name; by default all. Rows that have not been recorded are left
            out.

    Returns:
        A figure; words where nothing has been recorded.

    Raises:
        UnknownNameError: a row that the sweep does not have.
    """
    outcome = load_results(sweep, pair, profile)
    if outcome is None:
        return recorded_seeds(sweep, pair, profile)
    found = {row["name"]: row for row in outcome["rows"]}
    known = {*found, *(row.name for row in SWEEPS[sweep].rows)}
    titles = rows if isinstance(rows, Mapping) else {name: name for name in (found if rows is None else rows)}
    for name in titles:
        if name not in known:
            raise UnknownNameError(f"row of {sweep}", name, known)
    seeds = {title: found[name].get("curves") or [] for name, title in titles.items() if name in found}
    return drawn_curves(seeds, column, about(outcome, titles))


def about(outcome: Mapping[str, Any], rows: Collection[str] | None = None) -> str:
    """What the lines of a recorded sweep, or of some of its rows, are: for the head of a figure."""
    data = {row["data"] for row in rows_of(outcome) if rows is None or row["name"] in rows}
    title = data.pop() if len(data) == 1 else outcome["data"]
    count, named = len(outcome["seeds"]), f"{title}, profile {outcome['profile']}"
    return f"{named}: one seed" if count == 1 else f"{named}: mean of {count} seeds, and each"


def drawn_curves(
    seeds: Mapping[str, Sequence[Mapping[str, list]]],
    column: str | Sequence[str],
    title: str,
    *,
    titles: Mapping[str, str] | None = None,
    per_line: int | None = None,
):
    """The figure of both functions above; words where no row has one of the columns.

    Args:
        seeds: by the row's title, what :func:`curves_of` gives for each seed.
        column: one or several names of columns.
        title: what the lines are, with the data's name.
        titles: of panels, by column, where :data:`TITLES` would not do.
        per_line: rows that share a kind of line, each in a colour of its own.
    """
    from labkit import plots

    panels, fractions = {}, set()
    for name in [column] if isinstance(column, str) else column:
        lines = {
            row: (np.array(curves[0]["step"]), np.array([one[name] for one in curves], dtype=float))
            for row, curves in seeds.items()
            if curves and all(name in one for one in curves)
        }
        if not lines:
            return Words(f"The curves of {name} have not been recorded ({title}).")
        panel = (titles or {}).get(name) or TITLES.get(name, name.removeprefix("loss/"))
        panels[panel] = lines
        fractions |= {panel} if name.endswith(_FRACTIONS) else set()
    return plots.seed_curves(panels, title=title, fractions=fractions, per_line=per_line)

"""What happens while a network trains: losses, learning rate and score, by step; of one run or of many seeds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from labkit.errors import LabError
from labkit.plots.style import QUIET, SERIES, SMALL, Figure, label_ends, new_figure, percent, themed

if TYPE_CHECKING:
    import pandas as pd

LOSS = "loss/"
"""What the columns of the losses' terms begin with."""
SCORE_HEIGHT = 3.2
"""Inches of a figure with one score."""
DASHES = ("-", (0, (4, 1.6)), (0, (1, 1.4)), (0, (6, 1.5, 1, 1.5)))


def _runs(metrics, columns: set[str]) -> dict[str, pd.DataFrame]:
    runs = dict(metrics) if isinstance(metrics, Mapping) else {"": metrics}
    if not runs:
        raise LabError("no runs to draw: give at least one")
    for run, table in runs.items():
        missing = columns - set(table.columns)
        if missing:
            raise LabError(f"the metrics{f' of {run!r}' if run else ''} lack the columns {sorted(missing)}")
    return runs


@themed
def learning_curves(
    metrics: pd.DataFrame | Mapping[str, pd.DataFrame],
    *,
    score: str | None = None,
    score_title: str = "mIoU on the target's validation pictures",
) -> Figure:
    """Score, loss terms and learning rate by step, a panel each; lines carry their names.

    Args:
        metrics: of one run, or by run's name: a table with the columns ``step``, ``learning_rate`` and a
            ``loss/<term>`` for each term; and the score's column, a fraction, NaN where it was not measured.
        score: the score's column; ``None`` for no such panel.
        score_title: what the score is, above its panel.

    Raises:
        LabError: no runs, or a table without these columns.
    """
    runs = _runs(metrics, {"step", "learning_rate", *([score] if score else [])})
    ratios = [*([1.0] if score else []), 1.0, 0.45]
    figure = new_figure(0.6 + 1.75 * sum(ratios))
    panels = list(figure.subplots(len(ratios), sharex=True, height_ratios=ratios))
    panels[0].set_xlim(0, max(float(table["step"].max()) for table in runs.values()))
    if score:
        _draw_scores(panels[0], runs, score, score_title, gap=0.13)
    _draw_losses(panels[-2], runs, name_runs=not score)
    _draw_rates(panels[-1], runs)
    return figure


@themed
def score_curves(
    metrics: pd.DataFrame | Mapping[str, pd.DataFrame],
    score: str,
    *,
    title: str = "mIoU on the target's validation pictures",
) -> Figure:
    """One score by step, a line for each run, named at its end with its last value.

    Args:
        metrics: as for :func:`learning_curves`; the columns ``step`` and ``score`` are read.
        score: the score's column, a fraction; NaN where it was not measured.
        title: what the score is.

    Raises:
        LabError: no runs, or a table without these columns.
    """
    runs = _runs(metrics, {"step", score})
    figure = new_figure(SCORE_HEIGHT)
    ax = figure.add_subplot()
    ax.set_xlim(0, max(float(table["step"].max()) for table in runs.values()))
    ax.set_xlabel("step")
    _draw_scores(ax, runs, score, title, gap=0.19 / (SCORE_HEIGHT - 0.75))
    return figure


@themed
def seed_curves(
    panels: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]],
    *,
    title: str = "",
    fractions: Collection[str] = (),
    per_line: int | None = None,
) -> Figure:
    """Quantities by step, a panel each: of every setting the mean over its seeds, and each of them as a thin line.

    Args:
        panels: by the panel's title, and in it by setting: steps ``(T,)``, and values ``(seeds, T)``, NaN where there
            is none. A setting has the same colour in all panels.
        title: what the lines are, with the data's name.
        fractions: titles of the panels whose values are written in percent.
        per_line: settings that share a kind of line, each in a colour of its own; by default as many as there are
            colours.

    Raises:
        LabError: nothing to draw.
    """
    settings = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    if not settings:
        raise LabError("no curves to draw: give at least one panel with one setting")
    columns = -(-len(settings) // per_line) if per_line else _legend_columns(settings)
    per_line = per_line or len(SERIES)
    figure = new_figure(0.75 + 0.21 * -(-len(settings) // columns) + 2.2 * len(panels))
    keys = {}
    axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for ax, (head, lines) in zip(axes, panels.items(), strict=True):
        for name, (steps, values) in lines.items():
            index, values = settings.index(name), np.atleast_2d(np.asarray(values, dtype=np.float64))
            color, dash = SERIES[index % per_line % len(SERIES)], DASHES[index // per_line % len(DASHES)]
            (keys[name],) = ax.plot(steps, values.mean(0), color=color, ls=dash, label=name)
            if len(values) > 1:
                ax.plot(steps, values.T, color=color, ls=dash, lw=0.7, alpha=0.45, label="_seed")
        ax.set_title(head)
        ax.set_ylim(bottom=0)
        ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        if head in fractions:
            ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol="\u2009%"))
    axes[-1].set_xlabel("step")
    figure.legend(
        handles=[keys[name] for name in settings],
        loc="outside upper left",
        ncols=columns,
        fontsize=SMALL,
        handlelength=2.4,
        title=title,
        title_fontsize=SMALL,
        alignment="left",
    )
    return figure


def _legend_columns(names: Sequence[str], room: int = 92) -> int:
    """How many columns of names, filled one after the other, fit beside each other; ``room`` in letters."""
    for columns in range(min(4, len(names)), 1, -1):
        shares = np.array_split(np.array(names), columns)  # as Matplotlib fills them
        if sum(8 + max(map(len, share)) for share in shares) <= room:
            return columns
    return 1


def _frame(ax, title: str, gap: float, ends) -> None:
    ax.set_title(title)
    ax.spines["left"].set_visible(False)
    ax.set_ylim(0, 1.04 * ax.get_ylim()[1])
    label_ends(ax, ends, gap=gap)


def _draw_scores(ax, runs, score: str, title: str, *, gap: float) -> None:
    ends = []
    for index, (run, table) in enumerate(runs.items()):
        color = SERIES[index % len(SERIES)]
        measured = table.dropna(subset=[score])
        ax.plot(
            measured["step"],
            measured[score],
            "o-",
            ms=4.5,
            mec="white",
            mew=0.8,
            color=color,
            label=run,
            clip_on=False,
            zorder=3,
        )
        if len(measured):
            last = float(measured[score].iloc[-1])
            ends.append((last, f"{run} {percent(last)}".strip(), color))
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol="\u2009%"))
    _frame(ax, title, gap, ends)


def _draw_losses(ax, runs, *, name_runs: bool) -> None:
    terms = list(dict.fromkeys(name for table in runs.values() for name in table if name.startswith(LOSS)))
    ends = []
    for index, (run, table) in enumerate(runs.items()):
        for place, term in enumerate(terms):
            values = table[term].dropna() if term in table else []
            if not len(values):
                continue
            # One run: a colour for each term. Several: a colour for each run, a dash for each term.
            color = SERIES[(index if len(runs) > 1 else place + 1) % len(SERIES)]
            name = term.removeprefix(LOSS)
            dash = DASHES[place % len(DASHES)] if len(runs) > 1 else "-"
            ax.plot(
                table["step"][values.index],
                values,
                color=color,
                ls=dash,
                lw=1.5,
                label=f"{run} {name}".strip(),
            )
            if len(runs) == 1:
                ends.append((float(values.iloc[-1]), name, color))
            elif name_runs and place == 0:
                ends.append((float(values.iloc[-1]), run, color))
    if len(runs) > 1 and len(terms) > 1:
        keys = [
            Line2D([], [], color=QUIET, ls=DASHES[place % len(DASHES)], lw=1.5, label=term.removeprefix(LOSS))
            for place, term in enumerate(terms)
        ]
        ax.legend(handles=keys, loc="upper right", ncols=len(keys), handlelength=2.4)
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    _frame(ax, "training loss", 0.125, ends)


def _draw_rates(ax, runs) -> None:
    tables = list(runs.values())
    shared = all(table[["step", "learning_rate"]].equals(tables[0][["step", "learning_rate"]]) for table in tables)
    for index, table in enumerate(tables[:1] if shared else tables):
        ax.plot(
            table["step"],
            table["learning_rate"],
            lw=1.5,
            color=QUIET if shared else SERIES[index % len(SERIES)],
        )
    _frame(ax, "learning rate", 0.25, [])
    first = max(float(table["learning_rate"].max()) for table in tables)
    ax.set_yticks([0, first], ["0", f"{first:.2g}"])
    ax.set_xlabel("step")

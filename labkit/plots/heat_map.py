"""A square table of shares between classes as a heat map, with numbers where there is something to read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from labkit.plots.style import INK, QUIET, RULE, SMALL, WIDTH, Figure, new_figure

LEFT, RIGHT = 1.12, 0.08
"""Inches beside the matrix."""


def heat_map(shares: np.ndarray, classes: Sequence[str], title: str, *, lines: int = 0) -> tuple[Figure, Axes]:
    """Draw ``shares``, with room for ``lines`` of text below.

    Args:
        shares: ``(C, C)`` in 0–1; a row of NaN belongs to a class that does not occur.
        classes: the C classes' names, along both axes.
        title: above the matrix.
        lines: lines of small text that the caller will write below.
    """
    import seaborn

    text = np.array([[f"{100 * s:.0f}" if s >= 0.045 else "" for s in row] for row in shares])
    side, above, below = WIDTH - LEFT - RIGHT, 0.34, 1.0 + 0.2 * lines
    height = side + above + below
    figure = new_figure(height, layout=None)
    ax = figure.add_axes((LEFT / WIDTH, below / height, side / WIDTH, side / height))
    seaborn.heatmap(
        shares,
        ax=ax,
        vmin=0,
        vmax=1,
        cmap="Blues",
        annot=text,
        fmt="",
        annot_kws={"fontsize": SMALL - 0.5},
        cbar=False,
        linewidths=0.6,
        linecolor=RULE,
        xticklabels=list(classes),
        yticklabels=list(classes),
    )
    for row in np.flatnonzero(np.isnan(shares).all(axis=1)):
        ax.text(0.2, row + 0.5, "absent", fontsize=SMALL, style="italic", color=QUIET, va="center")
    ax.tick_params(axis="x", rotation=90, labelcolor=INK)
    ax.tick_params(axis="y", rotation=0, labelcolor=INK)
    ax.grid(False)
    ax.set_title(title)
    return figure, ax

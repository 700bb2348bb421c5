"""One look for every figure: type, colours, widths. Fonts are matplotlib's own, backgrounds are white."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from functools import wraps

import matplotlib
from cycler import cycler
from matplotlib.figure import Figure as MatplotlibFigure

WIDTH = 7.2
"""Inches. At 400 px on a phone a point is then 0.77 px, so nothing is set smaller than :data:`SMALL`."""
BASE, SMALL = 10.5, 9.5
"""Font sizes in points."""

INK = "#22313F"
"""Text."""
QUIET = "#5B6B7A"
"""Secondary text and ticks."""
RULE = "#E3E8EC"
"""Grid lines."""

SOURCE, TARGET = "#D55E00", "#0072B2"
"""The two domains, in every figure."""
SERIES = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
"""Runs, in order of appearance: Okabe and Ito's colours, which remain distinct without red or green cones."""
WRONG = (213, 94, 0)
"""RGB of a wrong pixel: Okabe and Ito's vermilion."""

THEME: dict[str, object] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#9AA7B2",
    "axes.facecolor": "white",
    "axes.grid": True,
    "axes.labelcolor": QUIET,
    "axes.labelsize": BASE,
    "axes.linewidth": 0.8,
    "axes.prop_cycle": cycler(color=SERIES),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlepad": 6.0,
    "axes.titlesize": BASE,
    "axes.titleweight": "bold",
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
    "figure.dpi": 150,
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": BASE,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "hatch.linewidth": 0.8,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "savefig.dpi": "figure",
    "savefig.facecolor": "white",
    "text.color": INK,
    "xtick.color": QUIET,
    "xtick.labelsize": SMALL,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.color": QUIET,
    "ytick.labelsize": SMALL,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
}


def theme():
    """A context in which matplotlib draws in the course's look; outside it nothing has changed."""
    return matplotlib.rc_context(THEME)


def themed(draw):
    """Decorate a function so that it draws within :func:`theme`."""

    @wraps(draw)
    def drawn(*args, **kwargs):
        with theme():
            return draw(*args, **kwargs)

    return drawn


class Figure(MatplotlibFigure):
    """A figure that pyplot does not know: nothing to close, and any notebook can show it."""

    def savefig(self, *args, **kwargs) -> None:
        """As matplotlib's, in the course's look."""
        with theme():
            super().savefig(*args, **kwargs)

    def png(self) -> bytes:
        """The figure as a PNG file, the same bytes for the same figure."""
        if self.get_layout_engine() is not None:
            with theme():
                self.draw_without_rendering()
            self.set_layout_engine("none")  # a second pass would move everything by a hair
        file = io.BytesIO()
        self.savefig(file, format="png", metadata={"Software": None})
        return file.getvalue()

    def _repr_png_(self) -> bytes:
        return self.png()

    def _ipython_display_(self) -> None:
        # Once pyplot is loaded, notebooks crop figures in their own way; ours look the same before and after.
        from IPython.display import Image, display

        display(Image(self.png(), format="png"))


def new_figure(height: float, *, width: float = WIDTH, layout: str | None = "constrained") -> Figure:
    """An empty white figure, inches; call it within :func:`theme`."""
    return Figure(figsize=(width, height), layout=layout)


def percent(fraction: float, digits: int = 1) -> str:
    """``0.1234`` as ``"12.3 %"`` with a narrow space; NaN as ``"–"``."""
    return "–" if fraction != fraction else f"{100 * fraction:.{digits}f}\u2009%"


def spread_apart(heights: Sequence[float], gap: float) -> list[float]:
    """Move ascending heights in [0, 1] as little as possible (least squares) to be ``gap`` apart."""
    pools: list[list[float]] = []  # sum and count of heights, each less its rank times the gap
    for rank, height in enumerate(heights):
        pools.append([height - rank * gap, 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
            total, count = pools.pop()
            pools[-1][0] += total
            pools[-1][1] += count
    level = [total / count for total, count in pools for _ in range(int(count))]
    top = 1 - (len(heights) - 1) * gap
    return [min(max(base, 0), max(top, 0)) + rank * gap for rank, base in enumerate(level)]


def label_ends(ax, ends: Iterable[tuple[float, str, str]], *, gap: float) -> None:
    """Write names at the right edge, each at its line's last height, pushed apart to stay legible.

    Args:
        ax: axes whose limits are final.
        ends: ``(y, text, colour)`` of each line.
        gap: smallest distance between two names, as a fraction of the axes' height.
    """
    within = ax.transScale + ax.transLimits
    left = ax.get_xlim()[0]
    placed = sorted((float(within.transform((left, y))[1]), text, color) for y, text, color in ends)
    heights = spread_apart([height for height, _, _ in placed], gap)
    for height, (_, text, color) in zip(heights, placed, strict=True):
        ax.text(1.015, height, text, color=color, transform=ax.transAxes, va="center", fontsize=SMALL)

"""Image translation: pictures and what became of them, their spectra, and what a Fréchet distance says of few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter

from labkit.errors import LabError
from labkit.plots.style import INK, QUIET, SERIES, Figure, label_ends, new_figure, themed
from labkit.plots.tiles import common_aspect, picture_grid, show_picture

if TYPE_CHECKING:
    from labkit.evaluation.translations import FrechetFloor, Spectrum


@themed
def picture_rows(rows: Sequence[Mapping[str, np.ndarray]]) -> Figure:
    """Rows of pictures, each with its title above it; the first of a row in bold.

    Args:
        rows: by title, pictures uint8 ``(H, W, 3)`` of one shape; as many in each row.

    Raises:
        LabError: no pictures, pictures of different shapes, or rows of different lengths.
    """
    aspect = common_aspect([picture for row in rows for picture in row.values()])
    columns = {len(row) for row in rows}
    if len(columns) > 1:
        raise LabError(f"rows of {sorted(columns)} pictures in one figure: give as many to each")
    figure, axes = picture_grid([1] * len(rows), columns.pop(), aspect)
    for line, row in zip(axes, rows, strict=True):
        for ax, (title, picture) in zip(line, row.items(), strict=True):
            show_picture(ax, picture, title, bold=ax is line[0])
    return figure


def faded(before: np.ndarray, after: np.ndarray, share: float) -> np.ndarray:
    """One picture fading into another: (1 − share) of the first and ``share`` of the second, rounded.

    Args:
        before, after: uint8, of one shape.
        share: 0 to 1.
    """
    first, second = (np.asarray(one, dtype=np.float64) for one in (before, after))
    return np.rint((1 - share) * first + share * second).astype(np.uint8)


@themed
def spectra(lines: Mapping[str, Spectrum]) -> Figure:
    """Power of the luma by frequency, a line for each set of pictures, named at its end.

    Args:
        lines: by title, what :func:`labkit.evaluation.translations.spectrum` measured; the first has the source's
            colour, the second the target's.
    """
    figure = new_figure(3.4)
    ax = figure.subplots()
    ends = []
    for index, (name, line) in enumerate(lines.items()):
        color = SERIES[index % len(SERIES)]
        ax.plot(line.frequency, line.power, "o-", ms=3.5, mec="white", mew=0.5, color=color)
        ends.append((float(line.power[-1]), name, color))
    ax.set(xlim=(0, 0.5), xlabel="periods per pixel: coarse left, fine right")
    ax.set_title("power of the luma, dB")
    label_ends(ax, ends, gap=0.075)
    return figure


@themed
def frechet_by_size(floor: FrechetFloor, distances: Mapping[str, float], at: int) -> Figure:
    """Fréchet distance between two parts of one set by their size, and what was measured between sets.

    The band holds the middle 80 % of the draws, the line is their mean. The true distance of the parts is 0.

    Args:
        floor: of :func:`labkit.evaluation.translations.frechet_floor`, all of it above 0.
        distances: by title, measured from ``at`` vectors of each set.
        at: number of vectors.
    """
    figure = new_figure(3.6)
    ax = figure.subplots()
    low, high = np.quantile(floor.distances, (0.1, 0.9), axis=1)
    ax.fill_between(floor.sizes, low, high, color=QUIET, alpha=0.18, lw=0)
    ax.plot(floor.sizes, floor.distances.mean(axis=1), "o-", ms=4.5, mec="white", color=INK)
    ends = []
    for index, (name, distance) in enumerate(distances.items()):
        color = SERIES[index % len(SERIES)]
        ax.plot([at], [distance], "D", ms=6, mec="white", color=color, clip_on=False)
        ends.append((distance, name, color))
    ends.append((float(floor.distances[-1].mean()), "two parts of the target", INK))
    ax.set(xscale="log", yscale="log", xlabel="pictures of each set")
    ax.set_xticks(sorted({*floor.sizes.tolist(), at}))
    ax.xaxis.set_major_formatter("{x:.0f}")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set_title("Fréchet distance d²")
    label_ends(ax, ends, gap=0.085)
    return figure

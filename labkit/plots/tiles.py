"""Pictures in rows and columns, placed to the tenth of an inch: equal sizes, no wasted paper."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.patches import Patch

from labkit.errors import LabError
from labkit.plots.classes import class_handles
from labkit.plots.style import INK, SMALL, WIDTH, WRONG, new_figure

GAP, EDGE, HEAD, LINE = 0.09, 0.08, 0.24, 0.185
"""Inches: between pictures, around all, for a line of text above a picture, for a line of the legend."""
LEGEND_COLUMNS = 5


def picture_grid(
    heads: Sequence[int],
    columns: int,
    aspect: float,
    *,
    present: Sequence[int] = (),
    look: str = "cityscapes",
    wrong: bool = False,
):
    """A figure with rows of equal pictures and a legend of the classes below them.

    Args:
        heads: for each row of pictures, how many lines of text stand above it.
        columns: pictures in a row.
        aspect: a picture's height over its width.
        present: the trainIds of the legend; none for no legend.
        look: the legend's palette.
        wrong: whether the legend explains the colour of wrong pixels.

    Returns:
        The figure, and its axes as an object array ``(rows, columns)``.
    """
    width = (WIDTH - 2 * EDGE - (columns - 1) * GAP) / columns
    height = width * aspect
    entries = class_handles(present, look) if len(present) else []
    if wrong:
        entries.append(
            Patch(facecolor=[channel / 255 for channel in WRONG], edgecolor="#8895A0", lw=0.6, label="wrong")
        )
    legend = math.ceil(len(entries) / LEGEND_COLUMNS) * LINE + 0.08 if entries else 0.0
    total = EDGE + sum(head * HEAD + height + GAP for head in heads) + legend
    figure = new_figure(total, layout=None)
    axes = np.empty((len(heads), columns), dtype=object)
    top = total - EDGE / 2
    for row, head in enumerate(heads):
        top -= head * HEAD + height
        for column in range(columns):
            left = EDGE + column * (width + GAP)
            axes[row, column] = ax = figure.add_axes((left / WIDTH, top / total, width / WIDTH, height / total))
            ax.set_axis_off()
        top -= GAP
    if entries:
        figure.legend(
            handles=entries,
            loc="lower center",
            bbox_to_anchor=(0.5, 0),
            ncols=min(LEGEND_COLUMNS, len(entries)),
            borderaxespad=0.3,
            borderpad=0.2,
            columnspacing=1.3,
            handlelength=1.3,
            handleheight=0.9,
            labelspacing=0.35,
        )
    return figure, axes


def show_picture(ax, picture: np.ndarray, title: str = "", *, bold: bool = False, exact: bool = False) -> None:
    """Fill the axes with a picture, a line of text above its left edge; longer text ends in "…".

    ``exact`` keeps hard edges where a picture is enlarged: for maps, whose colours mean something.
    """
    inches = ax.get_position().width * ax.figure.get_figwidth()
    enlarged = picture.shape[1] < inches * ax.figure.dpi
    smoothing = ("nearest" if exact else "bicubic") if enlarged else "hanning"
    ax.imshow(picture, interpolation=smoothing, aspect="auto")
    room = int(inches / (SMALL / 72 * (0.68 if bold else 0.58)))
    if len(title) > room:
        title = title[: room - 1].rstrip() + "…"
    weight = "bold" if bold else "normal"
    ax.set_title(title, fontsize=SMALL, fontweight=weight, color=INK, loc="left", pad=4)


def common_aspect(pictures: Sequence[np.ndarray]) -> float:
    """Height over width, which all pictures of a figure share.

    Raises:
        LabError: no pictures, or pictures of different shapes.
    """
    if not pictures:
        raise LabError("no pictures to draw: give at least one")
    aspects = {picture.shape[0] / picture.shape[1] for picture in pictures}
    if max(aspects) > 1.02 * min(aspects):
        shapes = sorted({picture.shape[:2] for picture in pictures})
        raise LabError(f"pictures of different shapes in one figure: {shapes}; draw each in its own")
    return max(aspects)

"""Losses without labels, thresholds by class, pictures that are mixed, and what weights and thresholds come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import matplotlib
import numpy as np
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, PercentFormatter

from labkit.errors import LabError
from labkit.labels import CLASS_NAMES
from labkit.plots.classes import classes_present, name_axis, palette
from labkit.plots.label_maps import draw_label_map
from labkit.plots.style import BASE, INK, QUIET, RULE, SERIES, SMALL, Figure, new_figure, themed
from labkit.plots.tiles import common_aspect, picture_grid, show_picture

if TYPE_CHECKING:
    import pandas as pd

    from labkit.evaluation.binary_losses import Line

THRESHOLD = "threshold/"
"""What the columns of the thresholds begin with, among a training's metrics."""


class Curve(NamedTuple):
    """A loss of one pixel with two classes.

    Attributes:
        line: by formula, at the figure's p.
        measured: at the figure's dots, or None.
        least: the p to mark as its minimum, or None.
    """

    line: Line
    measured: Line | None = None
    least: float | None = None


@themed
def binary_losses(
    p: np.ndarray, curves: Mapping[str, Curve], dots: np.ndarray | None = None, *, steepest: float = 3.0
) -> Figure:
    """Losses of one pixel by the probability p of its first class, their slopes by p, and by that class's logit.

    Lines are formulas, dots what was measured, diamonds minima.

    Args:
        p: ``(N,)`` in (0, 1).
        curves: by name.
        dots: the p of what was measured.
        steepest: where the axis of the slopes by p ends.
    """
    p = np.asarray(p, dtype=np.float64)
    figure = new_figure(3.75)
    panels = figure.subplots(1, 3)
    for index, (name, curve) in enumerate(curves.items()):
        color = SERIES[index % len(SERIES)]
        for ax, values in zip(panels, _heights(p, curve.line), strict=True):
            ax.plot(p, values, color=color, label=name, lw=1.7)
        if curve.measured is not None:
            for ax, values in zip(panels, _heights(dots, curve.measured), strict=True):
                ax.plot(dots, values, "o", ms=4.2, color=color, mec="white", mew=0.7)
        if curve.least is not None:
            at = np.interp(curve.least, p, curve.line.loss)
            panels[0].plot(curve.least, at, "D", ms=7, color=color, mec=INK, mew=0.9, zorder=4)
            for ax in panels[1:]:
                ax.plot(curve.least, 0, "D", ms=5.5, color=color, mec=INK, mew=0.8, zorder=4)
    for ax, title in zip(panels, ("loss", "slope by p", "slope by the logit"), strict=True):
        ax.set_title(title)
        ax.set(xlim=(0, 1), xlabel="p")
        ax.xaxis.set_major_locator(FixedLocator((0, 0.25, 0.5, 0.75, 1)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    panels[0].set_ylim(-0.6, 2)
    panels[1].set_ylim(-steepest, steepest)
    panels[2].set_ylim(-0.75, 0.75)
    for ax in panels[1:]:
        ax.axhline(0, color=QUIET, lw=0.8)
    handles, names = panels[0].get_legend_handles_labels()
    columns = 3 if len(names) > 4 else len(names)
    figure.legend(handles, names, loc="outside upper left", ncols=columns, fontsize=SMALL, handlelength=1.5)
    return figure


def _heights(p: np.ndarray, line: Line) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return line.loss, line.slope, p * (1 - p) * line.slope


@themed
def class_thresholds(
    confidence: np.ndarray,
    thresholds: np.ndarray,
    passing: Mapping[str, np.ndarray],
    *,
    fixed: float = 0.8,
) -> Figure:
    """By class, the mean confidence beside its threshold, and the share of its pixels that passes (yan2022, Fig. 3).

    Args:
        confidence: mean of the largest probability over the pixels that are predicted as a class ``(C,)``; NaN for a
            class that is not predicted. The surest class is on top.
        thresholds: α ``(C,)``.
        passing: by title, shares of a class's pixels ``(C,)``; the first with the fixed threshold.
        fixed: the threshold that is drawn as a line.
    """
    seen = ~np.isnan(confidence)
    order = np.argsort(np.where(seen, -confidence, np.inf), kind="stable")
    names = [CLASS_NAMES[index] for index in order]
    figure = new_figure(0.27 * len(order) + 1.15)
    left, right = figure.subplots(1, 2, sharey=True)
    rows = np.arange(len(order))
    left.barh(rows, np.nan_to_num(confidence[order]), 0.62, color="#C5CED6", label="mean confidence")
    left.plot(thresholds[order], rows, "D", ms=6, color=SERIES[1], mec="white", mew=0.8, label="its threshold α")
    left.axvline(fixed, color=SERIES[0], lw=1.4, ls=(0, (4, 2)), label=f"fixed, {fixed:g}")
    height = 0.76 / len(passing)
    for index, (title, shares) in enumerate(passing.items()):
        middle = rows + (index - (len(passing) - 1) / 2) * height
        right.barh(middle, np.nan_to_num(shares[order]), 0.9 * height, color=SERIES[index], label=title)
    for row in rows[~seen[order]]:
        for ax in (left, right):
            ax.text(0.02, row, "not predicted", fontsize=SMALL - 0.5, style="italic", color=QUIET, va="center")
    for ax, title in ((left, "confidence"), (right, "share of the class's pixels above it")):
        ax.set_title(title)
        ax.set(xlim=(0, 1), ylim=(len(order) - 0.45, -0.55))
        ax.grid(axis="y", visible=False)
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol="\u2009%"))
    name_axis(left, names)
    left.xaxis.set_major_formatter("{x:g}")
    handles = [*left.get_legend_handles_labels()[0], *right.get_legend_handles_labels()[0]]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), fontsize=SMALL, handlelength=1.3)
    return figure


@themed
def threshold_paths(metrics: Mapping[str, pd.DataFrame], *, start: float = 0.8, columns: int = 5) -> Figure:
    """The threshold of every class by step, a panel each, a line for each training.

    Args:
        metrics: of trainings with dynamic thresholds, by name.
        start: where they began; drawn dashed.
        columns: panels in a row.

    Raises:
        LabError: metrics of a training without thresholds.
    """
    for name, table in metrics.items():
        if not any(column.startswith(THRESHOLD) for column in table):
            raise LabError(f"the metrics of {name!r} hold no thresholds: is it a training with dynamic ones?")
    classes = [column.removeprefix(THRESHOLD) for column in next(iter(metrics.values())) if THRESHOLD in column]
    rows = -(-len(classes) // columns)
    figure = new_figure(0.55 + 1.22 * rows)
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    colors = palette("cityscapes") / 255
    for ax in axes.flat[len(classes) :]:
        ax.set_visible(False)
    for ax, name in zip(axes.flat, classes, strict=False):
        ax.axhline(start, color=QUIET, lw=0.9, ls=(0, (4, 2)))
        for index, (title, table) in enumerate(metrics.items()):
            color = SERIES[index % len(SERIES)]
            ax.plot(table["step"], table[THRESHOLD + name], color=color, lw=1.6, label=title)
        ax.set_title(name, fontsize=SMALL, pad=4, x=0.1)
        ax.plot(
            0.035,
            1.1,
            "s",
            ms=6,
            mfc=colors[CLASS_NAMES.index(name)],
            mec=QUIET,
            mew=0.4,
            transform=ax.transAxes,
            clip_on=False,
        )
        ax.set_ylim(0, 1.02)
        ax.set_xlim(0, max(float(table["step"].max()) for table in metrics.values()))
        ax.yaxis.set_major_locator(FixedLocator((0, 0.5, 1)))
        ax.xaxis.set_major_locator(MaxNLocator(2, integer=True))
    for ax in axes[-1]:
        ax.set_xlabel("step", fontsize=SMALL)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper left", ncols=len(names), fontsize=BASE, handlelength=1.4)
    return figure


@themed
def map_rows(rows: Sequence[Mapping[str, np.ndarray]]) -> Figure:
    """Pictures and maps in rows and columns, each with its title, and one legend of the classes.

    Args:
        rows: by title, as many in each row, of one shape: pictures uint8 ``(H, W, 3)``, trainIds uint8 ``(H, W)``,
            masks bool ``(H, W)`` (true is white), quantities float ``(H, W)`` in 0–1 (dark is 1). The first of a row
            is in bold.

    Raises:
        LabError: nothing, different shapes, rows of different lengths, or another kind of array.
    """
    cells = [np.asarray(one) for row in rows for one in row.values()]
    aspect = common_aspect(cells)
    columns = {len(row) for row in rows}
    if len(columns) > 1:
        raise LabError(f"rows of {sorted(columns)} pictures in one figure: give as many to each")
    labels = [one for one in cells if one.ndim == 2 and one.dtype == np.uint8]
    present = classes_present(*labels) if labels else ()
    figure, axes = picture_grid([1] * len(rows), columns.pop(), aspect, present=present)
    for line, row in zip(axes, rows, strict=True):
        for ax, (title, one) in zip(line, row.items(), strict=True):
            _draw(ax, np.asarray(one), title, bold=ax is line[0])
    return figure


def _draw(ax, one: np.ndarray, title: str, *, bold: bool) -> None:
    if one.ndim == 3:
        show_picture(ax, one, title, bold=bold)
    elif one.dtype == np.uint8:
        draw_label_map(ax, one, title, bold=bold)
    elif one.dtype == bool:
        grey = np.where(one, 255, 45).astype(np.uint8)
        show_picture(ax, np.repeat(grey[..., None], 3, axis=2), title, bold=bold, exact=True)
    elif np.issubdtype(one.dtype, np.floating):
        shades = matplotlib.colormaps["Blues"](np.clip(one, 0, 1))[..., :3]
        show_picture(ax, shades, title, bold=bold, exact=True)
    else:
        raise LabError(f"{title!r}: an array of {one.dtype} is neither picture, trainIds, mask nor quantity")
    if one.ndim == 2:  # white maps end somewhere, too
        ax.set_axis_on()
        ax.grid(False)
        ax.set(xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set(visible=True, color=RULE)


@themed
def scores_by_weight(
    lines: Mapping[str, tuple[Sequence[float], np.ndarray]],
    *,
    axis: str,
    title: str,
    marks: Mapping[str, float] | None = None,
    logarithmic: bool = True,
) -> Figure:
    """mIoU by a loss's weight: for each loss the mean over seeds, and each seed as a dot (yan2022, Figs. 7 and 8).

    Args:
        lines: by loss, its weights ``(W,)`` and mIoU in 0–1 ``(seeds, W)``.
        axis: what the weight is.
        title: what the lines are, with the data's name.
        marks: by loss, the weight that a paper found best; a triangle below the axis.
        logarithmic: the axis of the weights.
    """
    figure = new_figure(3.5)
    ax = figure.add_subplot()
    weights = sorted({weight for line in lines.values() for weight in line[0]})
    for index, (name, (at, scores)) in enumerate(lines.items()):
        color, scores = SERIES[index % len(SERIES)], 100 * np.atleast_2d(scores)
        ax.plot(at, scores.mean(axis=0), color=color, label=name)
        for seed in scores:
            ax.plot(at, seed, "o", ms=5, color=color, mec="white", mew=0.7)
        if marks and name in marks:
            same = [other for other in lines if marks.get(other) == marks[name]]
            ax.annotate(
                "▲",
                (marks[name], 0),
                (14 * (same.index(name) - (len(same) - 1) / 2), 3),
                xycoords=ax.get_xaxis_transform(),
                textcoords="offset points",
                color=color,
                ha="center",
                va="bottom",
                fontsize=BASE,
            )
    if logarithmic:
        ax.set_xscale("log")
        ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticks(weights, [f"{weight:g}" for weight in weights])
    low, high = ax.get_ylim()
    ax.set_ylim(low - 0.12 * (high - low), high)
    ax.set(xlabel=axis, ylabel="mIoU, %")
    ax.set_title(title)
    figure.legend(loc="outside upper left", ncols=len(lines), fontsize=SMALL, handlelength=1.5)
    return figure

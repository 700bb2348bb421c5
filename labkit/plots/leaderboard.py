"""Many methods side by side: gains with their intervals, places under the bootstrap, classes, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, PercentFormatter

from labkit.errors import LabError
from labkit.plots.style import INK, QUIET, SERIES, SMALL, SOURCE, TARGET, Figure, new_figure, themed

LINE = 0.235
"""Inches between two methods."""


class Gain(NamedTuple):
    """What a method has over the baseline, in percentage points.

    Attributes:
        seeds: ``(seeds,)``, each against the baseline of the same seed.
        low, high: an interval; NaN for none.
        note: written at the right edge.
        contends: False for what stands there for comparison alone: drawn grey, and not what the axis is made for.
    """

    seeds: np.ndarray
    low: float = math.nan
    high: float = math.nan
    note: str = ""
    contends: bool = True


@themed
def gain_intervals(
    panels: Mapping[str, Mapping[str, Gain]],
    *,
    title: str,
    baseline: str,
    note: str = "",
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Each method's gain as a dot, its interval as a bar, its seeds as rings; a panel for each data set, on one scale.

    A gain far beyond those of the contenders is written at the edge, with an arrow.

    Args:
        panels: by title (may be empty where there is one), gains by method. All panels have the methods in the order of
            the first, those that it does not have below.
        title: with the data's name.
        baseline: what the gains are over.
        note: the head of the notes.
        limits: of the axis; by default what the contenders need.

    Raises:
        LabError: nothing to draw.
    """
    names = list(dict.fromkeys(name for gains in panels.values() for name in gains))
    if not names:
        raise LabError("no gains to draw: give at least one panel with one method")
    figure = new_figure(1.2 + LINE * len(names))
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    every = [gain for gains in panels.values() for gain in gains.values()]
    limits = limits or _range([gain for gain in every if gain.contends] or every)
    for ax, (head, gains) in zip(axes, panels.items(), strict=True):
        for row, name in enumerate(names):
            if name in gains:
                _draw_gain(ax, row, gains[name], limits)
                _at_edge(ax, row, gains[name].note)
        ax.axvline(0, color=INK, lw=1, zorder=1)
        ax.grid(axis="y", visible=False)
        ax.set_title(head)
        _at_edge(ax, -1, note)
    axes[0].set(xlim=limits, ylim=(len(names) - 0.4, -0.6))
    axes[0].set_yticks(range(len(names)), names, color=INK)
    axes[0].xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes[0].set_xlabel(f"points of mIoU over “{baseline}”", loc="left")
    _head(figure, title)
    return figure


def _head(figure: Figure, title: str) -> None:
    figure.suptitle(title, x=0.01, ha="left", fontsize=SMALL, fontweight="bold")


def _range(gains: Sequence[Gain]) -> tuple[float, float]:
    values = np.concatenate([[0.0], *([*gain.seeds, gain.low, gain.high] for gain in gains)])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = 0.08 * max(high - low, 1.0)
    return low - room, high + room


def _draw_gain(ax, row: int, gain: Gain, limits: tuple[float, float]) -> None:
    seeds = np.asarray(gain.seeds, dtype=np.float64)
    mean, color = float(seeds.mean()), TARGET if gain.contends else QUIET
    if not limits[0] <= mean <= limits[1]:
        right = mean > limits[1]
        text = f"{mean:+.1f} →" if right else f"← {mean:+.1f}"
        place, shift = (limits[1], -4) if right else (limits[0], 4)
        ax.annotate(
            text.replace("-", "\N{MINUS SIGN}"),
            (place, row),
            (shift, 0),
            textcoords="offset points",
            ha="right" if right else "left",
            va="center",
            fontsize=SMALL,
            color=QUIET,
        )
        return
    if not math.isnan(gain.low):
        ax.plot([gain.low, gain.high], [row, row], color=color, lw=5, alpha=0.28, solid_capstyle="butt")
    if len(seeds) > 1:
        ax.plot(seeds, np.full(len(seeds), row), "o", ms=3.6, mfc="white", mec=color, mew=0.9)
    ax.plot([mean], [row], "o", ms=6.5, color=color, mec="white", mew=0.8, zorder=3)


def _at_edge(ax, row: int, text: str) -> None:
    ax.annotate(
        text,
        (1, row),
        (6, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="center",
        fontsize=SMALL,
        color=QUIET,
        annotation_clip=False,
    )


@themed
def place_shares(shares: np.ndarray, names: Sequence[str], *, title: str) -> Figure:
    """How often each method takes each place, dark for often, with the percentages that are worth a number.

    Args:
        shares: ``(methods, places)`` in 0–1.
        names: the methods'.
        title: what was drawn how often, with the data's name.

    Raises:
        LabError: another shape than the names.
    """
    shares = np.asarray(shares, dtype=np.float64)
    if shares.ndim != 2 or len(shares) != len(names):
        raise LabError(f"shares of shape {shares.shape} for {len(names)} methods")
    figure, ax = _table(shares, names, title, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(shares >= 0.045):
        value = shares[row, column]
        _number(ax, row, column, f"{100 * value:.0f}", value > 0.6)
    ax.set_xticks(range(shares.shape[1]), [str(place + 1) for place in range(shares.shape[1])], color=INK)
    ax.set_xlabel("place; the number is how often, in percent")
    return figure


@themed
def class_gains(iou: np.ndarray, names: Sequence[str], classes: Sequence[str], *, baseline: str, title: str) -> Figure:
    """IoU by method and class in percent; the colour says how far above (blue) or below (orange) the baseline.

    Args:
        iou: ``(methods, classes)`` in 0–1; NaN for an absent class.
        names, classes: of rows and columns.
        baseline: the name of the row that the colours compare with.
        title: with the data's name.

    Raises:
        LabError: another shape than the names, or no such baseline.
    """
    from matplotlib.colors import LinearSegmentedColormap

    iou = np.asarray(iou, dtype=np.float64)
    if iou.shape != (len(names), len(classes)) or baseline not in names:
        raise LabError(
            f"IoU of shape {iou.shape} for {len(names)} methods and {len(classes)} classes over {baseline!r}"
        )
    points = 100 * (iou - iou[list(names).index(baseline)])
    limit = max(float(np.nanquantile(np.abs(points), 0.9)), 1.0)
    colors = LinearSegmentedColormap.from_list("gains", [SOURCE, "#FBFBFB", TARGET])
    figure, ax = _table(points, names, title, cmap=colors, vmin=-limit, vmax=limit)
    for row, column in np.ndindex(iou.shape):
        value = iou[row, column]
        text = "–" if np.isnan(value) else f"{100 * value:.0f}"
        _number(ax, row, column, text, abs(points[row, column]) > 0.6 * limit)
    ax.set_xticks(range(len(classes)), list(classes), rotation=90, color=INK)
    ax.get_yticklabels()[list(names).index(baseline)].set_fontweight("bold")
    return figure


def _table(values: np.ndarray, names: Sequence[str], title: str, **colors):
    figure = new_figure(1.5 + LINE * len(names))
    ax = figure.add_subplot()
    ax.imshow(values, aspect="auto", **colors)
    ax.set_yticks(range(len(names)), list(names), color=INK)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    _head(figure, title)
    return figure, ax


def _number(ax, row: int, column: int, text: str, light: bool) -> None:
    color = "white" if light else INK
    ax.text(column, row, text, ha="center", va="center", fontsize=SMALL - 0.5, color=color)


@themed
def cost_accuracy(
    points: Mapping[str, tuple[float, float]],
    front: Sequence[str],
    *,
    title: str,
    cost: str,
    spreads: Mapping[str, float],
    numbers: Mapping[str, int] | None = None,
) -> Figure:
    """Accuracy against cost, logarithmic: up and left is better, a line of steps joins the front.

    Args:
        points: cost (above 0) and accuracy (a fraction), by name.
        front: the names that no other beats in both, the cheapest first.
        title: with the data's name.
        cost: what the horizontal axis is, with its unit.
        spreads: standard deviations of the accuracies, drawn up and down; NaN for none.
        numbers: for many points: each carries its number instead of its name, and those on the front are named below.

    Raises:
        LabError: nothing to draw.
    """
    if not points:
        raise LabError("no points to draw: give at least one")
    named = [] if numbers is None else [f"{numbers[name]} {name}" for name in front]
    figure = new_figure(4.2 + 0.2 * math.ceil(len(named) / 2))
    ax = figure.add_subplot()
    costs, scores = (np.array([point[i] for point in points.values()], dtype=np.float64) for i in range(2))
    around = np.nan_to_num([spreads[name] for name in points])
    ax.set_xscale("log")
    ax.set_xlim(0.85 * costs.min(), (1.25 if named else 1.8) * costs.max())  # a name needs room
    low, high = float((scores - around).min()), float((scores + around).max())
    room = 0.08 * max(high - low, 0.01)
    ax.set_ylim(low - room, high + room)
    if front:
        corners = np.array([points[name] for name in front])
        ends = np.vstack([corners, [ax.get_xlim()[1], corners[-1, 1]]])
        ax.step(ends[:, 0], ends[:, 1], where="post", color=SERIES[0], lw=1.4, zorder=2)
    across = np.log(costs / costs.min()) / math.log(ax.get_xlim()[1] / costs.min())
    at = np.column_stack([_WIDE * across, _HIGH * (scores - low) / max(high - low, 0.01)])
    beside = [_BESIDE[0]] * len(points) if numbers is None else _apart(at)
    for (name, (x, y)), offset in zip(points.items(), beside, strict=True):
        best = name in front
        ends = [y - spreads[name], y + spreads[name]]
        ax.plot([x, x], ends, color=SERIES[0] if best else QUIET, lw=1.2, alpha=0.4, zorder=2)
        ax.plot([x], [y], "o", ms=8 if best else 5.5, color=SERIES[0] if best else QUIET, mec="white", zorder=3)
        look = {"color": INK, "fontweight": "bold"} if best else {"color": QUIET}
        text = name if numbers is None else str(numbers[name])
        ax.annotate(text, (x, y), offset, textcoords="offset points", fontsize=SMALL, zorder=4, **look)
    keys = [Line2D([], [], ls="", marker="o", ms=6, color=SERIES[0], label=label) for label in named]
    if keys:
        figure.legend(handles=keys, loc="outside lower left", ncols=2, handletextpad=0.2)
    low, high = ax.get_xlim()
    ax.xaxis.set_major_locator(FixedLocator([tick for tick in _TICKS if low <= tick <= high]))
    ax.xaxis.set_major_formatter("{x:,g}")
    ax.minorticks_off()
    ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=1, symbol="\u2009%"))
    ax.set(xlabel=cost, ylabel="mIoU")
    _head(figure, title)
    return figure


_BESIDE = ((5, 4), (5, -12), (-17, 4), (-17, -12))
"""Where a number may stand, in points from its own point to its lower left corner; the first is the usual place."""

_WIDE, _HIGH = 440.0, 230.0
"""The axes of a figure of numbered points, roughly, in points."""


def _apart(at: np.ndarray) -> list[tuple[int, int]]:
    """For ``(N, 2)`` positions in points the place of each one's number: where it meets the fewest numbers and dots."""
    taken: list[np.ndarray] = []
    chosen = []
    for x, y in at:

        def met(offset: tuple[int, int], x=x, y=y) -> int:
            corner = np.array([x + offset[0], y + offset[1]])
            middle = corner + np.array([6, 4])
            numbers = sum(bool((abs(corner - other) < (14, 10)).all()) for other in taken)
            return numbers + int((abs(at - middle) < (9, 7)).all(axis=1).sum())

        best = min(_BESIDE, key=met)
        taken.append(np.array([x + best[0], y + best[1]]))
        chosen.append(best)
    return chosen


_TICKS = [factor * 10.0**power for power in range(-2, 5) for factor in (1, 2, 5)]

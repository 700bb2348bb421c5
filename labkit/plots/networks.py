"""What a network sees, and what it costs: receptive fields, schedules, gradients in 16 bits, latency, accuracy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from labkit.errors import LabError
from labkit.plots.style import (
    INK,
    QUIET,
    SERIES,
    SMALL,
    SOURCE,
    TARGET,
    WIDTH,
    Figure,
    label_ends,
    new_figure,
    themed,
)
from labkit.plots.tiles import EDGE, GAP, HEAD, common_aspect

DECADES = 4
"""How far below its maximum a field is drawn, in powers of ten; what is weaker is white, like zero."""


class FieldPanel(NamedTuple):
    """A measured receptive field and the squares drawn around its middle.

    Attributes:
        field: not negative ``(H, W)``.
        formula: side of the square that the formula gives, in pixels; None for no square.
        effective: side of the square that holds most of the field; None for no square.
    """

    field: np.ndarray
    formula: int | None = None
    effective: int | None = None


@themed
def receptive_fields(
    panels: Mapping[str, FieldPanel], *, columns: int = 4, taps: bool = False, legend: bool = True
) -> Figure:
    """Measured receptive fields side by side, dark where the output depends strongly on the picture.

    Args:
        panels: by title; a second line in a title is set lighter.
        columns: panels in a row.
        taps: a mark on each pixel that is not zero, large enough to be seen: for single kernels.
        legend: whether the two squares are explained below.

    Raises:
        LabError: no panels, or a field that is zero everywhere.
    """
    if not panels:
        raise LabError("no fields to draw: give at least one")
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    aspect = common_aspect([panel.field for panel in panels.values()])
    width = (WIDTH - 2 * EDGE - (columns - 1) * GAP) / columns
    head = HEAD * (1 + any("\n" in title for title in panels))
    below = 0.36 if legend else 0.0
    height = rows * (width * aspect + head + GAP) + below
    figure = new_figure(height, layout=None)
    for index, (title, panel) in enumerate(panels.items()):
        row, column = divmod(index, columns)
        left, top = EDGE + column * (width + GAP), height - (row + 1) * (head + width * aspect) - row * GAP
        ax = figure.add_axes((left / WIDTH, top / height, width / WIDTH, width * aspect / height))
        _draw_field(ax, panel, title, taps)
    if legend:
        handles = [
            Rectangle((0, 0), 1, 1, fill=False, ec=SOURCE, lw=1.6, label="by formula"),
            Rectangle((0, 0), 1, 1, fill=False, ec=INK, lw=1.6, ls=":", label="95\u2009% of the gradient"),
        ]
        figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 0), ncols=2)
    return figure


def _draw_field(ax, panel: FieldPanel, title: str, taps: bool) -> None:
    field = np.asarray(panel.field, dtype=np.float64)
    if not field.max() > 0:
        raise LabError(f"{title}: the field is zero everywhere, nothing is seen")
    height, width = field.shape
    if taps:
        rows, columns = field.nonzero()
        cell = ax.get_position().width * WIDTH * 72 / width  # points
        ax.imshow(np.zeros_like(field), cmap="Blues", vmin=0, vmax=1)
        ax.plot(columns, rows, "s", ms=max(4, 0.8 * cell), color=TARGET, mew=0)
    else:
        shown = np.log10(np.maximum(field / field.max(), 10.0**-DECADES)) / DECADES + 1
        ax.imshow(shown, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    for square, style in ((panel.formula, {"ec": SOURCE}), (panel.effective, {"ec": INK, "ls": ":"})):
        if square is not None and square <= max(height, width):
            corner = (width // 2 - square / 2, height // 2 - square / 2)
            ax.add_patch(Rectangle(corner, square, square, fill=False, lw=1.6, **style))
    head, _, below = title.partition("\n")
    ax.set_title(head, fontsize=SMALL, pad=17 if below else 4)
    ax.annotate(
        below, (0, 1), (0, 4), xycoords="axes fraction", textcoords="offset points", fontsize=SMALL - 0.5, color=QUIET
    )
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(True)


@themed
def receptive_field_growth(sizes: Mapping[str, Sequence[int]], *, marks: Mapping[str, int] | None = None) -> Figure:
    """Side of the receptive field by layer, a line for each network, on a logarithmic axis.

    Args:
        sizes: by network, the side after each layer, in pixels.
        marks: sides of pictures, drawn across.
    """
    figure = new_figure(3.4)
    ax = figure.add_subplot()
    ax.set(yscale="log", xlim=(0, 1.02 * max(len(values) for values in sizes.values())))
    for index, (name, values) in enumerate(sizes.items()):
        layers = np.arange(len(values) + 1)
        ax.step(layers, [1, *values], where="post", color=SERIES[index % len(SERIES)], label=name)
        ax.plot([layers[-1]], [values[-1]], "o", ms=5, color=SERIES[index % len(SERIES)], mec="white", zorder=3)
        ax.annotate(f"{values[-1]}", (layers[-1], values[-1]), (6, -9), textcoords="offset points", fontsize=SMALL)
    for name, side in (marks or {}).items():
        ax.axhline(side, color=QUIET, lw=1, ls=(0, (4, 2)), zorder=1)
        ax.annotate(
            name,
            (1, side),
            (-2, -3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=SMALL,
            color=QUIET,
        )
    ax.set_ylim(1, None)
    ax.set_yticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
    ax.minorticks_off()
    ax.set_title("side of the receptive field, pixels")
    ax.set_xlabel("convolutions and poolings from the picture on")
    figure.legend(loc="outside lower left", ncols=min(3, len(sizes)))
    return figure


@themed
def schedules(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, unit: str = "epoch") -> Figure:
    """Learning rates by time, a line for each schedule, named at its end.

    Args:
        curves: by name, times and rates; a rate that is NaN ends its line.
        unit: of the time.
    """
    figure = new_figure(3.0)
    ax = figure.add_subplot()
    ax.set_xlim(0, max(max(times) for times, _ in curves.values()))
    ends = []
    for index, (name, (times, rates)) in enumerate(curves.items()):
        color, rates = SERIES[index % len(SERIES)], np.asarray(rates, dtype=np.float64)
        ax.plot(times, rates, color=color, label=name, lw=2, clip_on=False)
        last = np.flatnonzero(~np.isnan(rates))[-1]
        if last == len(rates) - 1:
            ends.append((float(rates[last]), name, color))
        else:
            place = (times[last], rates[last])
            ax.annotate(name, place, (6, 8), textcoords="offset points", color=color, fontsize=SMALL)
    ax.set_ylim(0, 1.04 * ax.get_ylim()[1])
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.set_title("learning rate")
    ax.set_xlabel(unit)
    label_ends(ax, ends, gap=0.09)
    return figure


HALF_SMALLEST, HALF_LARGEST = 2.0**-24, 65504.0
"""The smallest positive number of fp16 (subnormal) and its largest."""


@themed
def half_precision(gradients: np.ndarray, scales: Sequence[float], *, title: str = "") -> Figure:
    """How many gradients lie where fp16 can hold them, unscaled and scaled: a histogram for each scale.

    Args:
        gradients: any shape, computed in float32. Zeros are left out.
        scales: what the loss is multiplied by.
        title: what the gradients are of.

    Raises:
        LabError: no gradient that is not zero.
    """
    sizes = np.abs(np.asarray(gradients, dtype=np.float64)).ravel()
    sizes = sizes[sizes > 0]
    if not len(sizes):
        raise LabError("no gradient that is not zero: there is nothing to draw")
    figure = new_figure(0.55 + 1.35 * len(scales))
    axes = figure.subplots(len(scales), 1, sharex=True, squeeze=False).ravel()
    low = min(-50, math.floor(np.log2(sizes.min())))
    bins = np.arange(max(low, -70), 22)
    for ax, scale in zip(axes, scales, strict=True):
        scaled = sizes * scale
        exponents = np.clip(np.log2(scaled), bins[0], bins[-1])
        # Rounding to nearest: what is at most half the smallest number becomes zero.
        flushed, over = scaled <= HALF_SMALLEST / 2, scaled > HALF_LARGEST
        for which, color, name in (
            (flushed, SOURCE, "becomes 0"),
            (~flushed & ~over, TARGET, "kept"),
            (over, INK, "becomes ∞"),
        ):
            if which.any():
                weights = np.full(which.sum(), 1 / len(sizes))
                label = f"{name}: {100 * which.mean():.1f}\u2009%"
                ax.hist(exponents[which], bins, weights=weights, color=color, label=label)
        for edge in (HALF_SMALLEST, HALF_LARGEST):
            ax.axvline(np.log2(edge), color=QUIET, lw=1, ls=(0, (4, 2)))
        factor = "loss as it is" if scale == 1 else f"loss × $2^{{{math.log2(scale):.0f}}}$"
        ax.set_title(f"{title}{', ' if title else ''}{factor}")
        ax.legend(loc="upper left", handlelength=1, handleheight=1)
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        ax.grid(axis="y", visible=False)
    ticks = range(-60, 21, 10)
    axes[-1].set_xticks(list(ticks), [f"$2^{{{tick}}}$" for tick in ticks])
    axes[-1].set_xlim(bins[0], bins[-1])
    axes[-1].set_xlabel("size of a gradient; dashed: the smallest and the largest number of fp16")
    return figure


@themed
def latency_by_pass(times: Mapping[str, np.ndarray], warm_up: int) -> Figure:
    """Time of each pass in its order, and the mean ± standard deviation of those after the warm-up.

    Args:
        times: by network, milliseconds of each pass, the first ones included.
        warm_up: how many of the first passes do not count.

    Raises:
        LabError: no more passes than the warm-up takes.
    """
    if any(len(values) <= warm_up + 1 for values in times.values()):
        raise LabError(f"{warm_up} passes of warm-up leave fewer than two to measure")
    figure = new_figure(0.5 + 1.75 * len(times))
    axes = figure.subplots(len(times), 1, squeeze=False).ravel()
    for ax, (name, values), color in zip(axes, times.items(), SERIES, strict=False):
        values = np.asarray(values, dtype=np.float64)
        number, warm = np.arange(1, len(values) + 1), values[warm_up:]
        mean, std = warm.mean(), warm.std(ddof=1)
        ax.axhspan(mean - std, mean + std, color=color, alpha=0.15, lw=0)
        ax.axhline(mean, color=color, lw=1.2)
        ax.plot(number[:warm_up], values[:warm_up], "o", ms=5.5, mfc="white", mec=color, mew=1.4)
        ax.plot(number[warm_up:], warm, "o", ms=5.5, color=color, mec="white", mew=0.8)
        spread = f"{warm.min():.1f} to {warm.max():.1f}, the first pass {values[0]:.1f}"
        ax.set_title(f"{name}: {mean:.1f} ± {std:.1f} ms ({spread})")
        ax.set_ylim(0, 1.1 * values.max())
        ax.set_xlim(0, len(values) + 1)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[-1].set_xlabel("forward pass, in order; rings: warm-up, left out of mean ± standard deviation (band)")
    return figure


class Operating(NamedTuple):
    """A network's accuracy (fraction), its latency in ms, and their standard deviations (NaN for none)."""

    miou: float
    latency: float
    miou_std: float = float("nan")
    latency_std: float = float("nan")


@themed
def accuracy_latency(panels: Mapping[str, Mapping[str, Operating]]) -> Figure:
    """Accuracy against latency, logarithmic; up and left is better.

    Args:
        panels: by title, which names the data, networks by name. Each has axes of its own: numbers on different
            data and devices are not to be compared.
    """
    figure = new_figure(3.5)
    axes = figure.subplots(1, len(panels), squeeze=False).ravel()
    for ax, (title, networks) in zip(axes, panels.items(), strict=True):
        ax.set_xscale("log")
        for index, (name, point) in enumerate(networks.items()):
            color = SERIES[index % len(SERIES)]
            spread = [None if np.isnan(value) else value for value in (point.latency_std, point.miou_std)]
            ax.errorbar(
                point.latency,
                point.miou,
                xerr=spread[0],
                yerr=spread[1],
                fmt="o",
                ms=8,
                color=color,
                mec="white",
                capsize=2,
            )
            place = (point.latency, point.miou)
            ax.annotate(
                name, place, (0, 8), textcoords="offset points", ha="center", color=color, fontsize=SMALL, zorder=4
            )
        times = [point.latency for point in networks.values()]
        ax.set_xlim(min(times) / 4, max(times) * 4)  # room for the names
        ax.set_ylim(0, 1.25 * max(point.miou for point in networks.values()))
        low, high = ax.get_xlim()
        ticks = [tick for tick in (1, 10, 100, 1000, 10_000) if low < tick < high]
        ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        ax.minorticks_off()
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol="\u2009%"))
        ax.set_title(title, fontsize=SMALL)
        ax.set_xlabel("latency, ms")
    axes[0].set_ylabel("mIoU")
    return figure

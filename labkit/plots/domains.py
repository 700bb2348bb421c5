"""What the pictures of two domains have in common and what not: colours, and how often a class occurs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from labkit.errors import LabError
from labkit.labels import CLASS_NAMES
from labkit.plots.classes import name_axis
from labkit.plots.style import BASE, QUIET, SERIES, SMALL, SOURCE, TARGET, Figure, new_figure, themed

CHANNELS = ("red", "green", "blue")
BINS = 64


def _pixels(images: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
    pixels = [np.asarray(image).reshape(-1, 3) for image in images]
    if not pixels:
        raise LabError("no pictures to count: give at least one of each domain")
    if any(part.dtype != np.uint8 for part in pixels):
        raise LabError("pictures have to be uint8 RGB, 0–255, not normalised")
    return np.concatenate(pixels)


@themed
def channel_statistics(
    source: np.ndarray | Sequence[np.ndarray],
    target: np.ndarray | Sequence[np.ndarray],
    *,
    names: tuple[str, str] = ("source", "target"),
) -> Figure:
    """How red, green and blue are distributed in two domains, with mean ± standard deviation.

    Args:
        source: uint8 RGB pictures ``(N, H, W, 3)``, or a list of ``(H, W, 3)``.
        target: the same of the other domain.
        names: the domains' names.

    Raises:
        LabError: no pictures, or not uint8.
    """
    domains = list(zip(names, (_pixels(source), _pixels(target)), (SOURCE, TARGET), strict=True))
    figure = new_figure(5.6)
    axes = figure.subplots(3, sharex=True)
    edges = np.linspace(0, 256, BINS + 1)
    for channel, (ax, title) in enumerate(zip(axes, CHANNELS, strict=True)):
        for row, (name, pixels, color) in enumerate(domains):
            values = pixels[:, channel]
            share = np.histogram(values, edges)[0] / len(values)
            ax.stairs(share, edges, color=color, alpha=0.25, fill=True)
            ax.stairs(share, edges, color=color, lw=1.5, label=name if channel == 0 else None)
            _mean_and_spread(ax, values.mean(), values.std(), -0.12 - 0.16 * row, color)
        ax.set_title(title)
        ax.set(xlim=(0, 256), yticks=[])
        ax.set_ylim(bottom=0)
        ax.spines[["left", "bottom"]].set_visible(False)
        ax.tick_params(axis="x", pad=36)
        ax.axhline(0, color="#9AA7B2", lw=0.8)
    axes[-1].set_xticks(range(0, 257, 64))
    axes[-1].set_xlabel("value; below each histogram the mean ± standard deviation")
    figure.legend(loc="outside upper left", ncols=2, fontsize=BASE, handlelength=1.4)
    return figure


def _mean_and_spread(ax, mean: float, spread: float, y: float, color: str) -> None:
    across = ax.get_xaxis_transform()
    low, high = max(mean - spread, 0), min(mean + spread, 256)
    ax.plot([low, high], [y, y], color=color, lw=2, transform=across, clip_on=False)
    ax.plot([mean], [y], "o", color=color, ms=5.5, mec="white", mew=0.8, transform=across, clip_on=False)
    text = f"{mean:.0f} ± {spread:.0f}"
    ax.text(high + 4, y, text, color=color, fontsize=SMALL, va="center", transform=across)


@themed
def class_frequencies(
    counts: Mapping[str, np.ndarray],
    *,
    classes: Sequence[str] = CLASS_NAMES,
    look: str = "cityscapes",
) -> Figure:
    """The share of labelled pixels of each class in several sets, on a logarithmic axis: the long tail.

    Args:
        counts: by set's name, pixels of each class ``(classes,)``. The first set orders the rows.
        classes: the classes' names.
        look: colours of the swatches beside the names.

    Raises:
        LabError: no sets, counts of other lengths, or a set without any pixel.
    """
    if not counts:
        raise LabError("no sets to draw: give at least one")
    shares = {}
    for name, values in counts.items():
        values = np.asarray(values, dtype=np.float64)
        if values.shape != (len(classes),) or not values.sum() > 0:
            raise LabError(f"counts of {name!r} need one number for each of {len(classes)} classes, not all zero")
        shares[name] = values / values.sum()
    rows = np.argsort(-next(iter(shares.values())), kind="stable")
    everything = np.stack(list(shares.values()))[:, rows]
    floor = 10.0 ** np.floor(np.log10(everything[everything > 0].min()))
    absent = floor / 4
    figure = new_figure(0.29 * len(classes) + 1.0)
    ax = figure.add_subplot()
    ax.set_xscale("log")
    drawn = np.where(everything > 0, everything, absent)
    y = np.arange(len(classes))
    ax.hlines(y, drawn.min(0), drawn.max(0), color="#C5CED6", lw=2, zorder=1)
    for index, (name, share) in enumerate(zip(shares, drawn, strict=True)):
        color, present = SERIES[index % len(SERIES)], everything[index] > 0
        size = 8.5 - 2.5 * index / max(len(shares) - 1, 1)  # sets that agree are rings in one another
        ax.plot(share[present], y[present], "o", ms=size, color=color, mec="white", mew=0.8, label=name)
        ax.plot(share[~present], y[~present], "o", ms=size, mfc="white", mec=color, mew=1.4)
    name_axis(ax, [classes[row] for row in rows], look)
    ticks = 10.0 ** np.arange(np.log10(floor).round(), 1)
    names = [f"{100 * tick:.6g}\u2009%" for tick in ticks]
    if (everything == 0).any():
        ticks, names = [absent, *ticks], ["absent", *names]
    ax.set_xticks(ticks, names)
    ax.minorticks_off()
    ax.set(xlim=(ticks[0] / 1.6, 1.0), ylim=(len(classes) - 0.4, -0.6))
    ax.set_xlabel("share of labelled pixels, logarithmic")
    ax.spines["left"].set_color(QUIET)
    figure.legend(loc="outside upper left", ncols=len(shares), fontsize=BASE, handletextpad=0.1)
    return figure

"""Where a network's features put two domains: projected to a plane, and channel by channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from labkit.errors import LabError
from labkit.plots.style import BASE, INK, QUIET, SERIES, Figure, new_figure, percent, themed


class Projection(NamedTuple):
    """Principal components of several sets of features.

    ``points``: by set ``(N, 2)``. ``explained``: the share of all variance on each axis. ``distance``:
    between the first two sets' means in the full space, over the root-mean-square distance of a point
    from its own set's mean.
    """

    points: dict[str, np.ndarray]
    explained: tuple[float, float]
    distance: float


def _matrix(name: str, features: np.ndarray) -> np.ndarray:
    features = np.asarray(features, dtype=np.float64)
    if features.ndim == 4:
        features = features.mean(axis=(2, 3))
    if features.ndim != 2 or not len(features):
        raise LabError(f"features of {name!r} need the shape (N, C) or (N, C, H, W), not {features.shape}")
    return features


def project(features: Mapping[str, np.ndarray]) -> Projection:
    """Principal component analysis of all sets together, after removing the common mean.

    Args:
        features: by set's name, ``(N, C)``, or ``(N, C, H, W)`` which is averaged over positions.

    Raises:
        LabError: fewer than two sets, other numbers of channels, or fewer than two channels.
    """
    sets = {name: _matrix(name, values) for name, values in features.items()}
    widths = {values.shape[1] for values in sets.values()}
    if len(sets) < 2 or len(widths) != 1 or widths == {1}:
        raise LabError("a projection needs at least two sets of features, all with the same two or more channels")
    everything = np.concatenate(list(sets.values()))
    center = everything.mean(axis=0)
    _, singular, axes = np.linalg.svd(everything - center, full_matrices=False)
    # A component's sign is arbitrary: its largest weight is made positive, so that figures agree everywhere.
    axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    variance = singular**2 / max(float((singular**2).sum()), 1e-300)
    points = {name: (values - center) @ axes[:2].T for name, values in sets.items()}
    first, second = list(sets.values())[:2]
    spread = np.concatenate([first - first.mean(0), second - second.mean(0)])
    within = np.sqrt((spread**2).sum(axis=1).mean())
    apart = np.linalg.norm(first.mean(0) - second.mean(0))
    return Projection(points, (float(variance[0]), float(variance[1])), float(apart / max(within, 1e-300)))


@themed
def feature_projection(features: Mapping[str, np.ndarray]) -> Figure:
    """Features of two or more domains in the plane of their two main directions.

    A cross marks each domain's mean. The number beside the line is how far apart the first two domains' means
    are, in units of the spread within a domain, measured in the full space: 0 when the means agree.

    Args:
        features: by domain's name, ``(N, C)``, or ``(N, C, H, W)``, averaged over positions; source first.

    Raises:
        LabError: see :func:`project`.
    """
    found = project(features)
    figure = new_figure(5.2)
    ax = figure.add_subplot()
    means = []
    for index, (name, points) in enumerate(found.points.items()):
        color = SERIES[index % len(SERIES)]
        marker = "o^sDv"[index % 5]
        ax.plot(*points.T, marker, ms=5, color=color, alpha=0.45, mew=0, label=name)
        means.append(points.mean(axis=0))
    ax.plot(*np.stack(means[:2]).T, color=INK, lw=1.2, zorder=3)
    for index, mean in enumerate(means):
        ax.plot(*mean, "X", ms=12, color=SERIES[index % len(SERIES)], mec="white", mew=1.6, zorder=4)
    ax.set_title(f"distance of the means: {found.distance:.2f} × spread")
    ax.set_xlabel(f"first component, {percent(found.explained[0], 0)} of the variance")
    ax.set_ylabel(f"second, {percent(found.explained[1], 0)}")
    ax.margins(0.08)
    figure.legend(loc="outside upper left", ncols=len(means), fontsize=BASE, markerscale=1.5, handletextpad=0.1)
    return figure


@themed
def statistics_by_channel(
    first: tuple[np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray],
    *,
    names: tuple[str, str] = ("source", "target"),
) -> Figure:
    """Mean and standard deviation of every channel, one set of them against another.

    A channel in which both agree lies on the diagonal. If the first are a batch norm's running statistics, and the
    second the moments of what it is given, a channel off the diagonal leaves it wrongly centred (left) or wrongly
    scaled (right).

    Args:
        first: means ``(C,)`` and standard deviations ``(C,)``; along the horizontal axis.
        second: the same; along the vertical axis.
        names: what they are.

    Raises:
        LabError: other numbers of channels.
    """
    statistics = [[np.asarray(part, dtype=np.float64) for part in moments] for moments in (first, second)]
    if len({part.shape for moments in statistics for part in moments}) != 1:
        raise LabError(f"{names[0]} has {len(statistics[0][0])} channels, {names[1]} {len(statistics[1][0])}")
    figure = new_figure(3.9)
    for index, (ax, title) in enumerate(zip(figure.subplots(1, 2), ("mean", "standard deviation"), strict=True)):
        x, y = statistics[0][index], statistics[1][index]
        low, high = min(x.min(), y.min()), max(x.max(), y.max())
        pad = 0.06 * (high - low) or 1.0
        ends = (low - pad, high + pad)
        ax.plot(ends, ends, color=QUIET, lw=1.2, ls=(0, (4, 2)), zorder=1)
        ax.vlines(x, np.minimum(x, y), np.maximum(x, y), color=SERIES[1], lw=0.6, alpha=0.35)
        ax.plot(x, y, "o", ms=5, color=SERIES[1], alpha=0.7, mec="white", mew=0.5)
        ax.set(xlim=ends, ylim=ends, aspect="equal", xlabel=names[0])
        ax.set_title(f"{title} of each channel")
        if index == 0:
            ax.set_ylabel(names[1])
    return figure

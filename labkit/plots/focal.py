"""The focal loss, the pixels that it listens to, and the steps that optimisers make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from labkit.data.dataset import Sample
from labkit.errors import LabError
from labkit.evaluation.step_sizes import StepSizes
from labkit.evaluation.surprise import focal_of, focal_slope
from labkit.labels import IGNORE
from labkit.plots.classes import classes_present
from labkit.plots.label_maps import draw_label_map
from labkit.plots.style import BASE, INK, QUIET, SERIES, SMALL, Figure, label_ends, new_figure, percent, themed
from labkit.plots.tiles import picture_grid, show_picture


@themed
def focal_curves(measured: Mapping[float, tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Figure:
    """Focal loss of a pixel, and its pull at the true class's logit, by that class's probability.

    Lines are the formulas, dots what was measured.

    Args:
        measured: by γ: probabilities p, losses and absolute gradients ``(N,)``.
    """
    figure = new_figure(6.4)
    loss_axes, slope_axes = figure.subplots(2, sharex=True)
    p = np.linspace(1e-3, 1, 500)
    for index, (gamma, (at, losses, slopes)) in enumerate(measured.items()):
        color = SERIES[index % len(SERIES)]
        loss_axes.plot(p, focal_of(-np.log(p), gamma), color=color, label=f"γ = {gamma:g}")
        slope_axes.plot(p, focal_slope(p, gamma), color=color)
        loss_axes.plot(at, losses, "o", ms=5, color=color, mec="white", mew=0.8)
        slope_axes.plot(at, slopes, "o", ms=5, color=color, mec="white", mew=0.8)
    loss_axes.set(ylim=(0, 4), xlim=(0, 1))
    loss_axes.set_title("loss of a pixel")
    slope_axes.set_title("its pull at the logit of the true class, |∂L/∂z|")
    slope_axes.set_ylim(bottom=0)
    slope_axes.set_xlabel("p, probability of the true class")
    figure.legend(loc="outside upper left", ncols=len(measured), fontsize=BASE, handlelength=1.4)
    return figure


@themed
def loss_shares(surprises: Mapping[str, np.ndarray], gammas: Sequence[float] = (0, 2, 3)) -> Figure:
    """Which share of a loss comes from pixels whose true class has at most the probability p.

    Args:
        surprises: by title of a panel, −log p of pixels ``(N,)``.
        gammas: a line for each; the dashed line counts pixels.

    Raises:
        LabError: no pixels.
    """
    if not surprises or not all(len(values) for values in surprises.values()):
        raise LabError("no pixels to add up: give −log p of at least one labelled pixel for each panel")
    figure = new_figure(3.9)
    edges = np.linspace(0, 1, 201)
    for place, (ax, (title, surprise)) in enumerate(
        zip(np.atleast_1d(figure.subplots(1, len(surprises), sharey=True)), surprises.items(), strict=True)
    ):
        bins = np.clip(np.digitize(np.exp(-np.asarray(surprise, np.float64)), edges[1:-1]), 0, 199)
        pixels = np.bincount(bins, minlength=200)
        ax.plot(edges, _cumulative(pixels), color=QUIET, ls=(0, (4, 2)), label=None if place else "pixels")
        for index, gamma in enumerate(gammas):
            losses = np.bincount(bins, focal_of(surprise, gamma), minlength=200)
            color = SERIES[index % len(SERIES)]
            ax.plot(edges, _cumulative(losses), color=color, label=None if place else f"loss, γ = {gamma:g}")
        ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="p of the true class")
        ax.set_title(title)
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol="\u2009%"))
    figure.legend(loc="outside upper left", ncols=len(gammas) + 1, fontsize=SMALL, handlelength=1.6)
    return figure


def _cumulative(values: np.ndarray) -> np.ndarray:
    total = float(values.sum())
    return np.concatenate([[0.0], np.cumsum(values) / (total or 1.0)])


@themed
def loss_map(sample: Sample, surprise: np.ndarray, gamma: float, *, brightest: float = 0.5) -> Figure:
    """A picture with its truth, the probability of the true class, and each pixel's share of the focal loss.

    Args:
        sample: picture and truth.
        surprise: −log p of the true class ``(H, W)``, NaN where ignored.
        gamma: γ.
        brightest: the share of the picture's loss that lies in pixels drawn at full strength.
    """
    valid = ~np.isnan(surprise)
    if not valid.any():
        raise LabError(f"{sample.name}: every pixel is ignored, there is no loss to draw")
    loss = np.where(valid, focal_of(np.where(valid, surprise, 0), gamma), 0)
    ranked = np.sort(loss[valid])[::-1]
    top = ranked[np.searchsorted(np.cumsum(ranked), brightest * ranked.sum()).clip(max=len(ranked) - 1)]
    strength = np.clip(loss / max(float(top), 1e-300), 0, 1)
    half = int(np.searchsorted(np.cumsum(ranked), 0.5 * ranked.sum())) + 1
    present = [one for one in classes_present(sample.label) if one != IGNORE]
    figure, axes = picture_grid([1, 1], 2, sample.image.shape[0] / sample.image.shape[1], present=present)
    show_picture(axes[0, 0], sample.image, sample.name, bold=True)
    draw_label_map(axes[1, 0], sample.label, "truth")
    sure = np.where(valid, np.exp(-np.where(valid, surprise, 0)), 0.5)
    show_picture(axes[0, 1], _shades(sure, (20, 30, 40), (255, 255, 255)), "p of the true class, white = 1", exact=True)
    title = f"γ = {gamma:g}: half of the loss in {percent(half / valid.sum())} of pixels"
    show_picture(axes[1, 1], _shades(strength, (255, 255, 255), (213, 94, 0)), title, exact=True)
    return figure


def _shades(values: np.ndarray, low: Sequence[int], high: Sequence[int]) -> np.ndarray:
    low, high = np.asarray(low, float), np.asarray(high, float)
    return np.rint(low + values[..., None] * (high - low)).astype(np.uint8)


@themed
def update_sizes(sizes: Mapping[str, StepSizes], rates: Mapping[str, float]) -> Figure:
    """What optimisers make of gradients: updates against gradients, a dot for each tensor, and updates by step.

    Args:
        sizes: by the optimiser's name.
        rates: each one's learning rate.
    """
    figure = new_figure(6.6)
    scatter, by_step = figure.subplots(2, height_ratios=(1.5, 1))
    ends = []
    for index, (name, found) in enumerate(sizes.items()):
        color = SERIES[index % len(SERIES)]
        scatter.loglog(found.gradient[-1], found.update[-1], "o", ms=5, color=color, alpha=0.6, mew=0, label=name)
        low, high = found.gradient[-1][found.gradient[-1] > 0].min(), found.gradient[-1].max()
        scatter.plot([low, high], [rates[name] * low, rates[name] * high], color=color, lw=1, ls=(0, (4, 2)))
        steps, median = np.arange(1, len(found.update) + 1), np.median(found.update, axis=1)
        by_step.semilogy(steps, median, "o-", ms=4, color=color)
        by_step.fill_between(steps, found.update.min(1), found.update.max(1), color=color, alpha=0.15, lw=0)
        by_step.axhline(rates[name], color=color, lw=1, ls=(0, (1, 1.5)))
        ends.append((float(median[-1]), name, color))
    dots = np.concatenate([found.update[-1] for found in sizes.values()])
    scatter.set_ylim(0.2 * dots[dots > 0].min(), 5 * dots.max())
    scatter.set_title("last step: change of a tensor by the size of its gradient")
    scatter.set_xlabel("gradient, root mean square")
    scatter.set_ylabel("change")
    keys = [Line2D([], [], color=QUIET, lw=1, ls=(0, (4, 2)), label="learning rate × gradient")]
    scatter.legend(handles=[*scatter.get_legend_handles_labels()[0], *keys], loc="lower right")
    by_step.set_title("change by step: median and range over tensors; dotted: the learning rate")
    by_step.set_xlabel("step")
    by_step.set_xlim(1, max(len(found.update) for found in sizes.values()))
    by_step.xaxis.set_major_locator(MaxNLocator(integer=True))
    label_ends(by_step, ends, gap=0.16)
    return figure


@themed
def valley_paths(paths: Mapping[str, np.ndarray], curvatures: Sequence[float] = (1.0, 0.05)) -> Figure:
    """Paths down a valley f(x) = ½ Σ k_i x_i², from above, and the height by step.

    Args:
        paths: by the optimiser's name ``(steps + 1, 2)``, from :func:`labkit.evaluation.step_sizes.descend`.
        curvatures: k, across and along.
    """
    k = np.asarray(curvatures, float)
    figure = new_figure(5.4)
    above, by_step = figure.subplots(2, height_ratios=(1.25, 1))
    y, x = np.meshgrid(np.linspace(-1.4, 4.6, 240), np.linspace(-1.5, 1.5, 160))
    height = 0.5 * (k[0] * x**2 + k[1] * y**2)
    above.contour(y, x, height, levels=np.geomspace(0.003, 1.5, 9), colors="#C5CED6", linewidths=0.9)
    ends = []
    for index, (name, path) in enumerate(paths.items()):
        color = SERIES[index % len(SERIES)]
        above.plot(path[:, 1], path[:, 0], "-o", ms=2.4, lw=1, color=color, alpha=0.85, label=name)
        heights = 0.5 * (k * path**2).sum(axis=1)
        by_step.semilogy(heights, color=color, lw=1.4)
        ends.append((float(np.exp(np.log(heights[-30:]).mean())), name, color))
    above.plot(0, 0, "+", ms=11, mew=2, color=INK)
    above.set(xlim=(-1.4, 4.6), ylim=(-1.5, 1.5), xlabel="along the valley", ylabel="across")
    above.grid(False)
    by_step.set(ylim=(1e-7, 3), xlim=(0, max(len(path) for path in paths.values()) - 1), xlabel="step")
    by_step.set_title("height above the bottom")
    label_ends(by_step, ends, gap=0.14)
    figure.legend(loc="outside upper left", ncols=len(paths), fontsize=BASE, handlelength=1.4)
    return figure


@themed
def last_and_best(
    results: Mapping[str, tuple[float, float]], *, title: str, spread: Mapping[str, float] | None = None
) -> Figure:
    """The last and the best score of several trainings, joined: how much is lost between them.

    Args:
        results: by training, last and best mIoU in percent.
        title: what they are, with the data's name.
        spread: standard deviation of the last, by training, in percent; drawn as a bar.
    """
    spread = spread or {}
    figure = new_figure(0.95 + 0.33 * len(results))
    ax = figure.add_subplot()
    for row, (name, (last, best)) in enumerate(results.items()):
        ax.plot([last, best], [row, row], color="#C5CED6", lw=3, zorder=1, solid_capstyle="round")
        if spread.get(name):
            ax.plot([last - spread[name], last + spread[name]], [row] * 2, color=SERIES[1], lw=1.4, zorder=2)
        ax.plot(best, row, "o", ms=9, mfc="white", mec=SERIES[0], mew=2, zorder=3, label=None if row else "best")
        ax.plot(last, row, "o", ms=9, color=SERIES[1], mec="white", zorder=4, label=None if row else "last")
    ax.set_yticks(range(len(results)), list(results), color=INK)
    ax.set_ylim(len(results) - 0.5, -0.5)
    ax.set_xlim(left=0)
    ax.set_xlim(right=1.08 * ax.get_xlim()[1])
    ax.set_xlabel("mIoU, %")
    ax.grid(axis="y", visible=False)
    ax.set_title(title)
    ax.legend(loc="lower left", ncols=2)
    return figure

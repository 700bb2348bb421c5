"""What Dice adds, what a kernel sees, how an estimate errs, and what a network is unsure of (loda2025)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from labkit.data.dataset import Sample
from labkit.errors import LabError
from labkit.labels import IGNORE
from labkit.plots.classes import classes_present
from labkit.plots.label_maps import draw_label_map
from labkit.plots.style import INK, QUIET, SERIES, SMALL, Figure, new_figure, themed
from labkit.plots.tiles import common_aspect, picture_grid, show_picture

if TYPE_CHECKING:
    from labkit.evaluation.class_gradients import RareClassPull
    from labkit.evaluation.discrepancy import Estimates


@themed
def class_gradients(shares: np.ndarray, probabilities: np.ndarray, lines: Mapping[str, RareClassPull]) -> Figure:
    """How hard losses pull at a rare class.

    Args:
        shares: of the pixels that are of the class, ``(S,)``, above 0.
        probabilities: given to the class on its own pixels, ``(P,)``.
        lines: by loss, what :func:`labkit.evaluation.class_gradients.rare_class_pull` measured there.
    """
    figure = new_figure(3.6)
    left, right = figure.subplots(1, 2)
    left.plot(shares, shares, color=QUIET, lw=1.2, ls=(0, (4, 2)), label="as many as pixels")
    for index, (name, line) in enumerate(lines.items()):
        left.plot(shares, line.by_share, color=SERIES[index % len(SERIES)], label=name)
        right.plot(probabilities, line.by_probability, color=SERIES[index % len(SERIES)])
    left.set(xscale="log", xlim=(shares.min(), shares.max()), ylim=(0, 1))
    left.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g}\u2009%")
    left.tick_params(axis="x", pad=7)
    left.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol="\u2009%"))
    left.set_xlabel("share of the pixels that are pole")
    left.set_title("share of the gradient on poles")
    right.set(xlim=(0, 1), ylim=(0, 1.05))
    right.set_xlabel("probability given to pole on a pole")
    right.set_title("pull at a pole's pixel, over its maximum", fontsize=SMALL)
    figure.legend(loc="outside upper left", ncols=len(lines) + 1, handlelength=1.6)
    return figure


@themed
def kernel_matrices(
    panels: Mapping[str, np.ndarray], first: int, *, names: tuple[str, str] = ("source", "target")
) -> Figure:
    """Kernel values between all pairs of two sets of features, each matrix with its own scale.

    Where the domains differ, the two squares on the diagonal are darker than the two off it.

    Args:
        panels: by title, square matrices; a second line in a title is set lighter.
        first: how many rows belong to the first set; they stand first.
        names: of the sets.

    Raises:
        LabError: no matrices, or one that is not square.
    """
    if not panels or any(np.ndim(one) != 2 or len(set(np.shape(one))) != 1 for one in panels.values()):
        raise LabError("kernel matrices have to be square, (n + m, n + m), and at least one")
    figure = new_figure(3.35 if len(panels) > 2 else 4.2)
    axes = figure.subplots(1, len(panels), squeeze=False).ravel()
    for ax, (title, matrix) in zip(axes, panels.items(), strict=True):
        low, high = float(np.min(matrix)), float(np.max(matrix))
        shown = ax.imshow(
            matrix, cmap="viridis_r", vmin=low, vmax=high if high > low else low + 1, interpolation="nearest"
        )
        for edge in (ax.axhline, ax.axvline):
            edge(first - 0.5, color="white", lw=2.4)
            edge(first - 0.5, color=INK, lw=0.8)
        middles = [(first - 1) / 2, (first + len(matrix) - 1) / 2]
        ax.set_xticks(middles, names)
        ax.set_yticks(middles, names if ax is axes[0] else ["", ""], rotation=90, va="center")
        ax.grid(False)
        head, _, rest = title.partition("\n")
        ax.set_title(head, pad=18 if rest else 6)
        if rest:
            ax.text(0, 1.02, rest, transform=ax.transAxes, fontsize=SMALL, color=QUIET, va="bottom")
        shrink = 1.0 if len(panels) > 1 else 0.45
        bar = figure.colorbar(shown, ax=ax, orientation="horizontal", pad=0.03, aspect=18, shrink=shrink)
        bar.outline.set_visible(False)
        bar.ax.locator_params(nbins=3)
        bar.ax.tick_params(labelsize=SMALL - 0.5)
    return figure


@themed
def discrepancy_estimates(panels: Mapping[str, Estimates], *, batch: int | None = None) -> Figure:
    """Biased and unbiased estimates of MMD² over many draws, by the number of vectors.

    Bands hold the middle 80 % of the draws, lines are means; dashes are the truth, and the truth plus the bias by
    formula.

    Args:
        panels: by title, what :func:`labkit.evaluation.discrepancy.estimates_over_draws` found.
        batch: a number of vectors to mark.
    """
    figure = new_figure(3.7)
    axes = figure.subplots(1, len(panels), squeeze=False).ravel()
    for ax, (title, found) in zip(axes, panels.items(), strict=True):
        for draws, name, color in ((found.biased, "biased", SERIES[0]), (found.unbiased, "unbiased", SERIES[1])):
            low, high = np.quantile(draws, (0.1, 0.9), axis=1)
            ax.fill_between(found.sizes, low, high, color=color, alpha=0.16, lw=0)
            ax.plot(found.sizes, draws.mean(axis=1), "o-", ms=4.5, mec="white", color=color, label=name)
        ax.axhline(found.truth, color=INK, lw=1.2, ls=(0, (4, 2)), label="truth")
        ax.plot(
            found.sizes, found.truth + found.bias, color=INK, lw=1.2, ls=(0, (1, 1.4)), label="truth + bias, by formula"
        )
        if batch:
            ax.axvline(batch, color=QUIET, lw=0.8)
            ax.text(
                batch, 1.0, f" n = {batch}", transform=ax.get_xaxis_transform(), color=QUIET, fontsize=SMALL, va="top"
            )
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_formatter("{x:.0f}")
        ax.set_xlabel("vectors of each set, n")
        ax.set_title(title)
    axes[0].set_ylabel("estimate of MMD²")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper left", ncols=4, handlelength=1.8)
    return figure


@themed
def uncertain_pixels(
    sample: Sample,
    predicted: np.ndarray,
    entropy: np.ndarray,
    black: np.ndarray,
    title: str,
) -> Figure:
    """A picture, its truth, the entropy of a prediction, and the prediction with uncertain pixels blacked out.

    Args:
        sample: picture and truth.
        predicted: trainIds ``(H, W)``.
        entropy: nats ``(H, W)``; white is log 19.
        black: bool ``(H, W)``: pixels that are not shown.
        title: of the prediction.
    """
    present = [train_id for train_id in classes_present(sample.label, predicted) if train_id != IGNORE]
    figure, axes = picture_grid([1, 1], 2, common_aspect([sample.image]), present=present)
    show_picture(axes[0, 0], sample.image, sample.name, bold=True)
    draw_label_map(axes[0, 1], sample.label, "truth; void is black")
    grey = np.clip(entropy / np.log(19) * 255, 0, 255).astype(np.uint8)
    show_picture(axes[1, 0], np.repeat(grey[..., None], 3, axis=2), "entropy; white = log 19", exact=True)
    shown = np.where(black, IGNORE, predicted).astype(np.uint8)
    draw_label_map(axes[1, 1], shown, title, bold=True)
    return figure


@themed
def uncertainty_histograms(
    panels: Mapping[str, Mapping[str, np.ndarray]], thresholds: Sequence[float], labels: Sequence[str]
) -> Figure:
    """How uncertain void pixels, wrong pixels and right pixels are; each group's shares add up to 1.

    Args:
        panels: by group (``"void"``), values by axis, the same axes for all groups.
        thresholds: one for each axis, drawn as a line.
        labels: of the axes.

    Raises:
        LabError: thresholds or labels for another number of axes.
    """
    axes_of = list(next(iter(panels.values())))
    if not len(axes_of) == len(thresholds) == len(labels):
        raise LabError(f"{len(axes_of)} measures need as many thresholds and labels")
    figure = new_figure(3.3)
    for ax, measure, threshold, label in zip(
        figure.subplots(1, len(axes_of), squeeze=False).ravel(), axes_of, thresholds, labels, strict=True
    ):
        everything = np.concatenate([np.ravel(group[measure]) for group in panels.values()])
        edges = np.linspace(0, max(float(everything.max(initial=0)), threshold * 1.05, 1e-6), 41)
        for index, (name, group) in enumerate(panels.items()):
            values = np.ravel(group[measure])
            if not values.size:
                continue
            share = np.histogram(values, edges)[0] / values.size
            color = SERIES[index % len(SERIES)]
            ax.stairs(share, edges, color=color, lw=1.6, label=f"{name}")
            ax.stairs(share, edges, color=color, alpha=0.12, fill=True)
        ax.axvline(threshold, color=INK, lw=1.2, ls=(0, (4, 2)))
        side = "right" if threshold > 0.7 * edges[-1] else "left"
        across = ax.get_xaxis_transform()
        ax.text(threshold, 1.0, f" ξ = {threshold:g} ", transform=across, fontsize=SMALL, va="top", ha=side)
        ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        ax.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}\u2009%")
        ax.set(xlim=(0, edges[-1]), xlabel=label)
        ax.set_ylim(bottom=0)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper left", ncols=len(names), handlelength=1.6)
    return figure

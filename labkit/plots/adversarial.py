"""Adversarial adaptation: what a discriminator is shown, what it answers, and how the game goes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import matplotlib
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.ticker import MaxNLocator

from labkit.errors import LabError
from labkit.plots.classes import classes_present
from labkit.plots.label_maps import draw_label_map
from labkit.plots.style import INK, QUIET, SERIES, SMALL, SOURCE, TARGET, Figure, label_ends, new_figure, themed
from labkit.plots.tiles import common_aspect, picture_grid, show_picture

if TYPE_CHECKING:
    import pandas as pd

GUESS = math.log(2)
"""Binary cross-entropy of a discriminator that answers 0.5 throughout."""


class Seen(NamedTuple):
    """A picture and what is made of it.

    Attributes:
        image: uint8 ``(H, W, 3)``.
        prediction: trainIds ``(H, W)``, or None for no such row.
        maps: by title, ``(H, W)`` in 0–1; drawn from white (0) to dark (1).
    """

    image: np.ndarray
    prediction: np.ndarray | None = None
    maps: Mapping[str, np.ndarray] = {}


@themed
def seen_maps(pictures: Mapping[str, Seen]) -> Figure:
    """Pictures side by side, and below each its prediction and its maps.

    Args:
        pictures: by title; all with the same rows.

    Raises:
        LabError: no pictures, pictures of different shapes, or other maps for some of them.
    """
    seen = list(pictures.values())
    aspect = common_aspect([one.image for one in seen])
    rows = [(one.prediction is not None, *one.maps) for one in seen]
    if len(set(rows)) > 1:
        raise LabError("every picture of one figure needs the same maps, in the same order")
    predicted, *names = rows[0]
    present = classes_present(*(one.prediction for one in seen)) if predicted else ()
    figure, axes = picture_grid([1] * (1 + predicted + len(names)), len(seen), aspect, present=present)
    for column, (title, one) in zip(axes.T, pictures.items(), strict=True):
        show_picture(column[0], one.image, title, bold=True)
        if predicted:
            draw_label_map(column[1], one.prediction, "most probable class")
        for ax, (name, values) in zip(column[1 + predicted :], one.maps.items(), strict=True):
            shades = matplotlib.colormaps["Blues"](np.clip(values, 0, 1))[..., :3]
            show_picture(ax, shades, name, exact=True)
    return figure


@themed
def domain_answers(pictures: Mapping[str, tuple[np.ndarray, np.ndarray]], *, columns: int = 2) -> Figure:
    """A discriminator's answers over the pictures, each on the part of the picture that it stands for.

    Blue says target, vermilion source, the stronger the surer; numbers are the probability of the target.

    Args:
        pictures: by title, image uint8 ``(H, W, 3)`` and probabilities ``(h, w)`` of the target.
        columns: pictures in a row.

    Raises:
        LabError: no pictures, or pictures of different shapes.
    """
    aspect = common_aspect([image for image, _ in pictures.values()])
    rows = math.ceil(len(pictures) / columns)
    figure, axes = picture_grid([1] * rows, columns, aspect)
    for ax in axes.flat[len(pictures) :]:
        ax.remove()
    for ax, (title, (image, answers)) in zip(axes.flat, pictures.items(), strict=False):
        answers = np.asarray(answers, dtype=np.float64)
        grey = np.repeat((np.asarray(image, dtype=np.float64) @ [0.299, 0.587, 0.114])[..., None], 3, axis=2) / 255
        sure = 2 * np.abs(answers - 0.5)[..., None]
        colours = np.where((answers > 0.5)[..., None], to_rgb(TARGET), to_rgb(SOURCE))
        rise, run = (np.arange(side) * cells // side for side, cells in zip(grey.shape[:2], answers.shape, strict=True))
        cover = 0.65 * sure[rise][:, run]
        show_picture(ax, (1 - cover) * (0.45 + 0.55 * grey) + cover * colours[rise][:, run], title, bold=True)
        _write_answers(ax, answers, image.shape[:2])
    return figure


def _write_answers(ax, answers: np.ndarray, size: tuple[int, int]) -> None:
    """Numbers, where a cell has room for one."""
    (height, width), (rows, columns) = size, answers.shape
    if ax.get_position().width * ax.figure.get_figwidth() / columns < 0.4:
        return
    for row, column in np.ndindex(rows, columns):
        place = ((column + 0.5) * width / columns - 0.5, (row + 0.5) * height / rows - 0.5)
        ax.text(*place, f"{answers[row, column]:.2f}", ha="center", va="center", fontsize=SMALL - 0.5, color=INK)


@themed
def loss_and_gradient(
    answers: np.ndarray,
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    axis: str = "the discriminator's answer z",
) -> Figure:
    """A loss and its gradient, by what it is a function of, a line for each way to write it.

    Args:
        answers: ``(N,)``.
        curves: by name, loss and gradient, each ``(N,)``.
        axis: what ``answers`` are.
    """
    answers = np.asarray(answers, dtype=np.float64)
    figure = new_figure(3.1)
    panels = figure.subplots(1, 2)
    for index, (name, values) in enumerate(curves.items()):
        for ax, one in zip(panels, values, strict=True):
            ax.plot(answers, np.asarray(one), color=SERIES[index % len(SERIES)], label=name, lw=2)
    for ax, title in zip(panels, ("loss", "its gradient"), strict=True):
        ax.set_title(title)
        ax.set_xlabel(axis)
        ax.set_xlim(answers.min(), answers.max())
        ax.set_ylim(0, None)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left", ncols=len(curves))
    return figure


_PANELS = {
    "share of right answers of the discriminator": ("discriminator accuracy",),
    "the discriminator's cross-entropy": ("loss/discriminator source", "loss/discriminator target"),
    "the segmenter's adversarial loss, without its λ": ("loss/adversarial",),
}
"""The panels of :func:`adversarial_game`, and the columns of the metrics that each is the mean of."""


@themed
def adversarial_game(metrics: Mapping[str, pd.DataFrame]) -> Figure:
    """The game by step: how often the discriminator is right, its loss, and the loss of the segmenter against it.

    Dashed lines are what a discriminator has that guesses: half the answers right, and log 2 = 0.69 for both losses.

    Args:
        metrics: of adversarial trainings, by name.

    Raises:
        LabError: metrics of another training.
    """
    for name, table in metrics.items():
        if missing := [column for columns in _PANELS.values() for column in columns if column not in table]:
            raise LabError(f"the metrics of {name!r} lack the columns {missing}: is it an adversarial training?")
    figure = new_figure(0.5 + 1.75 * len(_PANELS))
    panels = figure.subplots(len(_PANELS), sharex=True)
    panels[0].set_xlim(0, max(float(table["step"].max()) for table in metrics.values()))
    for ax, (title, columns) in zip(panels, _PANELS.items(), strict=True):
        ends = []
        for index, (name, table) in enumerate(metrics.items()):
            color, values = SERIES[index % len(SERIES)], table[list(columns)].mean(axis=1)
            ax.plot(table["step"], values, color=color, label=name, clip_on=False)
            ends.append((float(values.iloc[-1]), name, color))
        guessing = 0.5 if ax is panels[0] else GUESS
        ax.axhline(guessing, color=QUIET, lw=1, ls=(0, (4, 2)), zorder=1)
        ax.set_ylim(0, 1 if ax is panels[0] else 1.04 * max(ax.get_ylim()[1], 2 * GUESS))
        ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        ax.set_title(title)
        ax.spines["left"].set_visible(False)
        label_ends(ax, ends, gap=0.13)
    panels[-1].set_xlabel("step")
    return figure

"""Pictures and their label maps, with a legend of the classes that occur."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.patheffects import withStroke

from labkit.data.dataset import Sample
from labkit.labels import CLASS_NAMES, NUM_CLASSES
from labkit.plots.classes import classes_present, color_label
from labkit.plots.style import SMALL, Figure, themed
from labkit.plots.tiles import common_aspect, picture_grid, show_picture


def borders(label: np.ndarray) -> np.ndarray:
    """Where regions meet, as float segments ``(N, 2, 2)`` of (x, y) in pixel coordinates of ``imshow``."""
    label = np.asarray(label)
    y, x = np.nonzero(label[:, 1:] != label[:, :-1])
    upright = np.stack([np.stack([x + 0.5, y - 0.5], -1), np.stack([x + 0.5, y + 0.5], -1)], 1)
    y, x = np.nonzero(label[1:] != label[:-1])
    level = np.stack([np.stack([x - 0.5, y + 0.5], -1), np.stack([x + 0.5, y + 0.5], -1)], 1)
    return np.concatenate([upright, level])


def name_places(label: np.ndarray, line_height: float) -> list[tuple[float, float, str]]:
    """Where a class's name fits inside a region of it.

    Args:
        label: trainIds ``(H, W)``.
        line_height: height of a line of text, in pixels of the map.

    Returns:
        ``(x, y, name)``: the text's middle. Regions too small for their name have none.
    """
    import cv2

    label = np.ascontiguousarray(label, dtype=np.uint8)
    places = []
    for train_id in classes_present(label):
        if train_id >= NUM_CLASSES:
            continue
        name = CLASS_NAMES[train_id]
        room = (max(1, round(line_height * 0.62 * len(name))), max(1, round(line_height * 1.5)))
        count, regions, stats, _ = cv2.connectedComponentsWithStats((label == train_id).astype(np.uint8))
        for region in range(1, count):
            if stats[region, cv2.CC_STAT_AREA] < 2 * room[0] * room[1]:
                continue
            # The text's middle may lie wherever its whole box stays inside the region.
            inside = np.pad((regions == region).astype(np.uint8), 1)
            allowed = cv2.erode(inside, np.ones(room[::-1], np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
            if allowed.any():
                depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3) * allowed
                y, x = np.unravel_index(depth.argmax(), depth.shape)
                places.append((float(x) - 1, float(y) - 1, name))
    return places


@themed
def draw_label_map(ax, label: np.ndarray, title: str = "", *, look: str = "cityscapes", bold: bool = False) -> None:
    """Draw a map of trainIds ``(H, W)`` into axes.

    ``look="cityscapes"`` uses the usual colours. ``look="readable"`` is for readers who cannot tell those
    apart: colours that differ in lightness, lines between regions, the name in every region with room for it.
    """
    label = np.asarray(label)
    show_picture(ax, color_label(label, look), title, bold=bold, exact=True)
    if look != "readable":
        return
    segments = borders(label)
    for color, linewidth in (("#333333", 1.3), ("white", 0.6)):
        ax.add_collection(LineCollection(segments, colors=color, linewidths=linewidth, capstyle="projecting"))
    pixels_per_inch = label.shape[1] / (ax.get_position().width * ax.figure.get_figwidth())
    for x, y, name in name_places(label, pixels_per_inch * SMALL / 72):
        halo = [withStroke(linewidth=2.2, foreground="white")]
        ax.text(x, y, name, ha="center", va="center", fontsize=SMALL, color="black", path_effects=halo)


@themed
def label_map_figure(
    samples: Sequence[Sample],
    *,
    titles: Sequence[str] | None = None,
    columns: int = 3,
    look: str = "cityscapes",
) -> Figure:
    """Pictures above their label maps, with one legend.

    Args:
        samples: pictures of one shape.
        titles: what stands above each picture; by default its name.
        columns: pictures in a row.
        look: ``"cityscapes"`` or ``"readable"`` (see :func:`draw_label_map`).
    """
    samples = list(samples)
    titles = [sample.name for sample in samples] if titles is None else list(titles)
    aspect = common_aspect([sample.image for sample in samples])
    columns = min(columns, len(samples))
    rows = math.ceil(len(samples) / columns)
    present = classes_present(*(sample.label for sample in samples))
    figure, axes = picture_grid([1, 0] * rows, columns, aspect, present=present, look=look)
    for index, (sample, title) in enumerate(zip(samples, titles, strict=True)):
        row, column = divmod(index, columns)
        show_picture(axes[2 * row, column], sample.image, title)
        draw_label_map(axes[2 * row + 1, column], sample.label, look=look)
    return figure


@themed
def styles_figure(styles: Mapping[str, Sequence[Sample]], *, look: str = "cityscapes") -> Figure:
    """The styles of a generated world side by side: a column each, pictures above their label maps.

    Args:
        styles: what stands above each column, and equally many pictures for each, all of one shape.
        look: ``"cityscapes"`` or ``"readable"``.
    """
    everything = [sample for samples in styles.values() for sample in samples]
    aspect = common_aspect([sample.image for sample in everything])
    rows = max(len(samples) for samples in styles.values())
    present = classes_present(*(sample.label for sample in everything))
    figure, axes = picture_grid([1, 0] + [0, 0] * (rows - 1), len(styles), aspect, present=present, look=look)
    for column, (name, samples) in enumerate(styles.items()):
        for row, sample in enumerate(samples):
            show_picture(axes[2 * row, column], sample.image, name if row == 0 else "", bold=True)
            draw_label_map(axes[2 * row + 1, column], sample.label, look=look)
    return figure

"""How a class looks: its Cityscapes colour, or one that stays distinct for a colour-blind reader."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation, blended_transform_factory

from labkit.errors import UnknownNameError
from labkit.labels import CLASS_NAMES, IGNORE, NUM_CLASSES, PALETTE
from labkit.plots.style import INK, QUIET, SMALL

READABLE_PALETTE: np.ndarray = np.array(
    [
        (72, 70, 80),
        (188, 196, 173),
        (117, 86, 67),
        (206, 133, 107),
        (63, 21, 4),
        (25, 3, 20),
        (240, 222, 15),
        (252, 255, 215),
        (75, 122, 34),
        (130, 196, 75),
        (204, 247, 255),
        (237, 21, 135),
        (228, 162, 230),
        (4, 15, 89),
        (51, 66, 144),
        (123, 122, 243),
        (6, 149, 156),
        (99, 6, 200),
        (143, 115, 196),
    ],
    dtype=np.uint8,
)
"""uint8 ``(19, 3)``: a second colour for each trainId, chosen so that any two differ by at least 20 in CIE
L*a*b* for full colour vision and, simulated, without red, green or blue cones. Among the Cityscapes colours
the smallest difference is 3 (fence and pole, without red cones)."""

LOOKS: dict[str, np.ndarray] = {"cityscapes": PALETTE, "readable": READABLE_PALETTE}
"""The palettes by name."""


def palette(look: str) -> np.ndarray:
    """The uint8 ``(19, 3)`` palette of a look.

    Raises:
        UnknownNameError: a look that is not in :data:`LOOKS`.
    """
    if look not in LOOKS:
        raise UnknownNameError("look", look, LOOKS)
    return LOOKS[look]


def stripes(height: int, width: int) -> np.ndarray:
    """A bool ``(H, W)`` pattern of diagonal stripes, about thirty to a picture's height: what is ignored."""
    period = max(4, round(height / 30))
    diagonal = np.add.outer(np.arange(height), np.arange(width))
    return diagonal % period < period / 2


def color_label(label: np.ndarray, look: str = "cityscapes") -> np.ndarray:
    """Colour a map of trainIds: ``(H, W)`` to uint8 RGB ``(H, W, 3)``.

    Ignored pixels are black in Cityscapes' colours, striped in the readable ones, whose pole is dark.
    """
    table = np.zeros((256, 3), dtype=np.uint8)
    table[:NUM_CLASSES] = palette(look)
    picture = table[np.asarray(label)]
    if look == "readable":
        ignored = np.asarray(label) == IGNORE
        light = stripes(*ignored.shape)
        picture[ignored & light], picture[ignored & ~light] = 255, 150
    return picture


def classes_present(*labels: np.ndarray) -> list[int]:
    """The trainIds that occur in any of the maps, ascending; 255 last where pixels are ignored."""
    return sorted(set().union(*(np.unique(label).tolist() for label in labels)))


def class_handles(present: Sequence[int], look: str = "cityscapes") -> list[Patch]:
    """Legend patches for :func:`classes_present`, with the classes' names; ignored pixels as "ignored"."""
    colors = palette(look) / 255
    handles = []
    for train_id in present:
        if train_id < NUM_CLASSES:
            handles.append(Patch(facecolor=colors[train_id], edgecolor="#8895A0", lw=0.6, label=CLASS_NAMES[train_id]))
        elif look == "readable":
            handles.append(Patch(facecolor="white", edgecolor="#777777", lw=0.6, hatch="/////", label="ignored"))
        else:
            handles.append(Patch(facecolor="black", edgecolor="#8895A0", lw=0.6, label="ignored"))
    return handles


def name_axis(ax, names: Sequence[str], look: str = "cityscapes") -> None:
    """Write class names down the y axis, at 0, 1, …, each with a swatch of its colour where it has one."""
    ax.set_yticks(range(len(names)), names, fontsize=SMALL, color=INK)
    ax.tick_params(axis="y", pad=18)
    colors = palette(look) / 255
    edge = blended_transform_factory(ax.transAxes, ax.transData)
    beside = edge + ScaledTranslation(-9 / 72, 0, ax.figure.dpi_scale_trans)
    for row, name in enumerate(names):
        if name in CLASS_NAMES:
            color = colors[CLASS_NAMES.index(name)]
            swatch = Line2D(
                [0],
                [row],
                ls="",
                marker="s",
                ms=8.5,
                mfc=color,
                mec=QUIET,
                mew=0.4,
                transform=beside,
                clip_on=False,
            )
            swatch.set_gid(f"swatch {name}")
            ax.add_artist(swatch)

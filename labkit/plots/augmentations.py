"""What augmentations do: to pictures, to their statistics, to features, and to the classes' scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

from labkit.data.dataset import Sample
from labkit.data.picture_statistics import PictureStatistics
from labkit.errors import LabError
from labkit.labels import CLASS_NAMES, PALETTE
from labkit.plots.classes import classes_present, name_axis
from labkit.plots.label_maps import draw_label_map
from labkit.plots.style import BASE, INK, QUIET, SERIES, SMALL, SOURCE, TARGET, Figure, new_figure, themed
from labkit.plots.tiles import common_aspect, picture_grid, show_picture


@themed
def augmentation_draws(rows: Mapping[str, Sequence[Sample]], *, look: str = "cityscapes") -> Figure:
    """Draws of augmentations, a row each; label maps below where they are not the same for all pictures of the row.

    Args:
        rows: by what stands above the row, pictures of one shape, equally many in each row.
        look: ``"cityscapes"`` or ``"readable"``.

    Raises:
        LabError: no rows, or rows of different length.
    """
    if len({len(samples) for samples in rows.values()}) != 1:
        raise LabError("draws of augmentations need rows of equally many pictures")
    everything = [sample for samples in rows.values() for sample in samples]
    moved = {title: any((s.label != samples[0].label).any() for s in samples) for title, samples in rows.items()}
    heads = [head for title in rows for head in ([1, 0] if moved[title] else [1])]
    labels = [s.label for title, samples in rows.items() if moved[title] for s in samples]
    aspect = common_aspect([sample.image for sample in everything])
    figure, axes = picture_grid(
        heads, len(next(iter(rows.values()))), aspect, present=classes_present(*labels), look=look
    )
    place = 0
    for title, samples in rows.items():
        for column, sample in enumerate(samples):
            show_picture(axes[place, column], sample.image)
            if moved[title]:
                draw_label_map(axes[place + 1, column], sample.label, look=look)
        # over all columns: a title of one picture would be cut off at its edge
        axes[place, 0].set_title(title, fontsize=SMALL, fontweight="bold", color=INK, loc="left", pad=4)
        place += 1 + moved[title]
    return figure


@themed
def picture_statistics_figure(sets: Mapping[str, PictureStatistics]) -> Figure:
    """Mean of each channel and fine detail, one dot a picture, one row a set; a bar at each set's mean.

    Args:
        sets: statistics by set's name; the first is drawn as source, the last as target, all others in grey.

    Raises:
        LabError: fewer than two sets.
    """
    if len(sets) < 2:
        raise LabError("at least two sets are compared: what is given is " + (", ".join(sets) or "nothing"))
    colors = [SOURCE, *["#6C7A89"] * (len(sets) - 2), TARGET]
    panels = [(f"mean of {name}", channel) for channel, name in enumerate(("red", "green", "blue"))]
    figure = new_figure(0.5 + 2 * (0.5 + 0.27 * len(sets)))
    axes = figure.subplots(2, 2, sharey=True).ravel()
    for ax, (title, channel) in zip(axes, [*panels, ("neighbouring pixels differ by", None)], strict=True):
        for row, (values, color) in enumerate(zip(sets.values(), colors, strict=True)):
            dots = values.detail if channel is None else values.means[:, channel]
            jitter = np.random.default_rng(0).uniform(-0.28, 0.28, len(dots))
            ax.plot(dots, row + jitter, "o", ms=3, color=color, alpha=0.35, mew=0)
            ax.plot([dots.mean()] * 2, [row - 0.38, row + 0.38], color=color, lw=2.4, zorder=3)
            ax.annotate(
                f"{dots.mean():.0f} ± {dots.std():.0f}" if channel is not None else f"{dots.mean():.1f}",
                (1.0, row),
                (2, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="center",
                fontsize=SMALL,
                color=color if color != "#6C7A89" else QUIET,
            )
        ax.set_title(title)
        ax.grid(axis="y", visible=False)
        ax.set_yticks(range(len(sets)), list(sets), color=INK)
        ax.set_ylim(len(sets) - 0.45, -0.55)
    axes[2].set_xlabel("grey values, 0 to 255")
    axes[3].set_xlabel("grey values")
    return figure


@themed
def movement_bars(movements: Mapping[str, Mapping[str, float]], *, title: str) -> Figure:
    """One bar for each change and network.

    Args:
        movements: by network's title, how far its features move, by the change's name; the same changes for all.
        title: what is measured, with its unit.

    Raises:
        LabError: no networks, or networks with different changes.
    """
    changes = [list(values) for values in movements.values()]
    if not changes or any(names != changes[0] for names in changes):
        raise LabError("every network needs the same changes, in the same order")
    names = changes[0]
    thickness = 0.8 / len(movements)
    figure = new_figure(0.95 + 0.21 * len(names) * (len(movements) + 0.6))
    ax = figure.add_subplot()
    for index, (network, values) in enumerate(movements.items()):
        y = np.arange(len(names)) + (index - (len(movements) - 1) / 2) * thickness
        ax.barh(y, list(values.values()), 0.9 * thickness, color=SERIES[index % len(SERIES)], label=network)
        for height, value in zip(y, values.values(), strict=True):
            ax.annotate(
                f"{value:.2f}", (value, height), (4, 0), textcoords="offset points", va="center", fontsize=SMALL
            )
    ax.set_yticks(range(len(names)), names, color=INK)
    ax.set_ylim(len(names) - 0.45, -0.55)
    ax.set_xlim(0, 1.1 * ax.get_xlim()[1])
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(title)
    figure.legend(loc="outside upper left", ncols=len(movements), fontsize=BASE, handlelength=1, handleheight=1)
    return figure


@themed
def difference_map(points: np.ndarray, classes: Sequence[str], columns: Sequence[str], *, title: str) -> Figure:
    """Differences of IoU by class and training as a heat map with its numbers: orange below zero, blue above.

    Args:
        points: ``(classes, columns)``, in percentage points; NaN where a class is absent.
        classes: names of the rows.
        columns: names of the columns.
        title: what the differences are of, with the data's name.

    Raises:
        LabError: another shape than the names.
    """
    from matplotlib.colors import LinearSegmentedColormap

    points = np.asarray(points, dtype=np.float64)
    if points.shape != (len(classes), len(columns)):
        raise LabError(f"differences of shape {points.shape} for {len(classes)} classes and {len(columns)} columns")
    figure = new_figure(1.35 + 0.25 * len(classes))
    ax = figure.add_subplot()
    colors = LinearSegmentedColormap.from_list("differences", [SOURCE, "#FBFBFB", TARGET])
    limit = max(float(np.nanmax(np.abs(points))) if np.isfinite(points).any() else 0.0, 1.0)
    ax.imshow(points, cmap=colors, vmin=-limit, vmax=limit, aspect="auto")
    for row, column in np.ndindex(points.shape):
        value = points[row, column]
        text = "–" if np.isnan(value) else _signed(value)
        ink = "white" if abs(value) > 0.6 * limit else INK
        ax.text(column, row, text, ha="center", va="center", fontsize=SMALL, color=ink)
    name_axis(ax, list(classes))
    ax.set_xticks(range(len(columns)), [name.replace(" + ", " +\n") for name in columns], color=INK)
    ax.xaxis.tick_top()
    ax.grid(False)
    ax.spines[:].set_visible(False)
    for row, name in enumerate(classes):
        if name not in CLASS_NAMES and row:
            ax.axhline(row - 0.5, color=INK, lw=1)
    ax.set_title(title, pad=10)
    return figure


def _signed(points: float) -> str:
    text = f"{points:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


@themed
def class_scatter(
    across: Mapping[str, float], up: Mapping[str, float], *, names: tuple[str, str], zero: bool = True
) -> Figure:
    """One dot for each class, in its own colour, with its name.

    Args:
        across, up: a number for each class; classes that are NaN in either are left out.
        names: of the axes.
        zero: whether a line is drawn at ``up`` = 0.
    """
    figure = new_figure(4.4)
    ax = figure.add_subplot()
    shown = [name for name in across if name in up and np.isfinite([across[name], up[name]]).all()]
    for name in shown:
        color = PALETTE[CLASS_NAMES.index(name)] / 255
        ax.plot(across[name], up[name], "o", ms=9, color=color, mec=QUIET, mew=0.6)
    if zero:
        ax.axhline(0, color=QUIET, lw=1.2, zorder=1)
    ax.margins(x=0.14, y=0.12)
    _name_dots(ax, [(across[name], up[name], name) for name in shown])
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])
    return figure


_PLACES = (
    (8, 0, "left"),
    (-8, 0, "right"),
    *((6 * way, up, side) for up in (11, -11, 22, -22) for way, side in ((1, "left"), (-1, "right"))),
)
"""Where a name may stand beside its dot, in points, and which of its edges is there; the best first."""


def _name_dots(ax, dots: Sequence[tuple[float, float, str]]) -> None:
    """Names beside dots, where they cover neither a dot nor another name; one that finds no room is left out."""
    ax.figure.draw_without_rendering()
    radius = 5 * ax.figure.dpi / 72
    middles = ax.transData.transform([(x, y) for x, y, _ in dots])
    taken = [Bbox.from_extents(*(middle - radius), *(middle + radius)) for middle in middles]
    halo = [withStroke(linewidth=2.5, foreground="white")]
    for x, y, name in sorted(dots, key=lambda dot: -abs(dot[1])):
        for across, up, side in _PLACES:
            text = ax.annotate(
                name, (x, y), (across, up), textcoords="offset points", ha=side, va="center", fontsize=SMALL - 0.5
            )
            text.set_path_effects(halo)
            box = text.get_window_extent()
            if not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()

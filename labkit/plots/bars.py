"""Intersection over union, class by class, of a few runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import PercentFormatter

from labkit.errors import LabError, UnknownNameError
from labkit.labels import CLASS_NAMES
from labkit.plots.classes import name_axis
from labkit.plots.style import BASE, INK, QUIET, SERIES, SMALL, Figure, new_figure, percent, themed

ORDERS = ("gap", "frequency", "trainId")
THICKNESS = 0.145
"""Inches of a bar."""


def _seeds_by_class(iou: Mapping[str, np.ndarray], classes: Sequence[str]) -> dict[str, np.ndarray]:
    tables = {run: np.atleast_2d(np.asarray(values, dtype=np.float64)) for run, values in iou.items()}
    if not tables:
        raise LabError("no runs to draw: give at least one")
    for run, table in tables.items():
        if table.ndim != 2 or table.shape[1] != len(classes):
            raise LabError(f"run {run!r} has IoU of shape {table.shape} for {len(classes)} classes")
        if np.nanmax(table, initial=0) > 1:
            raise LabError(f"run {run!r} has an IoU above 1: give fractions (a published table is percent: / 100)")
    return tables


def _order(tables: list[np.ndarray], order: str, frequency: np.ndarray | None, classes: Sequence[str]) -> np.ndarray:
    if order not in ORDERS:
        raise UnknownNameError("order", order, ORDERS)
    if order == "trainId":
        return np.arange(len(classes))
    if order == "frequency":
        if frequency is None or len(frequency) != len(classes):
            raise LabError("order='frequency' needs frequency: one count for each class")
        return np.argsort(-np.asarray(frequency, dtype=np.float64), kind="stable")
    first, last = _means(tables[0]), _means(tables[-1])
    key = last - first if len(tables) > 1 else last
    return np.argsort(np.where(np.isnan(key), np.inf, -key), kind="stable")


def _means(table: np.ndarray) -> np.ndarray:
    seen = ~np.isnan(table)
    return np.divide(
        np.where(seen, table, 0).sum(0), seen.sum(0), out=np.full(table.shape[1], np.nan), where=seen.any(0)
    )


def mean_over_classes(table: np.ndarray) -> np.ndarray:
    """The mIoU of each seed, ``(seeds, classes)`` to ``(seeds,)``: classes that are NaN are left out."""
    return _means(np.atleast_2d(table).T)


@themed
def class_iou_bars(
    iou: Mapping[str, np.ndarray],
    *,
    classes: Sequence[str] = CLASS_NAMES,
    order: str = "gap",
    frequency: np.ndarray | None = None,
    look: str = "cityscapes",
) -> Figure:
    """Horizontal bars of IoU by class, one colour a run; the legend holds each run's mIoU.

    Args:
        iou: by run, fractions ``(classes,)`` or ``(seeds, classes)``; NaN for a class that occurs neither in
            the truth nor in the prediction, drawn as "absent". Of several seeds the bar is the mean and each
            seed a dot. A data frame with a column for each run works too.
        classes: the classes' names, in the order of the values.
        order: rows by ``"gap"`` (last run minus first, widest on top; for one run its IoU), by
            ``"frequency"`` (most frequent on top) or by ``"trainId"``.
        frequency: pixels of each class, for ``order="frequency"``.
        look: colours of the swatches beside the names.

    Raises:
        LabError: shapes that do not fit the classes, or percent instead of fractions.
        UnknownNameError: an unknown order or look.
    """
    tables = _seeds_by_class(dict(iou.items()), classes)
    rows = _order(list(tables.values()), order, frequency, classes)
    pitch = len(tables) * THICKNESS + 0.13
    figure = new_figure(pitch * len(classes) + 0.75)
    ax = figure.add_subplot()
    absent = np.stack([np.isnan(table).all(0) for table in tables.values()]).all(0)[rows]
    for row in np.flatnonzero(absent):
        _write(ax, 0, row, "absent", color=QUIET, style="italic")
    for index, (run, table) in enumerate(tables.items()):
        offset = (index - (len(tables) - 1) / 2) * THICKNESS / pitch
        _draw_run(ax, run, table[:, rows], offset, THICKNESS / pitch * 0.9, SERIES[index % len(SERIES)], ~absent)
    name_axis(ax, [classes[row] for row in rows], look)
    ax.set(xlim=(0, min(1.0, ax.get_xlim()[1] * 1.02)), ylim=(len(classes) - 0.45, -0.55))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol="\u2009%"))
    ax.set_xlabel("intersection over union")
    ax.grid(axis="y", visible=False)
    ax.spines["left"].set_color(QUIET)
    beside = sum(len(handle.get_label()) + 4 for handle in ax.containers) < 64
    figure.set_figheight(figure.get_figheight() + (0 if beside else 0.2 * (len(tables) - 1)))
    columns = len(tables) if beside else 1
    figure.legend(loc="outside upper left", ncols=columns, fontsize=BASE, handlelength=1, handleheight=1)
    return figure


def _draw_run(ax, run: str, table: np.ndarray, offset: float, thickness: float, color: str, named) -> None:
    means, scores = _means(table), mean_over_classes(table)
    spread = f" ± {100 * scores.std(ddof=1):.1f}" if len(scores) > 1 else ""
    label = f"{run}: mIoU {percent(float(scores.mean())).replace(chr(0x2009), spread + chr(0x2009))}"
    y = np.arange(len(means)) + offset
    ax.barh(y, np.nan_to_num(means), thickness, color=color, label=label)
    for row, (height, mean) in enumerate(zip(y, means, strict=True)):
        if np.isnan(mean):
            if named[row]:
                _write(ax, 0, height, "absent", color=QUIET, style="italic")
            continue
        ends = table[:, row][~np.isnan(table[:, row])]
        if len(table) > 1:
            ax.plot(ends, np.full(len(ends), height), "o", ms=3.4, mfc="white", mec=INK, mew=0.7, clip_on=False)
        _write(ax, max(mean, ends.max()), height, f"{100 * mean:.1f}", color=INK)


def _write(ax, x: float, y: float, text: str, **style) -> None:
    ax.annotate(text, (x, y), (4, 0), textcoords="offset points", va="center_baseline", fontsize=SMALL - 0.5, **style)

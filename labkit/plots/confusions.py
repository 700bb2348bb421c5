"""What a network takes for what."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.patches import Rectangle

from labkit.errors import LabError
from labkit.labels import CLASS_NAMES
from labkit.plots.heat_map import LEFT, heat_map
from labkit.plots.style import SMALL, WIDTH, WRONG, Figure, percent, themed


def top_confusions(
    confusion: np.ndarray, classes: Sequence[str] = CLASS_NAMES, count: int = 5
) -> list[tuple[str, str, float]]:
    """The most frequent mistakes: ``(truth, prediction, share of the truth's pixels)``, largest share first.

    Args:
        confusion: pixel counts ``(classes, classes)``, rows = truth.
        classes: the classes' names.
        count: how many.
    """
    shares = row_shares(confusion)
    wrong = np.nan_to_num(np.where(np.eye(len(shares), dtype=bool), 0, shares))
    best = np.argsort(-wrong, axis=None, kind="stable")[:count]
    pairs = [np.unravel_index(place, wrong.shape) for place in best]
    return [(classes[t], classes[p], float(wrong[t, p])) for t, p in pairs if wrong[t, p] > 0]


def row_shares(confusion: np.ndarray) -> np.ndarray:
    """Each row as shares of its sum; a class without a pixel is a row of NaN."""
    counts = np.asarray(confusion, dtype=np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)


@themed
def confusion_figure(confusion: np.ndarray, *, classes: Sequence[str] = CLASS_NAMES, top: int = 5) -> Figure:
    """A heat map of where each true class's pixels went, the largest mistakes outlined and named.

    Args:
        confusion: pixel counts ``(classes, classes)``, rows = truth, columns = prediction.
        classes: the classes' names.
        top: how many mistakes to name.

    Raises:
        LabError: a matrix of another shape.
    """
    if np.shape(confusion) != (len(classes), len(classes)):
        raise LabError(f"a confusion matrix of {len(classes)} classes is square, not {np.shape(confusion)}")
    classes = list(classes)
    shares = row_shares(confusion)
    mistakes = top_confusions(confusion, classes, top)
    figure, ax = heat_map(
        shares, classes, "Where each class's pixels went, in\u2009% (row: truth)", lines=len(mistakes)
    )
    edge = [channel / 255 for channel in WRONG]
    for truth, prediction, _ in mistakes:
        corner = (classes.index(prediction), classes.index(truth))
        ax.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=edge, linewidth=1.8, zorder=5))
    lines = [f"{truth} taken for {prediction}: {percent(share, 0)}" for truth, prediction, share in mistakes]
    figure.text(
        LEFT / WIDTH, 0.1 / figure.get_figheight(), "\n".join(lines), va="bottom", fontsize=SMALL, linespacing=1.55
    )
    return figure

"""Which classes share a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labkit.errors import LabError
from labkit.labels import CLASS_NAMES
from labkit.plots.heat_map import heat_map
from labkit.plots.style import Figure, themed


def cooccurrence(present: np.ndarray) -> np.ndarray:
    """The share of the pictures with class i that hold class j as well: float ``(C, C)``, NaN rows for absent classes.

    Args:
        present: bool ``(pictures, C)``.
    """
    counts = np.asarray(present, dtype=np.float64)
    together, own = counts.T @ counts, counts.sum(axis=0)[:, None]
    return np.divide(together, own, out=np.full_like(together, np.nan), where=own > 0)


@themed
def cooccurrence_figure(present: np.ndarray, *, classes: Sequence[str] = CLASS_NAMES) -> Figure:
    """A heat map of :func:`cooccurrence`.

    Args:
        present: bool ``(pictures, classes)``: which class occurs in which picture.
        classes: the classes' names.

    Raises:
        LabError: a table of another shape.
    """
    if np.ndim(present) != 2 or np.shape(present)[1] != len(classes):
        raise LabError(f"expected pictures × {len(classes)} classes, got {np.shape(present)}")
    return heat_map(
        cooccurrence(present), classes, "Of the pictures with the row's class, share with the column's, in\u2009%"
    )[0]

"""Means over seeds with their spread, as numbers and as text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def deviation(values: Sequence[float]) -> float:
    """Sample standard deviation (n − 1); NaN with one value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def spread_text(values: Sequence[float], sign: str = "") -> str:
    """Mean ± sample standard deviation, one digit each; the mean alone with one value.

    Args:
        values: in the unit that is to be shown.
        sign: of the mean, as in a format: ``+`` shows that of positive numbers, too.
    """
    spread = f" ± {deviation(values):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):{sign}.1f}{spread}"


def percent_text(scores: Sequence[float], sign: str = "") -> str:
    """:func:`spread_text` of scores in 0–1, in percent."""
    return spread_text([100 * score for score in scores], sign)

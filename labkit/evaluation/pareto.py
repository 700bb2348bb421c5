"""Which methods are worth their cost: those that no other beats in cost and accuracy at once."""

from __future__ import annotations

import math
from collections.abc import Mapping


def pareto_front(points: Mapping[str, tuple[float, float]]) -> tuple[str, ...]:
    """The names of the points that no other dominates, the cheapest first, equal points in the order given.

    A point dominates another that costs no less and is no more accurate, unless both are equal; equal points so stand
    on the front together or not at all. A point with a NaN, something that was not measured, is not compared.

    Args:
        points: cost (less is better) and accuracy (more is better), by name.
    """
    measured = [name for name, point in points.items() if not any(map(math.isnan, point))]
    front, best, cost_of_best = [], -math.inf, None
    for name in sorted(measured, key=lambda name: (points[name][0], -points[name][1])):
        cost, accuracy = points[name]
        if not front or accuracy > best or (accuracy, cost) == (best, cost_of_best):
            front.append(name)
            best, cost_of_best = accuracy, cost
    return tuple(front)

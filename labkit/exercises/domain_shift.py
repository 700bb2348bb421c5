"""Checks for the exercises of notebook 03, domain shift."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from labkit.data.colours import ColourStatistics
from labkit.exercises.answer import Answer, checked, hint, right


@checked
def check_iou(student: Callable[[np.ndarray], np.ndarray]) -> Answer:
    """Exercise 3.1: IoU of each class from a square confusion matrix (rows are the truth); NaN for absent classes."""
    counts = np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]])
    given = student(counts.copy())
    if given is None:
        return hint("The function returns nothing yet. TP is the diagonal; what are the sums of a row and of a column?")
    given = np.asarray(given, dtype=float)
    if given.shape != (3,):
        return hint(f"One number for each class is wanted, shape (3,); this has shape {given.shape}.")
    if np.allclose(given[:2], [6 / 8, 3 / 4]):
        return hint("This is recall, TP / (TP + FN): it forgives calling everything road. Where do false alarms count?")
    if np.allclose(given[:2], [6 / 7, 3 / 5]):
        return hint("This is precision, TP / (TP + FP): it forgives missing. Where do misses count?")
    if np.allclose(given[:2], [6 / 15, 3 / 9]):
        return hint("A hit is counted twice: it is in the sum of its row and of its column.")
    if not np.allclose(given[:2], [6 / 9, 3 / 6]):
        return hint("For [[6, 2], [1, 3]] the union of the first class is 6 hits + 2 misses + 1 false alarm.")
    if not np.isnan(given[2]):
        return hint(f"The third class occurs nowhere, and gets {given[2]:.2f}. A mean should leave it out: use NaN.")
    random = np.random.default_rng(0)
    for _ in range(5):
        larger = random.integers(0, 100, (19, 19))
        hits = np.diag(larger)
        if not np.allclose(student(larger), hits / (larger.sum(0) + larger.sum(1) - hits)):
            return hint("Right on three classes, but not on 19: does something depend on the size?")
    return right("And it is what labkit.evaluation.confusion.iou computes.")


@checked
def check_largest_loss(student: str | None, source_only: Mapping[str, float], oracle: Mapping[str, float]) -> Answer:
    """Exercise 3.2: the class that loses most IoU, in points, from oracle to source only."""
    if not student:
        return hint("Give a class's name. The bars above are ordered by this difference.")
    if student not in oracle:
        return hint(f"{student!r} is none of the classes: {', '.join(oracle)}.")
    losses = {name: oracle[name] - source_only[name] for name in oracle}
    known = {name: value for name, value in losses.items() if not np.isnan(value)}
    largest = max(known, key=known.get)
    if known.get(student, -1.0) >= known[largest] - 1e-9:
        return right(f"{student} loses {100 * known[largest]:.1f} points. Does it look different, or stand elsewhere?")
    if oracle[student] > 0 and source_only[student] / oracle[student] < 0.1:
        return hint(f"{student} loses most of what it had, but points are asked for: oracle minus source only.")
    return hint(f"{student} loses {100 * known.get(student, 0):.1f} points; another class loses more.")


@checked
def check_recolour(student: Callable[[np.ndarray, ColourStatistics, ColourStatistics], np.ndarray]) -> Answer:
    """Exercise 3.3: move an image's colours from one mean and spread to another; uint8 in, uint8 out."""
    random = np.random.default_rng(3)
    image = random.integers(60, 180, (16, 20, 3), dtype=np.uint8)
    own = ColourStatistics(image.mean((0, 1)), image.std((0, 1)))
    other = ColourStatistics(np.array([100.0, 120.0, 140.0]), np.array([20.0, 10.0, 30.0]))
    given = student(image.copy(), own, other)
    if given is None:
        return hint("The function returns nothing yet. Subtract a mean, divide by a spread; then the way back.")
    given = np.asarray(given)
    if given.shape != image.shape:
        return hint(f"The picture came with shape {image.shape} and left with {given.shape}.")
    mean, std = given.mean((0, 1)), given.std((0, 1))
    if not np.allclose(mean, other.mean, atol=1.5):
        return hint(
            f"The channels' means are {np.round(mean)}; the target's are {other.mean}. Which mean is added last?"
        )
    if not np.allclose(std, other.std, atol=1.5):
        return hint(
            f"The means are right, but the spreads are {np.round(std)} instead of {other.std}: divide by one, multiply "
            "by the other."
        )
    if given.dtype != np.uint8:
        return hint(f"Right numbers, but as {given.dtype}: round, clip to 0–255, and return uint8.")
    extreme = student(
        np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8), own, ColourStatistics(other.mean, 9 * other.std)
    )
    if extreme[0, 0].max() > 128 or extreme[0, 1].min() < 128:
        return hint("Black came out bright or white dark: a uint8 wraps around at 256. Clip before the conversion.")
    return right("The dial above does this with labkit.data.colours.Recoloured.")

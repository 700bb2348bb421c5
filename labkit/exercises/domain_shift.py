"""Checks for the exercises of notebook 03, domain shift."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from labkit.data.statistics import ColourStatistics
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
    lonely = np.array([[3, 1, 0], [0, 0, 0], [2, 0, 0]])
    if not np.allclose(student(lonely.copy()), [3 / 6, 0, 0]):
        return hint(
            "A class that is only predicted, or only missed, has an IoU of 0. NaN is for one that is in neither."
        )
    random = np.random.default_rng(0)
    for _ in range(5):
        larger = random.integers(0, 100, (19, 19))
        hits = np.diag(larger)
        if not np.allclose(student(larger), hits / (larger.sum(0) + larger.sum(1) - hits)):
            return hint("Right on three classes, but not on 19: does something depend on the size?")
    return right("And it is what labkit.evaluation.confusion.iou computes.")


@checked
def check_gap_share(
    student: float | None, source_only: Mapping[str, float], oracle: Mapping[str, float], top: int = 3
) -> Answer:
    """Exercise 3.2: the share of the gap, in percent, that is due to the classes that lose most."""
    losses = {name: oracle[name] - source_only[name] for name in oracle}
    losses = {name: value for name, value in losses.items() if not np.isnan(value)}
    largest = sorted(losses, key=losses.get, reverse=True)[:top]
    share = 100 * sum(losses[name] for name in largest) / sum(losses.values())
    if student is None:
        return hint("Give a number. The mean is a sum over classes: which summands make up most of it?")
    if np.isclose(student, share, atol=0.6):
        return right(f"{', '.join(largest)}: {share:.0f} % of the gap. Would a mean over pixels tell the same story?")
    if np.isclose(student, share / 100, atol=0.006):
        return hint("That is the share as a fraction; percent are asked for.")
    if np.isclose(student, 100 * sum(losses[name] for name in largest), atol=0.6):
        return hint("Those are the points that they lose together. Divide by what all classes lose together.")
    if np.isclose(student, 100 * sum(losses[name] for name in largest) / len(losses), atol=0.6):
        return hint("That is what they contribute to the gap of the means. As a share of that gap, please.")
    if np.isclose(student, 100 * top / len(losses), atol=0.6):
        return hint(f"{top} of {len(losses)} classes is their share in number. How much of the loss is theirs?")
    return hint("Sort the classes by oracle minus source only; add up the largest three; divide by the sum of all.")


@checked
def check_recolour(student: Callable[[np.ndarray, ColourStatistics, ColourStatistics], np.ndarray]) -> Answer:
    """Exercise 3.3: move an image's colours from one mean and spread to another; uint8 in, uint8 out."""
    random = np.random.default_rng(3)
    image = random.integers(60, 180, (16, 20, 3), dtype=np.uint8)
    own = ColourStatistics(image.mean((0, 1)) + 10, image.std((0, 1)) * 1.3)  # of the data set, not of this picture
    other = ColourStatistics(np.array([100.0, 120.0, 140.0]), np.array([20.0, 10.0, 30.0]))
    given = student(image.copy(), own, other)
    if given is None:
        return hint("The function returns nothing yet. Subtract a mean, divide by a spread; then the way back.")
    given = np.asarray(given)
    if given.shape != image.shape:
        return hint(f"The picture came with shape {image.shape} and left with {given.shape}.")
    wanted = (image - own.mean) / own.std * other.std + other.mean
    itself = (image - image.mean((0, 1))) / image.std((0, 1)) * other.std + other.mean
    if np.allclose(given, itself, atol=1.5):
        return hint("This uses the picture's own mean and spread. Every picture then gets the same; use `own` for all.")
    if np.allclose(given, image - own.mean + other.mean, atol=1.5):
        return hint("The mean has moved, the spread has not: divide by one deviation, multiply by the other.")
    if not np.allclose(given, wanted, atol=1.5):
        return hint(
            f"The first pixel {image[0, 0]} became {np.round(given[0, 0])}; wanted is {np.round(wanted[0, 0])}. "
            "Subtract the own mean, divide by the own deviation; then the way back with the other's."
        )
    if given.dtype != np.uint8:
        return hint(f"Right numbers, but as {given.dtype}: round, clip to 0–255, and return uint8.")
    extreme = student(
        np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8), own, ColourStatistics(other.mean, 9 * other.std)
    )
    if extreme[0, 0].max() > 128 or extreme[0, 1].min() < 128:
        return hint("Black came out bright or white dark: a uint8 wraps around at 256. Clip before the conversion.")
    return right("The dial above does this with labkit.data.recolour.Recoloured.")

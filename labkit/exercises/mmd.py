"""Checks for the exercises of notebook 06, maximum mean discrepancy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from labkit.exercises.answer import Answer, checked, hint, right

FIRST, SECOND = np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([[1.0, 2.0], [1.0, 4.0]])
"""The two sets of exercise 6.1."""


def _sums(x: np.ndarray, y: np.ndarray, k: Callable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kernel values within the first set, across, and within the second."""
    return tuple(np.array([[k(a, b) for b in right] for a in left]) for left, right in ((x, x), (x, y), (y, y)))


def _printed(a: np.ndarray, b: np.ndarray) -> float:
    return -float(((a - b) ** 2).sum()) / 2


@checked
def check_by_hand(student: float | None) -> Answer:
    """Exercise 6.1: MMD² of two sets of two points, with the kernel as printed and σ = 1."""
    if student is None:
        return hint("Give a number. Sixteen kernel values would do; so would the means of the two sets.")
    xx, xy, yy = _sums(FIRST, SECOND, _printed)
    literal = xx.mean() - 2 * xy.sum() + yy.sum()
    if math.isclose(student, 9, abs_tol=1e-6):
        return right("The means are (1, 0) and (1, 3), and 9 is their squared distance. Nothing else is compared.")
    if math.isclose(student, 3, abs_tol=1e-6):
        return hint("That is the distance of the means; the formula gives its square.")
    if math.isclose(student, 4.5, abs_tol=1e-6):
        return hint("A factor of two is missing: −2 Σ k(x, y) has both k(x, y) and k(y, x) in it.")
    if math.isclose(student, literal, abs_tol=1e-6):
        return hint("So the paper prints it, with 1/n² before the first sum alone. Each of the three sums is a mean.")
    unbiased = xx.sum() / 2 - 2 * xy.mean() + yy.sum() / 2
    if math.isclose(student, unbiased, abs_tol=1e-6):
        return hint("That is the unbiased estimate, without i = j. Asked is the biased one, with 1/n².")
    return hint("k(x, y) = −‖x − y‖²/2. Mean within the first set + mean within the second − 2 · mean across.")


@checked
def check_mmd(student: Callable[[np.ndarray, np.ndarray, Callable], float]) -> Answer:
    """Exercise 6.2: the biased MMD² of two sets of other sizes, for any kernel k(a, b) of two vectors."""
    random = np.random.default_rng(6)
    for n, m in ((3, 5), (4, 2), (1, 3)):
        x, y = random.normal(size=(n, 3)), random.normal(size=(m, 3)) + 1

        def rbf(a, b):
            return float(np.exp(-((np.asarray(a) - np.asarray(b)) ** 2).sum() / 2))

        given = student(x.copy(), y.copy(), rbf)
        if given is None:
            return hint("The function returns nothing yet. It needs three double sums; each becomes a mean.")
        given = float(given)
        xx, xy, yy = _sums(x, y, rbf)
        wanted = xx.mean() - 2 * xy.mean() + yy.mean()
        if math.isclose(given, wanted, rel_tol=1e-6, abs_tol=1e-9):
            continue
        if math.isclose(given, xx.mean() - 2 * xy.sum() + yy.sum(), rel_tol=1e-6):
            return hint("1/n² stands before the first sum alone, as in the paper. Each of the three sums is a mean.")
        if math.isclose(given, xx.sum() - 2 * xy.sum() + yy.sum(), rel_tol=1e-6):
            return hint("Sums instead of means: larger sets would be further apart for being larger.")
        if math.isclose(given, (xx.sum() - 2 * xy.sum() + yy.sum()) / n**2, rel_tol=1e-6):
            return hint(
                f"Here the sets have {n} and {m} vectors: the last mean is over {m}², the middle one over {n}·{m}."
            )
        if math.isclose(given, xx.mean() - xy.mean() + yy.mean(), rel_tol=1e-6):
            return hint("The mean across counts twice: k(x, y) and k(y, x).")
        if wanted > 0 and math.isclose(given, math.sqrt(wanted), rel_tol=1e-6):
            return hint("That is MMD; MMD² is asked for, without the root.")
        if min(n, m) > 1:
            without = (xx.sum() - n) / (n * (n - 1)) - 2 * xy.mean() + (yy.sum() - m) / (m * (m - 1))
            if math.isclose(given, without, rel_tol=1e-6):
                return hint("That is the unbiased estimate. Leave i = j in.")
        return hint(f"For {n} and {m} vectors it gives {given:.4f} instead of {wanted:.4f}.")
    return right("And it is what labkit.losses.mmd.mmd computes, for all pairs at once.")


@checked
def check_absent(student: float | None) -> Answer:
    """Exercise 6.3: Dice of 100 road pixels, predicted road 0.9 and pole 0.1, with C = 2 and ε = 1."""
    if student is None:
        return hint("Give a number: 1 − (L_road + L_pole)/2. Which pixels are in the sums of a class that is nowhere?")
    road, pole = (2 * 90 + 1) / (90 + 100 + 1), (0 + 1) / (10 + 0 + 1)
    if math.isclose(student, 1 - (road + pole) / 2, abs_tol=5e-3):
        return right(
            "0.481, most of it from a class that is not there: Dice asks for its probability to be zero as well."
        )
    if math.isclose(student, 1 - road, abs_tol=6e-4):
        return hint("That is the road alone. The mean runs over all C classes, also over one that does not occur.")
    if math.isclose(student, 1 - (road + 1) / 2, abs_tol=6e-4):
        return hint("L_pole would be 1 if pole got no probability at all. It gets 0.1 on a hundred pixels.")
    if math.isclose(student, 1 - (180 / 190) / 2, abs_tol=6e-4):
        return hint("Without ε. It is 1, and it counts in both fractions.")
    if math.isclose(student, (road + pole) / 2, abs_tol=6e-4):
        return hint("That is the mean overlap; the loss is one minus it.")
    return hint("L_road = (2 · 90 + 1)/(90 + 100 + 1). For pole: no pixel of it, and 100 · 0.1 of probability.")


@checked
def check_entropy(nats: float | None, classes: int | None) -> Answer:
    """Exercise 6.4: the uniform distribution's entropy over 19 classes, and how many equal ones exceed ξ = 1."""
    if nats is None or classes is None:
        return hint("Two numbers are wanted: −Σ p log p for p = 1/19, and the first K for which it is above 1.")
    if not math.isclose(nats, math.log(19), abs_tol=6e-3):
        if math.isclose(nats, -math.log(19), abs_tol=6e-3):
            return hint("Negative: so the paper prints it, without its minus sign. An entropy is never below 0.")
        if math.isclose(nats, math.log2(19), abs_tol=6e-3):
            return hint("That is in bits. The threshold is in nats: take the natural logarithm.")
        if math.isclose(nats, math.log10(19), abs_tol=6e-3):
            return hint("That is with the logarithm to base 10. Take the natural one.")
        if math.isclose(nats, 1):
            return hint("1 is the share of the maximum. The threshold of the paper is in nats.")
        return hint("19 summands of −(1/19) log(1/19).")
    if classes != 3:
        return hint(f"For K equal classes it is log K; log {classes} = {math.log(classes):.2f}. The first above 1?")
    return right("log 19 = 2.94 nats, and ξ = 1 is passed by three equal classes (1.10), not by two (0.69).")

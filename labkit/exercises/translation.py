"""Checks for the exercises of notebook 08, translating pictures."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from labkit.exercises.answer import Answer, checked, hint, right

Picture = np.ndarray
"""Values in [−1, 1]."""


@checked
def check_cheat(to_target: Callable[[Picture], Picture], to_source: Callable[[Picture], Picture]) -> Answer:
    """Exercise 8.1: two generators without any cycle loss, the first of which ruins what it translates."""
    random = np.random.default_rng(8)
    for _ in range(4):
        pictures = random.uniform(-1, 1, (2, 6, 8))
        adapted = to_target(pictures[0].copy())
        if adapted is None or to_source(pictures[1].copy()) is None:
            return hint("A function returns nothing yet. Both take a picture with values in [−1, 1] and return one.")
        if np.shape(adapted) != pictures[0].shape:
            return hint(f"A picture of {pictures[0].shape} became one of {np.shape(adapted)}. Keep the size.")
        if np.abs(adapted).max() > 1 + 1e-9:
            return hint("Values leave [−1, 1]; a generator ends with tanh, and cannot do that.")
        there = np.abs(to_source(np.array(adapted)) - pictures[0]).mean()
        back = np.abs(to_target(np.array(to_source(pictures[1].copy()))) - pictures[1]).mean()
        if there > 1e-9 or back > 1e-9:
            which = "G_TS(G_ST(x)) from x" if there > 1e-9 else "G_ST(G_TS(x)) from x"
            return hint(f"The cycle loss is not 0: {which} differs by {max(there, back):.2f} on average.")
        if np.abs(adapted - pictures[0]).mean() < 0.1:
            return hint("No cycle loss, but (nearly) no change either. Ruin the picture, and undo it on the way back.")
    return right(
        "No cycle loss, and day became night, or a street stands on its head: the cycle asks that a change can be "
        "undone, not that it is harmless. Only the discriminators object, and the semantic term."
    )


@checked
def check_best_score(student: Callable[[float, float], float]) -> Answer:
    """Exercise 8.2: the score that minimises p (D − 1)² + q D², for densities p of originals, q of translations."""
    for p, q in ((0.2, 0.6), (0.5, 0.5), (3.0, 1.0), (0.0, 2.0), (0.7, 0.1)):
        given = student(p, q)
        if given is None:
            return hint("The function returns nothing yet. Set the derivative of p (D − 1)² + q D² to zero.")
        given, wanted = float(given), p / (p + q)
        if math.isclose(given, wanted, abs_tol=1e-6):
            continue
        if math.isclose(given, q / (p + q), abs_tol=1e-6):
            return hint("That is the share of translations. Originals are drawn towards 1.")
        if math.isclose(given, float(p > q), abs_tol=1e-6):
            return hint("That is a decision. The squares are smallest between 0 and 1: how much of each is there?")
        if math.isclose(given, p - q, abs_tol=1e-6):
            return hint("2 p (D − 1) + 2 q D = 0. Collect what stands with D.")
        return hint(f"For p = {p:g} and q = {q:g} it gives {given:.3f}; p (D − 1)² + q D² is smaller elsewhere.")
    return right(
        "p / (p + q), the share of originals among pictures like this one, as with logarithms. Where it is one half "
        "everywhere, p = q: the translations cannot be told from originals."
    )


@checked
def check_parameters(student: Callable[[int, int], int]) -> Answer:
    """Exercise 8.3: the parameters of the generator with so many blocks and so many filters."""
    from labkit.models.generator import Generator

    for blocks, filters in ((0, 2), (1, 4), (9, 64)):
        given = student(blocks, filters)
        if given is None:
            return hint("The function returns nothing yet. A k×k convolution from a to b channels has k²·a·b + b.")
        wanted = _count(Generator(blocks, filters))
        if int(given) == wanted == given:
            continue
        weights = sum(p.numel() for p in Generator(blocks, filters).parameters() if p.dim() > 1)
        if given == weights:
            return hint("The biases are missing: one for each channel that a convolution gives.")
        one_each = blocks * (9 * (4 * filters) ** 2 + 4 * filters)
        if blocks and given == wanted - one_each:
            return hint("A residual block has two convolutions.")
        if blocks and given == wanted - 2 * one_each:
            return hint("Right but for the residual blocks: each has two 3×3 convolutions at 4 · filters channels.")
        return hint(
            f"For {blocks} blocks and {filters} filters it gives {given:,} instead of {wanted:,}. In order: 7×7 from 3 "
            "to f, 3×3 to 2f, 3×3 to 4f, the blocks, 3×3 back to 2f, to f, and 7×7 to 3. Instance norm has none."
        )
    return right("11,378,179 for 9 blocks and 64 filters; 7,837,699 for 6 blocks. Most of it sits in the blocks.")


def _count(network) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@checked
def check_frechet(student: Callable[[np.ndarray, np.ndarray], float]) -> Answer:
    """Exercise 8.4: the Fréchet distance d² of two sets of numbers, with n − 1 in their variances."""
    from labkit.evaluation.translations import frechet_distance

    random = np.random.default_rng(8)
    for n, m, spread in ((20, 30, 2.0), (5, 9, 0.5), (12, 12, 1.0)):
        x, y = random.normal(size=n), 1 + spread * random.normal(size=m)
        given = student(x.copy(), y.copy())
        if given is None:
            return hint("The function returns nothing yet. With K = 1 the trace is S_x + S_y − 2 √(S_x S_y).")
        given, wanted = float(given), frechet_distance(x[:, None], y[:, None])
        deviations = [[one.std(ddof=ddof) for one in (x, y)] for ddof in (0, 1)]
        means = (x.mean() - y.mean()) ** 2
        if math.isclose(given, wanted, rel_tol=1e-6, abs_tol=1e-9):
            continue
        if math.isclose(given, means, rel_tol=1e-6):
            return hint("That compares the means alone. The spreads differ, too.")
        if math.isclose(given, means + (deviations[0][0] - deviations[0][1]) ** 2, rel_tol=1e-6):
            return hint("Nearly: NumPy divides by n unless it is told otherwise (ddof=1).")
        if math.isclose(given, means + sum(d**2 for d in deviations[1]), rel_tol=1e-6):
            return hint("Both variances, but not what they have in common: − 2 √(S_x S_y) is missing.")
        if math.isclose(given, math.sqrt(wanted), rel_tol=1e-6):
            return hint("That is d; d² is asked for, as the FID has it.")
        return hint(f"For {n} and {m} numbers it gives {given:.4f} instead of {wanted:.4f}.")
    return right("(μ_x − μ_y)² + (σ_x − σ_y)²: two sets agree if mean and deviation do, whatever else they are.")

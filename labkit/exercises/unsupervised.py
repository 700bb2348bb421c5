"""Checks for the exercises of notebook 09, learning from the target without labels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import torch
from scipy.stats import chisquare

from labkit.data.mixing import boundary_weights
from labkit.evaluation.binary_losses import focal_line
from labkit.exercises.answer import Answer, checked, hint, right
from labkit.labels import IGNORE
from labkit.losses.thresholds import sample_thresholds

MINIMA = ((0.6, 0.0), (0.6, 1.0), (0.6, 2.0), (0.9, 2.0), (0.75, 0.5), (0.3, 1.0))
DRAWS = 300


@checked
def check_minimum(student: Callable[[float, float], float]) -> Answer:
    """Exercise 9.1: where the unsupervised focal loss of a pixel with two classes is least, for p̂ and γ."""
    p = np.linspace(0, 1, 20_001)[1:-1]
    for soft, gamma in MINIMA:
        given = student(soft, gamma)
        if given is None:
            return hint(
                "The function returns nothing yet. Compute the loss on a fine grid of p, and look for its least."
            )
        given, wanted = float(given), float(p[focal_line(p, soft, gamma).loss.argmin()])
        if abs(given - wanted) < 1e-3:
            continue
        if abs(given - soft) < 2e-3:
            return hint("That is p̂: there the plain divergence alone is least. The entropy's term pulls away from it.")
        divergence = focal_line(p, soft, gamma).loss + p * np.log(p) + (1 - p) * np.log1p(-p)
        if abs(given - float(p[divergence.argmin()])) < 2e-3:
            return hint("That is the divergence without the entropy of p. Eq. (9.5) is the sum of both.")
        if gamma and abs(given - float(p[focal_line(p, soft, 0.0).loss.argmin()])) < 2e-3:
            return hint(f"For γ = {gamma:g} it gives the answer for γ = 0: the factor (1 − p)^γ is missing.")
        if gamma and abs(given - float(p[_first_class_alone(p, soft, gamma).argmin()])) < 2e-3:
            return hint("The factor of the second class is (1 − its own probability)^γ, that is p^γ.")
        if abs(given - wanted) < 1.1e-2:
            return hint(f"{given:g} is near it: three digits are asked for, so take a finer grid, and do not round.")
        return hint(f"For p̂ = {soft:g} and γ = {gamma:g} it gives {given:.3f}; the loss is least at {wanted:.3f}.")
    return right("0.824, 0.665 and 0.605 for p̂ = 0.6 and γ = 0, 1, 2: the printed 0.67 is that of γ = 1.")


def _first_class_alone(p: np.ndarray, soft: float, gamma: float) -> np.ndarray:
    """The loss with the first class's factor on both classes."""
    entropy = -p * np.log(p) - (1 - p) * np.log1p(-p)
    return entropy - (1 - p) ** gamma * (soft * np.log(p) + (1 - soft) * np.log1p(-p))


@checked
def check_threshold(student: Callable[[np.ndarray, float, float, float], float]) -> Answer:
    """Exercise 9.2: a class's threshold by one picture, eq. (9), from its confidences in any order."""
    random = np.random.default_rng(9)
    cases = [(200, 1.0, 0.25, 8.0), (200, 0.8, 0.8, 8.0), (37, 0.9, 0.8, 4.0), (3, 0.3, 0.8, 8.0), (1, 0.8, 0.8, 8.0)]
    for count, alpha, b, d in cases:
        sure = random.uniform(0.2, 1.0, count).astype(np.float32)
        given = student(sure.copy(), alpha, b, d)
        if given is None:
            return hint("The function returns nothing yet. Sort in descending order, and take the item of eq. (9.9).")
        wanted = _threshold(sure, alpha, b, d)
        if math.isclose(float(given), wanted, abs_tol=1e-6):
            continue
        ranked = np.sort(sure)[::-1]
        place = b * math.exp(alpha - 1) ** d * count
        rank = math.floor(place)
        rounded = {max(math.ceil(place), 1), max(round(place), 1)} - {max(rank, 1)}
        if any(math.isclose(float(given), float(ranked[one - 1]), abs_tol=1e-6) for one in rounded):
            return hint(f"Of {count} pixels the bracket is {place:.2f}, and our reading rounds down, to {rank}.")
        if rank < 1 and math.isclose(float(given), float(ranked[rank - 1]), abs_tol=1e-6):
            return hint(
                f"Of {count} pixels the index is {rank}, and Python's −1 is the last. Take the first one at least."
            )
        if rank < count and math.isclose(float(given), float(ranked[max(rank, 0)]), abs_tol=1e-6):
            return hint("Counted from 0. Our reading counts the items from 1: the first one is the largest.")
        if math.isclose(float(given), float(np.sort(sure)[max(rank, 1) - 1]), abs_tol=1e-6):
            return hint("The order is ascending. The surest pixels come first.")
        plain = max(math.floor(b * count), 1)
        if math.isclose(float(given), float(ranked[plain - 1]), abs_tol=1e-6):
            return hint("That lets through the share b whatever α is. The factor (e^(α − 1))^d is missing.")
        return hint(
            f"For {count} pixels, α = {alpha:g}, b = {b:g}, d = {d:g} it gives {float(given):.4f}, not {wanted:.4f}, "
            f"which is item {max(rank, 1)} of the descending order."
        )
    return right("At α = 1 the share b passes, at 0.8 with d = 8 a fifth of that: who is unsure is let in sparingly.")


def _threshold(sure: np.ndarray, alpha: float, b: float, d: float) -> float:
    one_class = torch.zeros((1, len(sure)), dtype=torch.int64)
    found = sample_thresholds(torch.from_numpy(sure)[None], one_class, torch.tensor([alpha], dtype=torch.float64), b, d)
    return float(found)


@checked
def check_weight(student: Callable[[float, int], tuple[float, float]]) -> Answer:
    """Exercise 9.3: λ for Shannon's entropy divided by log C, and for squares summed over classes instead of averaged.

    The given λ is that of the entropy as in eq. (9.2), and of the mean over classes.
    """
    for weight, classes in ((0.01, 19), (0.05, 16), (0.2, 2)):
        given = student(weight, classes)
        if given is None:
            return hint("The function returns nothing yet. Ask for λ′ · L′ = λ · L.")
        entropy, squares = (float(one) for one in given)
        if math.isclose(entropy, weight / math.log(classes), rel_tol=1e-6):
            return hint("The loss became smaller by log C, so its weight has to become larger.")
        if not math.isclose(entropy, weight * math.log(classes), rel_tol=1e-6):
            return hint(f"For λ = {weight:g} and {classes} classes the first is {entropy:.4g}. λ′ · H / log C = λ · H.")
        if math.isclose(squares, weight * classes, rel_tol=1e-6):
            return hint("A sum over C classes is C times their mean: its weight has to be smaller.")
        if not math.isclose(squares, weight / classes, rel_tol=1e-6):
            return hint(
                f"For λ = {weight:g} and {classes} classes the second is {squares:.4g}. λ′ · C · mean = λ · mean."
            )
    return right(
        "0.01 of eq. (9.2) is 0.029 for ADVENT's entropy. Who copies a λ copies a normalisation, or changes it."
    )


@checked
def check_half(student: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Answer:
    """Exercise 9.4: the mask of ⌈n/2⌉ of the classes of a label map, each choice as likely; 255 is never chosen."""
    maps = {
        "five": np.array([[0, 0, 8, 255], [2, 10, 13, 255], [2, 10, 0, 13]], dtype=np.uint8),
        "four": np.array([[0, 0, 8, 255], [2, 10, 10, 255]], dtype=np.uint8),
        "one": np.full((2, 2), 7, np.uint8),
    }
    for name, label in maps.items():
        classes = np.unique(label[label != IGNORE])
        wanted = math.ceil(len(classes) / 2)
        choices, seen = math.comb(len(classes), wanted), Counter()
        for draw in range(DRAWS):
            masks = [student(label.copy(), np.random.default_rng([9, draw])) for _ in range(2)]
            if masks[0] is None:
                return hint(
                    "The function returns nothing yet. np.unique gives the classes; choose some; np.isin the mask."
                )
            mask = np.asarray(masks[0])
            if mask.shape != label.shape or mask.dtype != bool:
                return hint(
                    f"A mask of {mask.dtype} {mask.shape} came back for a map of {label.shape}; bool is wanted."
                )
            if mask[label == IGNORE].any():
                return hint("An ignored pixel was chosen: 255 is no class.")
            chosen = frozenset(np.unique(label[mask]).tolist())
            if any(mask[label == one].all() != mask[label == one].any() for one in chosen):
                return hint("Of a chosen class all pixels belong to the mask.")
            if len(chosen) != wanted:
                return hint(
                    f"{len(chosen)} of {len(classes)} classes were chosen; ⌈{len(classes)}/2⌉ = {wanted} are asked "
                    "for, each at most once."
                )
            if not np.array_equal(mask, masks[1]):
                return hint("Two generators with the same seed gave two masks: draw from the generator that is given.")
            seen[chosen] += 1
        if len(seen) < choices:
            return hint(
                f"Of a map of {name} classes {DRAWS} draws gave {len(seen)} of the {choices} choices: every one of "
                "them has to be possible. Is the generator used?"
            )
        if choices > 1 and chisquare(list(seen.values())).pvalue < 1e-6:
            return hint(
                f"Of a map of {name} classes one choice came {max(seen.values())} times in {DRAWS} draws, another "
                f"{min(seen.values())} times: each is to be as likely, however large a class is in the picture."
            )
    return right("Whole classes, so that things keep their outlines. Whether a car floats in the sky nobody asks.")


@checked
def check_boundary(student: Callable[[int, int], float]) -> Answer:
    """Exercise 9.5: the mean of W_m where one straight upright border divides a picture, by its width and the field."""
    for width, size in ((192, 7), (64, 3), (40, 1)):
        given = student(width, size)
        if given is None:
            return hint("The function returns nothing yet. In how many columns is the weight 2?")
        mask = torch.zeros((1, 12, width), dtype=torch.bool)
        mask[..., width // 2 :] = True
        given, wanted = float(given), float(boundary_weights(mask, size).double().mean())
        if math.isclose(given, wanted, rel_tol=1e-6):
            continue
        if math.isclose(given, 1 + size / width, rel_tol=1e-6):
            return hint("Boundary points stand on both sides of the border: two columns, and their fields overlap.")
        if math.isclose(given, 1 + 2 * size / width, rel_tol=1e-6):
            return hint("Two columns of boundary points, yes; but their fields overlap.")
        if math.isclose(given, (wanted - 1), rel_tol=1e-6):
            return hint("That is the share of the columns with weight 2; the mean of the weights is 1 more.")
        return hint(
            f"For a width of {width} and a field of {size} it gives {given:.4f}; W_m has the mean {wanted:.4f}."
        )
    return right("Eight columns of 192: a straight border makes L_m 4 % larger, if all pixels cost the same.")

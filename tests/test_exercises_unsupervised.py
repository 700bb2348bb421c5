"""The exercises of notebook 09: its hidden solutions are right, and a wrong answer gets the hint that helps."""

import math
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

from labkit.exercises import unsupervised as exercises

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "09_threshold_focal_cim.ipynb"


def test_the_hidden_solutions_are_right():
    names: dict = {"np": np}
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.id.startswith("sol-"):
            exec(re.search(r"```python\n(.*?)```", cell.source, re.DOTALL).group(1), names)
    for answer in (
        exercises.check_minimum(names["minimum"]),
        exercises.check_threshold(names["threshold"]),
        exercises.check_weight(names["carried_over"]),
        exercises.check_half(names["half"]),
        exercises.check_boundary(names["mean_weight"]),
    ):
        assert answer.right, answer.message


def least_of(loss):
    """A student's answer that looks for the least of a loss of (p, soft, gamma)."""
    p = np.linspace(0, 1, 10_001)[1:-1]
    return lambda soft, gamma: p[loss(p, soft, gamma).argmin()]


def entropy(p):
    return -p * np.log(p) - (1 - p) * np.log(1 - p)


def without_gamma(p, soft, gamma):
    return entropy(p) - soft * np.log(p) - (1 - soft) * np.log(1 - p)


def divergence_alone(p, soft, gamma):
    return -soft * (1 - p) ** gamma * np.log(p) - (1 - soft) * p**gamma * np.log(1 - p)


def summed(p, soft, gamma):
    return entropy(p) + divergence_alone(p, soft, gamma)


def one_factor(p, soft, gamma):
    return entropy(p) - (1 - p) ** gamma * (soft * np.log(p) + (1 - soft) * np.log(1 - p))


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda soft, gamma: None, "returns nothing"),
        (lambda soft, gamma: soft, "That is p̂"),
        (least_of(without_gamma), "(1 − p)^γ is missing"),
        (least_of(one_factor), "factor of the second class"),
        (lambda soft, gamma: 0.95, "is least at 0.824"),
        (lambda soft, gamma: round(float(least_of(summed)(soft, gamma)), 2), "three digits"),
        (lambda soft, gamma: max(least_of(summed)(soft, gamma), 0.5), "is least at 0.193"),
        (lambda soft, gamma: unknown, "NameError"),  # noqa: F821
    ],
)
def test_a_wrong_minimum_gets_the_hint_that_helps(attempt, hint):
    answer = exercises.check_minimum(attempt)
    assert not answer.right and hint in answer.message, answer.message


def test_the_divergence_alone_is_told_apart_once_gamma_is_not_0():
    plain, alone = least_of(lambda p, soft, gamma: without_gamma(p, soft, 0)), least_of(divergence_alone)
    answer = exercises.check_minimum(lambda soft, gamma: alone(soft, gamma) if gamma else plain(soft, gamma))
    assert not answer.right and "without the entropy" in answer.message


def rounded(alpha, b, d, count, how):
    return how(b * math.exp(alpha - 1) ** d * count)


def place(alpha, b, d, count):
    return rounded(alpha, b, d, count, math.floor)


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda sure, alpha, b, d: None, "returns nothing"),
        (lambda sure, alpha, b, d: np.sort(sure)[::-1][place(alpha, b, d, len(sure))], "Counted from 0"),
        (lambda sure, alpha, b, d: np.sort(sure)[max(place(alpha, b, d, len(sure)), 1) - 1], "ascending"),
        (lambda sure, alpha, b, d: np.sort(sure)[::-1][max(int(b * len(sure)), 1) - 1], "(e^(α − 1))^d is missing"),
        (lambda sure, alpha, b, d: np.sort(sure)[::-1][place(alpha, b, d, len(sure)) - 1], "Take the first one"),
        (lambda sure, alpha, b, d: 0.123, "of the descending order"),
        (
            lambda sure, alpha, b, d: np.sort(sure)[::-1][max(rounded(alpha, b, d, len(sure), math.ceil), 1) - 1],
            "rounds down",
        ),
        (
            lambda sure, alpha, b, d: np.sort(sure)[::-1][max(rounded(alpha, b, d, len(sure), round), 1) - 1],
            "rounds down",
        ),
    ],
)
def test_a_wrong_threshold_gets_the_hint_that_helps(attempt, hint):
    answer = exercises.check_threshold(attempt)
    assert not answer.right and hint in answer.message, answer.message


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda weight, classes: None, "returns nothing"),
        (lambda weight, classes: (weight / math.log(classes), weight / classes), "smaller by log C"),
        (lambda weight, classes: (weight, weight), "λ′ · H / log C"),
        (lambda weight, classes: (weight * math.log(classes), weight * classes), "has to be smaller"),
        (lambda weight, classes: (weight * math.log(classes), weight), "λ′ · C · mean"),
    ],
)
def test_a_wrong_weight_gets_the_hint_that_helps(attempt, hint):
    answer = exercises.check_weight(attempt)
    assert not answer.right and hint in answer.message, answer.message


def some(label, random, count=lambda n: (n + 1) // 2, ignored=(255,)):
    classes = np.array([one for one in np.unique(label) if one not in ignored])
    return np.isin(label, random.choice(classes, count(len(classes)), replace=False))


def one_too_many_of_even(label, random):
    return some(label, random, count=lambda n: min(n // 2 + 1, n))


def the_first_is_always_there(label, random):
    classes = np.unique(label)
    first, *others = classes[classes != 255]
    return np.isin(label, [first, *random.choice(others or [first], (len(others) + 2) // 2 - 1, replace=False)])


def generator_of_its_own(label, random):
    return some(label, np.random.default_rng())


def always_the_first(label, random):
    classes = np.unique(label)
    return np.isin(label, classes[classes != 255][: (len(np.unique(label)) + 1) // 2])


def the_larger_the_likelier(label, random):
    classes, areas = np.unique(label[label != 255], return_counts=True)
    shares = areas / areas.sum()
    return np.isin(label, random.choice(classes, (len(classes) + 1) // 2, replace=False, p=shares))


def pixels_by_lot(label, random):
    return (random.uniform(size=label.shape) < 0.5) & (label != 255)


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda label, random: None, "returns nothing"),
        (lambda label, random: some(label, random).astype(int), "bool is wanted"),
        (lambda label, random: some(label, random, ignored=()), "255 is no class"),
        (lambda label, random: some(label, random, count=lambda n: n // 2), "⌈5/2⌉ = 3"),
        (pixels_by_lot, "all pixels belong"),
        (always_the_first, "Is the generator used"),
        (one_too_many_of_even, "⌈4/2⌉ = 2"),
        (the_larger_the_likelier, "each is to be as likely"),
        (the_first_is_always_there, "every one of them has to be possible"),
        (generator_of_its_own, "draw from the generator that is given"),
    ],
)
def test_a_wrong_half_gets_the_hint_that_helps(attempt, hint):
    answer = exercises.check_half(attempt)
    assert not answer.right and hint in answer.message, answer.message


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda width, size: None, "returns nothing"),
        (lambda width, size: 1 + size / width, "both sides of the border"),
        (lambda width, size: 1 + 2 * size / width, "fields overlap"),
        (lambda width, size: (size + 1) / width, "the mean of the weights is 1 more"),
        (lambda width, size: 1.5, "W_m has the mean"),
    ],
)
def test_a_wrong_border_gets_the_hint_that_helps(attempt, hint):
    answer = exercises.check_boundary(attempt)
    assert not answer.right and hint in answer.message, answer.message

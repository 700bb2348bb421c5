"""The exercises of notebook 06: its hidden solutions are right, and a wrong answer gets the hint that helps."""

import math
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

from labkit.exercises import mmd as exercises

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "06_maximum_mean_discrepancy.ipynb"


def test_the_hidden_solutions_are_right():
    names: dict = {"np": np}
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.id.startswith("sol-"):
            exec(re.search(r"```python\n(.*?)```", cell.source, re.DOTALL).group(1), names)
    assert exercises.check_by_hand(names["value"]).right
    assert exercises.check_mmd(names["mmd_of"]).right
    assert exercises.check_absent(names["loss"]).right
    assert exercises.check_entropy(names["nats"], names["classes"]).right


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (None, "Give a number"),
        (3, "gives its square"),
        (4.5, "factor of two"),
        # -1/2 within each, 5.5 across, as sums: by the formula as the paper prints it.
        (-1 + 2 * 4 * 5.5 - 4, "So the paper prints it"),
        (-2 + 11 - 2, "unbiased"),
        (0.5, "Mean within the first"),
        ("nine", "TypeError"),
    ],
)
def test_a_wrong_value_gets_the_hint_that_helps(value, hint):
    answer = exercises.check_by_hand(value)
    assert not answer.right and hint in answer.message, answer.message


def sums(x, y, k):
    return [np.array([[k(a, b) for b in right] for a in left]) for left, right in ((x, x), (x, y), (y, y))]


def combined(how):
    return lambda x, y, k: how(*sums(x, y, k))


def unbiased(xx, xy, yy):
    n, m = len(xx), len(yy)
    return (xx.sum() - n) / n / (n - 1) - 2 * xy.mean() + (yy.sum() - m) / m / (m - 1)


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda x, y, k: None, "returns nothing"),
        (combined(lambda xx, xy, yy: xx.mean() - 2 * xy.sum() + yy.sum()), "first sum alone"),
        (combined(lambda xx, xy, yy: xx.sum() - 2 * xy.sum() + yy.sum()), "Sums instead of means"),
        (combined(lambda xx, xy, yy: (xx.sum() - 2 * xy.sum() + yy.sum()) / len(xx) ** 2), "3 and 5 vectors: the last"),
        (combined(lambda xx, xy, yy: xx.mean() - xy.mean() + yy.mean()), "counts twice"),
        (combined(lambda xx, xy, yy: math.sqrt(xx.mean() - 2 * xy.mean() + yy.mean())), "without the root"),
        (combined(unbiased), "Leave i = j in"),
        (lambda x, y, k: 0.0, "gives 0.0000 instead"),
        (lambda x, y, k: k(x), "TypeError"),
    ],
)
def test_a_wrong_mmd_gets_the_hint_that_helps(attempt, hint):
    answer = exercises.check_mmd(attempt)
    assert not answer.right and hint in answer.message, answer.message


@pytest.mark.parametrize(
    ("loss", "hint"),
    [
        (None, "Give a number"),
        (1 - 181 / 191, "road alone"),
        (1 - (181 / 191 + 1) / 2, "no probability at all"),
        (1 - (180 / 190) / 2, "Without ε"),
        ((181 / 191 + 1 / 11) / 2, "one minus it"),
        (0.1, "no pixel of it"),
    ],
)
def test_a_wrong_dice_gets_the_hint_that_helps(loss, hint):
    answer = exercises.check_absent(loss)
    assert not answer.right and hint in answer.message, answer.message


@pytest.mark.parametrize(
    ("nats", "classes", "hint"),
    [
        (None, None, "Two numbers"),
        (-math.log(19), 3, "minus sign"),
        (math.log2(19), 3, "in bits"),
        (math.log10(19), 3, "base 10"),
        (1.0, 3, "share of the maximum"),
        (5.0, 3, "19 summands"),
        (math.log(19), 2, "log 2 = 0.69"),
    ],
)
def test_a_wrong_entropy_gets_the_hint_that_helps(nats, classes, hint):
    answer = exercises.check_entropy(nats, classes)
    assert not answer.right and hint in answer.message, answer.message

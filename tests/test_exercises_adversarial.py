"""The exercises of notebook 05: its hidden solutions are right, and a wrong answer gets the hint that helps."""

from __future__ import annotations

import math
import re
from pathlib import Path

import nbformat
import pytest

from labkit.exercises import adversarial as exercises

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "05_adversarial_adaptation.ipynb"


def test_the_hidden_solutions_are_right():
    names: dict = {}
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.id.startswith("sol-"):
            exec(re.search(r"```python\n(.*?)```", cell.source, re.DOTALL).group(1), names)
    assert exercises.check_patch(names["patch"]).right
    answer = exercises.check_guessing(names["guessing"], names["two"])
    assert answer.right and "0.693 and 0.503" in answer.message
    answer = exercises.check_running(names["share_of_target"])
    assert answer.right and "53 %" in answer.message


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda strides: None, "returns nothing"),
        (lambda strides: 4 + 3 * (len(strides) - 1), "Strides are missing"),
        (math.prod, "neighbouring answers"),
        (lambda strides: 7 * len(strides), "its own stride"),
        (lambda strides: 3 * 2 ** len(strides) - 2, "(2, 2, 2, 1, 1): 94 instead of 70"),
        (lambda strides: strides.size, "AttributeError"),
    ],
)
def test_a_wrong_patch_gets_the_hint_that_helps(attempt, hint):
    answer = exercises.check_patch(attempt)
    assert not answer.right and hint in answer.message


@pytest.mark.parametrize(
    ("guessing", "two", "hint"),
    [
        (None, None, "Two numbers"),
        (1.0, 0.5, "one bit"),
        (0.5, 0.5, "its accuracy"),
        (0.2, 0.5, "y = 1 costs"),
        (0.693, 0.0, "one sigmoid reaches"),
        (0.693, 0.3133, "target's half"),
        (0.693, 1.006, "sum over both"),
        (0.693, 0.9, "σ(0) and σ(1)"),
        ("log 2", 0.5, "TypeError"),
    ],
)
def test_a_wrong_loss_gets_the_hint_that_helps(guessing, two, hint):
    answer = exercises.check_guessing(guessing, two)
    assert not answer.right and hint in answer.message


def moved(momentum, forwards, forget=True):
    share = 0.0
    for domain in forwards:
        if forget or domain == "t":
            share = (1 - momentum) * share + momentum * (domain == "t")
    return share


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda momentum, forwards: None, "returns nothing"),
        (lambda momentum, forwards: moved(1 - momentum, forwards), "not of the old mean"),
        (lambda momentum, forwards: forwards.count("t") / len(forwards), "counts the forwards"),
        (lambda momentum, forwards: moved(momentum, forwards, forget=False), "both kinds move"),
        (lambda momentum, forwards: moved(0.1, forwards), "With momentum 0.3"),
        (lambda momentum, forwards: forwards / 2, "TypeError"),
    ],
)
def test_a_wrong_share_gets_the_hint_that_helps(attempt, hint):
    answer = exercises.check_running(attempt)
    assert not answer.right and hint in answer.message

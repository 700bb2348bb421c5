"""The exercises of notebook 08: its hidden solutions are right, and a wrong answer gets the hint that helps."""

import math
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

from labkit.exercises import translation as exercises
from labkit.models.generator import Generator

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "08_cyclegan_pipeline.ipynb"


def test_the_hidden_solutions_are_right():
    names: dict = {"np": np}
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.id.startswith("sol-"):
            exec(re.search(r"```python\n(.*?)```", cell.source, re.DOTALL).group(1), names)
    assert exercises.check_cheat(names["to_target"], names["to_source"]).right
    assert exercises.check_best_score(names["best_score"]).right
    assert exercises.check_parameters(names["parameters"]).right
    assert exercises.check_frechet(names["frechet"]).right


def negative(picture):
    return -picture


def the_same(picture):
    return picture


def upside_down(picture):
    return picture[..., ::-1, :]


def test_any_harmful_change_that_can_be_undone_is_right():
    assert exercises.check_cheat(upside_down, upside_down).right


@pytest.mark.parametrize(
    ("there", "back", "hint"),
    [
        (lambda x: None, lambda x: None, "returns nothing"),
        (the_same, the_same, "no change either"),
        (negative, the_same, "cycle loss is not 0"),
        (lambda x: 2 * x, lambda x: x / 2, "leave [−1, 1]"),
        (lambda x: x[:, ::2], negative, "Keep the size"),
        # Undone on the way home, but the way there and back from the target is none.
        (lambda x: x / 2, lambda x: np.clip(2 * x, -1, 1), "G_ST(G_TS(x)) from x"),
        (lambda x: x + unknown, negative, "NameError"),  # noqa: F821
    ],
)
def test_a_wrong_cheat_gets_the_hint_that_helps(there, back, hint):
    answer = exercises.check_cheat(there, back)
    assert not answer.right and hint in answer.message, answer.message


@pytest.mark.parametrize(
    ("score", "hint"),
    [
        (lambda p, q: None, "returns nothing"),
        (lambda p, q: q / (p + q), "share of translations"),
        (lambda p, q: float(p > q), "That is a decision"),
        (lambda p, q: p - q, "Collect what stands with D"),
        (lambda p, q: 0.3, "smaller elsewhere"),
    ],
)
def test_a_wrong_score_gets_the_hint_that_helps(score, hint):
    answer = exercises.check_best_score(score)
    assert not answer.right and hint in answer.message, answer.message


def counted(blocks, filters, *, of_block=2, biases=True):
    f = filters
    shapes = [(7, 3, f), (3, f, 2 * f), (3, 2 * f, 4 * f), (3, 4 * f, 2 * f), (3, 2 * f, f), (7, f, 3)]
    shapes += [(3, 4 * f, 4 * f)] * of_block * blocks
    return sum(k * k * a * b + biases * b for k, a, b in shapes)


@pytest.mark.parametrize(
    ("count", "hint"),
    [
        (lambda blocks, filters: None, "returns nothing"),
        (lambda blocks, filters: counted(blocks, filters, biases=False), "biases are missing"),
        (lambda blocks, filters: counted(blocks, filters, of_block=1), "has two convolutions"),
        (lambda blocks, filters: counted(blocks, filters, of_block=0), "Right but for the residual blocks"),
        (lambda blocks, filters: 11_378_179, "instead of"),
    ],
)
def test_a_wrong_count_gets_the_hint_that_helps(count, hint):
    answer = exercises.check_parameters(count)
    assert not answer.right and hint in answer.message, answer.message


def test_the_count_is_the_published_one():
    assert counted(9, 64) == sum(p.numel() for p in Generator().parameters()) == 11_378_179


def apart(x, y):
    return (x.mean() - y.mean()) ** 2


@pytest.mark.parametrize(
    ("distance", "hint"),
    [
        (lambda x, y: None, "returns nothing"),
        (apart, "means alone"),
        (lambda x, y: apart(x, y) + (x.std() - y.std()) ** 2, "ddof=1"),
        (lambda x, y: apart(x, y) + x.var(ddof=1) + y.var(ddof=1), "is missing"),
        (lambda x, y: math.sqrt(apart(x, y) + (x.std(ddof=1) - y.std(ddof=1)) ** 2), "That is d"),
        (lambda x, y: 0.0, "gives 0.0000 instead"),
    ],
)
def test_a_wrong_distance_gets_the_hint_that_helps(distance, hint):
    answer = exercises.check_frechet(distance)
    assert not answer.right and hint in answer.message, answer.message

"""The exercises of notebook 10: its hidden solutions are right, and a wrong answer gets the hint that helps."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

from labkit.exercises import leaderboard as exercises

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "10_leaderboard.ipynb"


def test_the_hidden_solutions_are_right():
    names: dict = {"np": np}
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.id.startswith("sol-"):
            exec(re.search(r"```python\n(.*?)```", cell.source, re.DOTALL).group(1), names)
    assert exercises.check_mean_iou(names["mean_iou"]).right
    assert exercises.check_paired(names["paired"]).right
    assert exercises.check_front(names["front"]).right
    assert exercises.check_late(names["late"]).right


def quotients(i, u):
    with np.errstate(invalid="ignore"):
        return i.sum(0) / u.sum(0)


@pytest.mark.parametrize(
    ("score", "hint"),
    [
        (lambda i, u: None, "returns nothing"),
        (lambda i, u: quotients(i, u).mean(), "That is NaN"),
        (lambda i, u: np.nan_to_num(quotients(i, u)).mean(), "counts as 0 here"),
        (lambda i, u: i.sum() / u.sum(), "road decides alone"),
        (lambda i, u: (i / np.maximum(u, 1)).mean(), "mean of the pictures' IoU"),
        (lambda i, u: (i.sum(0) / np.maximum(u.sum(0), 1))[i.sum(0) > 0].mean(), "an IoU of 0, and counts"),
        (lambda i, u: (i.sum(0) / np.maximum(u.sum(0), 1))[u.sum(0) * u.min(0) > 0].mean(), "that some pictures lack"),
        (lambda i, u: 0.5, "instead of"),
        (lambda i, u: i / nothing, "NameError"),  # noqa: F821
    ],
)
def test_a_wrong_score_gets_the_hint_that_helps(score, hint):
    answer = exercises.check_mean_iou(score)
    assert not answer.right and hint in answer.message, answer.message


def differences(a, b):
    return np.array(a) - np.array(b)


@pytest.mark.parametrize(
    ("paired", "hint"),
    [
        (lambda a, b: None, "returns nothing"),
        (lambda a, b: (-differences(a, b).mean(), 0), "not the other way round"),
        (lambda a, b: (0, 0), "mean is not right"),
        (lambda a, b: (differences(a, b).mean(), differences(a, b).std()), "ddof=1"),
        (lambda a, b: (differences(a, b).mean(), np.hypot(np.std(a, ddof=1), np.std(b, ddof=1))), "independent"),
        (lambda a, b: (differences(a, b).mean(), np.std(a, ddof=1) - np.std(b, ddof=1)), "cannot be subtracted"),
        (lambda a, b: (differences(a, b).mean(), differences(a, b).std(ddof=1) / len(a) ** 0.5), "standard error"),
        (lambda a, b: (differences(a, b).mean(), 7), "is not 7.000"),
        (lambda a, b: 3, "TypeError"),
    ],
)
def test_a_wrong_pairing_gets_the_hint_that_helps(paired, hint):
    answer = exercises.check_paired(paired)
    assert not answer.right and hint in answer.message, answer.message


def in_one_pass(points):
    """From cheap to dear, whatever is strictly better than all before: of two equal points one is lost."""
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1]))
    return [i for k, i in enumerate(order) if all(points[i][1] > points[j][1] for j in order[:k])]


@pytest.mark.parametrize(
    ("front", "hint"),
    [
        (lambda points: None, "returns nothing"),
        (lambda points: [max(range(len(points)), key=lambda i: points[i][1])], "most accurate one alone"),
        (lambda points: range(len(points)), "is dominated"),
        (lambda points: [], "is missing"),
        (in_one_pass, "one of them is missing"),
        (lambda points: [True] * len(points), "That is a mask"),
        # Strictly better in both: a dearer one that is as accurate stays.
        (lambda p: [i for i, a in enumerate(p) if not any(b[0] < a[0] and b[1] > a[1] for b in p)], "is dominated"),
    ],
)
def test_a_wrong_front_gets_the_hint_that_helps(front, hint):
    answer = exercises.check_front(front)
    assert not answer.right and hint in answer.message, answer.message


@pytest.mark.parametrize(
    ("late", "hint"),
    [
        (lambda passes, frames: None, "returns nothing"),
        (lambda passes, frames: np.mean(np.array(passes) > frames), "1000 / frames"),
        (lambda passes, frames: np.mean(np.array(passes) <= 1000 / frames), "in time"),
        (lambda passes, frames: float(np.mean(passes) > 1000 / frames), "The mean decides"),
        (lambda passes, frames: 0.4, "instead of"),
        (lambda passes, frames: np.mean(np.array(passes) >= 1000 / frames), "just in time"),
        (lambda passes, frames: np.mean(np.array(passes) > 1000 // frames), "cut to whole milliseconds"),
        (lambda passes, frames: np.mean(np.array(passes) > int(1000 / frames)), "cut to whole milliseconds"),
    ],
)
def test_a_wrong_deadline_gets_the_hint_that_helps(late, hint):
    answer = exercises.check_late(late)
    assert not answer.right and hint in answer.message, answer.message

"""The exercises of notebook 02: its hidden solutions are right, and a wrong answer gets the hint that helps."""

import re
from pathlib import Path

import nbformat
import pytest

from labkit.evaluation.receptive_field import receptive_field
from labkit.exercises import networks as exercises

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "02_deeplabv2_and_bisenet.ipynb"


def test_the_hidden_solutions_are_right():
    names: dict = {}
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.id.startswith("sol-"):
            exec(re.search(r"```python\n(.*?)```", cell.source, re.DOTALL).group(1), names)
    assert exercises.check_receptive_field(names["field_of"]).right
    assert exercises.check_parameters(names["parameters_of"]).right
    assert exercises.check_silent(names["silent"]).right
    assert exercises.check_schedule(names["steps"], names["rate"]).right


def field(layers, strides=True, rates=True, early=False):
    size = jump = 1
    for layer in layers:
        jump *= layer.stride if early else 1
        size += (layer.kernel - 1) * (layer.rate if rates else 1) * jump
        jump *= layer.stride if strides and not early else 1
    return size


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda layers: None, "returns nothing"),
        (lambda layers: sum(layer.kernel for layer in layers), "each adds its kernel less one"),
        (lambda layers: field(layers, strides=False), "Strides are missing"),
        (lambda layers: field(layers, rates=False), "Rates are missing"),
        (lambda layers: field(layers, early=True), "spreads its outputs"),
        (lambda layers: field(layers) if len(layers) < 5 else 0, "0 instead of 219"),
        (lambda layers: receptive_field(layers), "Two 3×3 convolutions"),
        (lambda layers: layers.size, "AttributeError"),
    ],
)
def test_a_wrong_field_gets_the_hint_that_helps(attempt, hint):
    answer = exercises.check_receptive_field(attempt)
    assert not answer.right and hint in answer.message


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda i, o, k, b: None, "returns nothing"),
        (lambda i, o, k, b: i * o * k, "side counts twice"),
        (lambda i, o, k, b: i * o * k * k, "Right without a bias"),
        (lambda i, o, k, b: i * o * k * k + i * b, "not to the input"),
        (lambda i, o, k, b: i * o * k * k + o, "no bias"),
        (lambda i, o, k, b: (i + o) * k, "you count 201"),
    ],
)
def test_a_wrong_count_gets_the_hint_that_helps(attempt, hint):
    answer = exercises.check_parameters(attempt)
    assert not answer.right and hint in answer.message


def gradients(module, maps):
    module.zero_grad(set_to_none=True)
    module(maps).sum().backward()
    return dict(module.named_parameters())


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda module, maps: None, "returns nothing"),
        (lambda module, maps: [n for n, p in module.named_parameters() if p.grad is None], "all parameters"),
        (lambda module, maps: [n for n, p in gradients(module, maps).items() if p.grad is not None], "do have"),
        (lambda module, maps: list(gradients(module, maps).values()), "Names are wanted"),
        (lambda module, maps: [], "sums two of four"),
        (
            lambda module, maps: [f"branches.{i}.{n}" for i in (2, 3) for n in ("weight", "bias")],
            "The right pyramid uses all four",
        ),
        (
            lambda module, maps: [
                n for n, p in gradients(module, maps).items() if p.grad is None or not p.grad.abs().sum()
            ],
            "gradient of zero",
        ),
        (lambda module, maps: module.heads, "AttributeError"),
    ],
)
def test_a_wrong_search_gets_the_hint_that_helps(attempt, hint):
    answer = exercises.check_silent(attempt)
    assert not answer.right and hint in answer.message


@pytest.mark.parametrize(
    ("steps", "rate", "hint"),
    [
        (None, None, "Two numbers"),
        (743, 0.0134, "one epoch"),
        (148750, 0.0134, "number of pictures"),
        (300, 0.0134, "max_iter"),
        (5, 0.0134, "An epoch sees"),
        (37150, 0.536, "the factor"),
        (37150, 0.0125, "straight line"),
        (37150, 0.02, "At t = T/2"),
        ("many", 0.02, "TypeError"),
    ],
)
def test_wrong_numbers_get_the_hint_that_helps(steps, rate, hint):
    answer = exercises.check_schedule(steps, rate)
    assert not answer.right and hint in answer.message


@pytest.mark.parametrize("steps", [37150, 37187, 37187.5, 37200])
def test_any_way_to_count_the_last_batch_is_right(steps):
    assert exercises.check_schedule(steps, 0.0134).right

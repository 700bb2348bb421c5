"""The losses of image translation against naive float64, gradients, extremes; and the ranges of pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from labkit.data.transforms import IMAGENET_MEAN, IMAGENET_STD, normalize, to_float
from labkit.losses.translation import (
    ORIGINAL,
    TRANSLATED,
    cycle_consistency,
    least_squares,
    semantic_consistency,
)
from labkit.models.picture_range import to_generator, to_segmenter

SHAPE = (2, 5, 3, 4)


@pytest.fixture
def draws():
    return torch.Generator().manual_seed(3)


def random(draws, shape=SHAPE, dtype=torch.float64):
    return torch.randn(shape, generator=draws, dtype=dtype)


# --- against naive versions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [ORIGINAL, TRANSLATED])
def test_least_squares_is_the_mean_square(draws, wanted):
    scores = random(draws)
    expected = sum((value - wanted) ** 2 for value in scores.flatten().tolist()) / scores.numel()
    assert least_squares(scores, wanted).item() == pytest.approx(expected, rel=1e-12)


def test_cycle_consistency_is_the_mean_absolute_difference(draws):
    one, other = random(draws), random(draws)
    pairs = zip(one.flatten().tolist(), other.flatten().tolist(), strict=True)
    assert cycle_consistency(one, other).item() == pytest.approx(np.mean([abs(a - b) for a, b in pairs]), rel=1e-12)


def test_semantic_consistency_is_the_mean_negative_log_of_the_originals_class(draws):
    translated, original = random(draws), random(draws)
    losses = []
    for n, _, y, x in np.ndindex(2, 1, 3, 4):
        scores = np.exp(translated[n, :, y, x].numpy())
        losses.append(-np.log(scores[int(np.argmax(original[n, :, y, x].numpy()))] / scores.sum()))
    assert semantic_consistency(translated, original).item() == pytest.approx(np.mean(losses), rel=1e-12)


def test_a_batch_is_the_mean_of_its_pictures(draws):
    """What gradient accumulation relies on."""
    one, other = random(draws), random(draws)
    for loss in (cycle_consistency, semantic_consistency, lambda a, _: least_squares(a, ORIGINAL)):
        parts = torch.stack([loss(one[i : i + 1], other[i : i + 1]) for i in range(2)])
        torch.testing.assert_close(parts.mean(), loss(one, other))


# --- gradients --------------------------------------------------------------------------------------------------------


def test_gradients_are_the_differences(draws):
    one, other = random(draws).requires_grad_(), random(draws)
    assert torch.autograd.gradcheck(lambda x: least_squares(x, ORIGINAL), one)
    assert torch.autograd.gradcheck(lambda x: cycle_consistency(x, other), one)
    assert torch.autograd.gradcheck(lambda x: semantic_consistency(x, other), one)


def test_the_arg_max_sends_no_gradient(draws):
    translated, original = random(draws).requires_grad_(), random(draws).requires_grad_()
    semantic_consistency(translated, original).backward()
    assert original.grad is None and translated.grad.abs().sum() > 0


# --- extremes ---------------------------------------------------------------------------------------------------------


def test_what_is_perfect_costs_nothing(draws):
    pictures = random(draws)
    assert least_squares(torch.full((1, 1, 2, 2), ORIGINAL), ORIGINAL) == 0
    assert least_squares(torch.full((1, 1, 2, 2), TRANSLATED), ORIGINAL) == 1
    assert cycle_consistency(pictures, pictures) == 0
    assert cycle_consistency(torch.ones(1, 3, 2, 2), -torch.ones(1, 3, 2, 2)) == 2
    sure = 1e4 * pictures
    assert semantic_consistency(sure, pictures) == 0
    assert torch.isfinite(semantic_consistency(-sure, pictures))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(dtype):
    """60000² has no place in fp16, and 4096 numbers of 0.001 summed there are not 4.1."""
    assert least_squares(torch.full((1, 1, 2, 2), 6e4, dtype=dtype), TRANSLATED).dtype == torch.float32
    assert torch.isfinite(least_squares(torch.full((1, 1, 2, 2), 6e4, dtype=dtype), TRANSLATED))
    small = torch.full((4096,), 1e-3, dtype=dtype)
    assert cycle_consistency(small, -small).item() == pytest.approx(2 * small[0].item(), rel=1e-6)


# --- ranges of pictures -----------------------------------------------------------------------------------------------


def test_pictures_reach_both_ends_of_the_generators_range():
    pixels = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 1, 2).expand(1, 3, 1, 2)
    pictures = to_generator(normalize(to_float(pixels)))
    torch.testing.assert_close(pictures[0, :, 0], torch.tensor([[-1.0, 1.0]] * 3), atol=1e-6, rtol=0)


def test_the_way_back_is_what_the_segmenter_was_trained_on(draws):
    images = random(draws, (2, 3, 4, 4)).requires_grad_()
    torch.testing.assert_close(to_segmenter(to_generator(images)), images)
    grey = to_segmenter(torch.zeros(1, 3, 1, 1, dtype=torch.float64)).flatten()
    expected = [(0.5 - mean) / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]
    np.testing.assert_allclose(grey, expected, rtol=1e-6)
    to_segmenter(images).sum().backward()
    np.testing.assert_allclose(images.grad[0, :, 0, 0], 0.5 / np.array(IMAGENET_STD), rtol=1e-6)

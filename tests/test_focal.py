import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.errors import LabError
from labkit.losses.cross_entropy import cross_entropy
from labkit.losses.focal import focal_loss


def naive(logits, labels, gamma):
    """Pixel by pixel, in Python floats."""
    total, count = 0.0, 0
    for scores, label in zip(logits.movedim(1, -1).flatten(0, -2).tolist(), labels.flatten().tolist(), strict=True):
        if label == 255:
            continue
        top = max(scores)
        log_p = scores[label] - top - math.log(sum(math.exp(s - top) for s in scores))
        total -= (1 - math.exp(log_p)) ** gamma * log_p
        count += 1
    return total / count if count else 0.0


def example(seed, classes=5, ignored=0.3, spread=3.0):
    generator = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(2, classes, 4, 5, generator=generator)
    labels = torch.randint(classes, (2, 4, 5), generator=generator)
    labels[torch.rand(2, 4, 5, generator=generator) < ignored] = 255
    return logits, labels


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    classes=st.integers(1, 19),
    ignored=st.sampled_from([0.0, 0.4, 1.0]),
    spread=st.sampled_from([0.1, 3.0, 50.0]),
    gamma=st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0]),
)
def test_against_the_naive_loop(seed, classes, ignored, spread, gamma):
    logits, labels = example(seed, classes, ignored, spread)
    loss = focal_loss(logits, labels, gamma)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(naive(logits, labels, gamma), rel=1e-4, abs=2e-5)


def test_gamma_zero_is_cross_entropy():
    logits, labels = example(0)
    first, second = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    losses = focal_loss(first, labels, 0), cross_entropy(second, labels)
    for loss in losses:
        loss.backward()
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(first.grad, second.grad)


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2, 3])
def test_gradcheck(gamma):
    logits, labels = example(1)
    assert torch.autograd.gradcheck(lambda x: focal_loss(x, labels, gamma), logits.double().requires_grad_())


@pytest.mark.parametrize("gamma", [0, 0.5, 2])
def test_all_ignored_is_zero_without_gradient(gamma):
    logits, labels = example(2, ignored=1.0)
    logits.requires_grad_()
    loss = focal_loss(logits, labels, gamma)
    loss.backward()
    assert loss.item() == 0 and not logits.grad.any()


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2, 3])
@pytest.mark.parametrize("right", [True, False])
def test_half_precision_extremes_stay_finite(gamma, right):
    logits = torch.full((1, 3, 8, 8), -6e4, dtype=torch.float16)
    logits[:, 0] = 6e4
    logits.requires_grad_()
    loss = focal_loss(logits, torch.full((1, 8, 8), 0 if right else 1), gamma)
    loss.backward()
    assert loss.item() == pytest.approx(0 if right else 1.2e5, rel=0.01, abs=1e-6)
    assert logits.grad.isfinite().all()


def test_a_negative_gamma_is_refused():
    with pytest.raises(LabError, match="gamma"):
        focal_loss(*example(3), -1)

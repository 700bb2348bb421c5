import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.losses.cross_entropy import auxiliary_cross_entropy, cross_entropy


def naive(logits, labels, ignore=255):
    """Pixel by pixel, in Python floats."""
    total, count = 0.0, 0
    n, _, h, w = logits.shape
    for i in range(n):
        for y in range(h):
            for x in range(w):
                label = int(labels[i, y, x])
                if label == ignore:
                    continue
                scores = logits[i, :, y, x].tolist()
                top = max(scores)
                total += top + math.log(sum(math.exp(s - top) for s in scores)) - scores[label]
                count += 1
    return total / count if count else 0.0


def example(seed, classes=19, shape=(2, 5, 6), ignored=0.3, spread=5.0):
    generator = torch.Generator().manual_seed(seed)
    n, h, w = shape
    logits = spread * torch.randn(n, classes, h, w, generator=generator)
    labels = torch.randint(classes, (n, h, w), generator=generator)
    labels[torch.rand(n, h, w, generator=generator) < ignored] = 255
    return logits, labels


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    classes=st.integers(1, 19),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)),
    ignored=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    spread=st.sampled_from([0.1, 5.0, 100.0]),
)
def test_against_the_naive_loop(seed, classes, shape, ignored, spread):
    logits, labels = example(seed, classes, shape, ignored, spread)
    loss = cross_entropy(logits, labels)
    assert loss.shape == () and loss.dtype == torch.float32
    assert loss.item() == pytest.approx(naive(logits, labels), rel=1e-5, abs=1e-5)


def test_the_mean_is_over_the_valid_pixels_of_the_whole_batch():
    logits, labels = example(0, ignored=0.0)
    labels[0, 1:] = 255  # 6 valid pixels in the first picture, 30 in the second
    parts = [cross_entropy(logits[i : i + 1], labels[i : i + 1]).item() for i in range(2)]
    assert cross_entropy(logits, labels).item() == pytest.approx((6 * parts[0] + 30 * parts[1]) / 36, rel=1e-5)


def test_all_ignored_is_zero_and_connected():
    logits, labels = example(1, ignored=1.0)
    logits.requires_grad_()
    loss = cross_entropy(logits, labels)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_ignored_pixels_get_no_gradient_and_others_the_textbook_one():
    logits, labels = example(2)
    logits.requires_grad_()
    cross_entropy(logits, labels).backward()
    valid = labels != 255
    one_hot = torch.nn.functional.one_hot(torch.where(valid, labels, 0), 19).movedim(-1, 1)
    expected = (logits.detach().softmax(1) - one_hot) * valid[:, None] / valid.sum()
    torch.testing.assert_close(logits.grad, expected)


def test_a_single_class_costs_nothing():
    logits, labels = example(3, classes=1)
    assert cross_entropy(logits, labels).item() == 0


def test_another_ignore_value():
    logits, labels = example(4, ignored=0.0)
    assert cross_entropy(logits, labels, ignore=7).item() == pytest.approx(naive(logits, labels, 7), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_extremes_stay_finite(dtype):
    logits = torch.full((1, 3, 64, 64), -6e4, dtype=dtype)
    logits[:, 0] = 6e4
    logits.requires_grad_()
    labels = torch.ones(1, 64, 64, dtype=torch.int64)  # as wrong as can be: 1.2e5 per pixel, beyond float16
    loss = cross_entropy(logits, labels)
    loss.backward()
    assert loss.item() == pytest.approx(1.2e5, rel=0.01)
    assert logits.grad.isfinite().all()
    assert cross_entropy(logits, torch.zeros_like(labels)).item() == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_all_ignored_in_half_precision_is_zero_and_connected(dtype):
    logits, labels = example(1, ignored=1.0)
    logits = logits.to(dtype).requires_grad_()
    loss = cross_entropy(logits, labels) + auxiliary_cross_entropy((logits, logits), labels)
    loss.backward()
    assert loss.item() == 0 and loss.dtype == torch.float32
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("right", [True, False])
def test_the_largest_float16_logits(right):
    """±65504 in a picture of which one pixel counts, and 2¹⁸ others: neither sum nor mean leaves the range."""
    top = torch.finfo(torch.float16).max
    logits = torch.full((1, 19, 512, 512), -top, dtype=torch.float16)
    logits[:, 4] = top
    logits.requires_grad_()
    for labels in (torch.full((1, 512, 512), 4 if right else 5), torch.full((1, 512, 512), 255)):
        labels[0, 7, 9] = 4 if right else 5
        loss = cross_entropy(logits, labels)
        assert loss.item() == (0 if right else 2 * top)
        (gradient,) = torch.autograd.grad(loss, logits)
        valid = (labels != 255).sum()
        expected = torch.zeros(19, dtype=torch.float16)
        if not right:  # softmax minus one-hot, divided by the number of valid pixels
            expected[4], expected[5] = 1 / valid, -1 / valid
        assert gradient.dtype == torch.float16
        torch.testing.assert_close(gradient[0, :, 7, 9], expected)
        assert gradient.isfinite().all()


def test_autocast_changes_nothing():
    logits, labels = example(5)
    expected = cross_entropy(logits.bfloat16().float(), labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = cross_entropy(logits.bfloat16(), labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected)


def test_gradcheck():
    logits, labels = example(6, classes=4, shape=(2, 3, 2))
    logits = logits.double().requires_grad_()
    assert cross_entropy(logits, labels).dtype == torch.float64
    assert torch.autograd.gradcheck(lambda x: cross_entropy(x, labels), logits)
    assert torch.autograd.gradcheck(lambda x: auxiliary_cross_entropy((x, 2 * x), labels), logits)


def test_auxiliary_is_the_plain_sum():
    (first, labels), (second, _) = example(7), example(8)
    loss = auxiliary_cross_entropy((first, second), labels)
    assert loss.item() == pytest.approx(naive(first, labels) + naive(second, labels), rel=1e-5)
    assert auxiliary_cross_entropy((), labels).item() == 0

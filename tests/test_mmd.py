import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.errors import LabError, UnknownNameError
from labkit.losses.mmd import KERNELS, median_kernel, mmd, squared_distances


def naive(x, y, kernel, unbiased):
    """Pair by pair, in Python floats."""
    x, y = x.double().tolist(), y.double().tolist()

    def squared(a, b):
        return sum((p - q) ** 2 for p, q in zip(a, b, strict=True))

    both = x + y
    apart = sorted(squared(a, b) for i, a in enumerate(both) for j, b in enumerate(both) if i != j)
    middle = apart[(len(apart) - 1) // 2]

    def k(a, b):
        if kernel == "printed":
            return -squared(a, b) / 2
        return math.exp(-squared(a, b) / (2 if kernel == "rbf" else middle))

    def within(points):
        n = len(points)
        pairs = [k(points[i], points[j]) for i in range(n) for j in range(n) if not unbiased or i != j]
        return sum(pairs) / len(pairs)

    return within(x) + within(y) - 2 * sum(k(a, b) for a in x for b in y) / (len(x) * len(y))


def example(seed, n=4, m=5, d=3, shift=1.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator), torch.randn(m, d, generator=generator) + shift


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(2, 6),
    m=st.integers(2, 6),
    d=st.integers(1, 8),
    kernel=st.sampled_from(sorted(KERNELS)),
    unbiased=st.booleans(),
)
def test_against_the_naive_sums(seed, n, m, d, kernel, unbiased):
    x, y = example(seed, n, m, d)
    assert mmd(x, y, kernel, unbiased=unbiased).item() == pytest.approx(naive(x, y, kernel, unbiased), abs=1e-4)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_biased_estimate_of_equal_sets_is_zero_and_else_positive(kernel):
    x, y = example(0)
    assert mmd(x, x.clone(), kernel).item() == pytest.approx(0, abs=1e-6)
    assert mmd(x, y, kernel).item() > 1e-3


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("unbiased", [False, True])
def test_neither_the_order_nor_the_side_matters(kernel, unbiased):
    x, y = example(1, n=5)
    expected = mmd(x, y, kernel, unbiased=unbiased)
    torch.testing.assert_close(mmd(x.flip(0), y[[3, 0, 4, 2, 1]], kernel, unbiased=unbiased), expected)
    torch.testing.assert_close(mmd(y, x, kernel, unbiased=unbiased), expected)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 5), m=st.integers(1, 5))
def test_the_printed_kernel_is_the_distance_of_the_means(seed, n, m):
    x, y = example(seed, n, m)
    expected = (x.double().mean(0) - y.double().mean(0)).pow(2).sum()
    assert mmd(x, y, "printed").item() == pytest.approx(expected.item(), abs=1e-4)


def test_the_unbiased_estimate_is_zero_on_average():
    estimates = [mmd(*example(seed, 8, 8, shift=0.0), "rbf", unbiased=True).item() for seed in range(400)]
    mean, error = sum(estimates) / 400, torch.tensor(estimates).std().item() / 20
    assert abs(mean) < 4 * error
    assert min(estimates) < 0
    biased = [mmd(*example(seed, 8, 8, shift=0.0), "rbf").item() for seed in range(50)]
    assert min(biased) > 0


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("unbiased", [False, True])
def test_gradcheck(kernel, unbiased):
    x, y = example(2, 3, 3)
    x, y = x.double().requires_grad_(), y.double().requires_grad_()
    if kernel == "median":  # the scale is a constant for the gradient, so it is held still here too
        scale = torch.cat([x, y]).detach()
        distances = squared_distances(scale, scale)
        middle = distances[~torch.eye(6, dtype=torch.bool)].median()
        rows = torch.cat([x, y])
        expected = torch.exp(-squared_distances(rows, rows) / middle).sum()
        actual = median_kernel(squared_distances(rows, rows)).sum()
        for one, other in zip(*(torch.autograd.grad(v, (x, y)) for v in (expected, actual)), strict=True):
            torch.testing.assert_close(one, other)
    else:
        assert torch.autograd.gradcheck(lambda a, b: mmd(a, b, kernel, unbiased=unbiased), (x, y))


def test_a_narrow_rbf_sees_nothing_in_many_dimensions():
    """σ = 1 on raw features: 1 on the diagonal, 0 elsewhere, and no gradient to follow."""
    x, y = example(3, d=20_000)
    x.requires_grad_()
    value = mmd(x, y, "rbf")
    value.backward()
    assert value.item() == pytest.approx(1 / 4 + 1 / 5)
    assert not x.grad.any()


@pytest.mark.parametrize("kernel", KERNELS)
def test_extremes_stay_finite(kernel):
    x = torch.full((3, 1000), 6e4, dtype=torch.float16).requires_grad_()
    y = torch.full((3, 1000), -6e4, dtype=torch.float16)
    for other in (y, x.detach().clone()):
        value = mmd(x, other, kernel)
        (gradient,) = torch.autograd.grad(value.log1p(), x)
        assert value.isfinite() and gradient.isfinite().all()


def test_what_cannot_be_compared():
    x, y = example(4)
    with pytest.raises(UnknownNameError, match="printed"):
        mmd(x, y, "cosine")
    with pytest.raises(LabError, match="one length"):
        mmd(x, y[:, :2])
    with pytest.raises(LabError, match="one length"):
        mmd(x[..., None], y[..., None])
    with pytest.raises(LabError, match="needs 2 of each"):
        mmd(x[:1], y, unbiased=True)
    with pytest.raises(LabError, match="needs 1 of each"):
        mmd(x[:0], y)

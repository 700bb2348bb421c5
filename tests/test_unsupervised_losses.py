import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from labkit.errors import LabError
from labkit.losses.entropy import self_information
from labkit.losses.unsupervised import (
    adjusted_divergence,
    confidence_entropy,
    maximum_squares,
    neutral_cross_entropy,
    shannon_entropy,
    unsupervised_focal,
)

GAMMAS = (0, 0.5, 1, 2, 3)
ONE_VIEW = {
    "shannon": shannon_entropy,
    "maximum squares": maximum_squares,
    "image-wise": lambda logits, mask=None: maximum_squares(logits, mask, image_wise=True),
    "confidence": confidence_entropy,
}
TWO_VIEWS = {
    "neutral": neutral_cross_entropy,
    **{f"focal {g}": lambda w, s, mask=None, g=g: unsupervised_focal(w, s, g, mask) for g in GAMMAS},
}
ANY = ONE_VIEW | {name: lambda x, mask=None, f=f: f(x, x.roll(1, 1), mask) for name, f in TWO_VIEWS.items()}


def pixels(logits, mask):
    """For each picture its counted pixels, each a list of the probabilities' logarithms, in Python floats."""
    logits = logits.double().movedim(1, -1)
    mask = torch.ones(logits.shape[:3], dtype=torch.bool) if mask is None else mask
    pictures = []
    for picture, inside in zip(logits, mask, strict=True):
        rows = []
        for scores in picture[inside].tolist():
            top = max(scores)
            total = top + math.log(sum(math.exp(s - top) for s in scores))
            rows.append([s - total for s in scores])
        pictures.append(rows)
    return pictures


def flat(logits, mask):
    return [row for picture in pixels(logits, mask) for row in picture]


def average(values):
    return sum(values) / len(values) if values else 0.0


def naive_shannon(logits, mask):
    return average([-sum(math.exp(lp) * lp for lp in row) for row in flat(logits, mask)])


def naive_squares(logits, mask):
    return -0.5 * average([average([math.exp(lp) ** 2 for lp in row]) for row in flat(logits, mask)])


def naive_image_wise(logits, mask):
    total = 0.0
    for rows in pixels(logits, mask):
        said = [row.index(max(row)) for row in rows]
        for row, c in zip(rows, said, strict=True):
            weight = 1 / max(said.count(c) ** 0.2 * len(rows) ** 0.8, 1)
            total -= weight * sum(math.exp(lp) ** 2 for lp in row) / (2 * len(row))
    return total / len(logits)


def naive_confidence(logits, mask):
    return average([-math.exp(max(row)) * sum(math.exp(lp) * lp for lp in row) for row in flat(logits, mask)])


def naive_divergence(weak, strong, gamma, mask):
    return average(
        [
            sum(math.exp(w) * (w - (1 - math.exp(s)) ** gamma * s) for w, s in zip(soft, row, strict=True))
            for soft, row in zip(flat(weak, mask), flat(strong, mask), strict=True)
        ]
    )


def naive_focal(weak, strong, gamma, mask):
    return naive_shannon(weak, mask) + naive_divergence(weak, strong, gamma, mask)


NAIVE = {
    "shannon": naive_shannon,
    "maximum squares": naive_squares,
    "image-wise": naive_image_wise,
    "confidence": naive_confidence,
}


def example(seed, classes=5, spread=3.0, share=0.6, pictures=2):
    generator = torch.Generator().manual_seed(seed)
    weak, strong = spread * torch.randn(2, pictures, classes, 4, 5, generator=generator)
    mask = torch.rand(pictures, 4, 5, generator=generator) < share
    return weak, strong, mask


EXAMPLES = {
    "seed": st.integers(0, 10**6),
    "classes": st.integers(1, 19),
    "spread": st.sampled_from([0.1, 3.0, 50.0]),
    "share": st.sampled_from([0.0, 0.1, 0.6, 1.0, None]),
}


@settings(max_examples=60, deadline=None)
@given(**EXAMPLES, name=st.sampled_from(sorted(ONE_VIEW)))
def test_one_view_against_the_naive_loops(seed, classes, spread, share, name):
    logits, _, mask = example(seed, classes, spread, share or 0.0)
    mask = None if share is None else mask
    loss = ONE_VIEW[name](logits, mask)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(NAIVE[name](logits, mask), rel=1e-4, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(**EXAMPLES, gamma=st.sampled_from(GAMMAS))
def test_two_views_against_the_naive_loops(seed, classes, spread, share, gamma):
    weak, strong, mask = example(seed, classes, spread, share or 0.0)
    mask = None if share is None else mask
    expected = naive_focal(weak, strong, gamma, mask)
    loss = unsupervised_focal(weak, strong, gamma, mask)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected, rel=1e-4, abs=2e-5)
    divergence = adjusted_divergence(weak, strong, gamma, mask)
    assert divergence.item() == pytest.approx(naive_divergence(weak, strong, gamma, mask), rel=1e-4, abs=2e-5)
    if gamma == 0:
        assert neutral_cross_entropy(weak, strong, mask).item() == pytest.approx(expected, rel=1e-4, abs=2e-5)


def test_against_the_library():
    weak, strong, mask = example(0)
    soft = torch.distributions.Categorical(logits=weak.movedim(1, -1)[mask])
    other = torch.distributions.Categorical(logits=strong.movedim(1, -1)[mask])
    torch.testing.assert_close(shannon_entropy(weak, mask), soft.entropy().mean())
    normalised = self_information(weak).sum(1)[mask].mean()
    torch.testing.assert_close(shannon_entropy(weak, mask), normalised * math.log(5))
    divergence = torch.distributions.kl_divergence(soft, other).mean()
    torch.testing.assert_close(adjusted_divergence(weak, strong, 0, mask), divergence)
    # p̂ is not p*: γ = 0 is Shannon's entropy and the divergence, in value and in both gradients
    views = [(weak.clone().requires_grad_(), strong.clone().requires_grad_()) for _ in range(2)]
    focal = unsupervised_focal(*views[0], 0, mask)
    entropy = torch.distributions.Categorical(logits=views[1][0].movedim(1, -1)[mask]).entropy().mean()
    flat_strong = torch.distributions.Categorical(logits=views[1][1].movedim(1, -1)[mask])
    plain = entropy + torch.distributions.kl_divergence(soft, flat_strong).mean()
    assert divergence > 0.1
    torch.testing.assert_close(focal, plain)
    for loss in (focal, plain):
        loss.backward()
    for ours, theirs in zip(*views, strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_the_value_is_the_cross_entropy_of_soft_labels():
    weak, strong, _ = example(1)
    torch.testing.assert_close(unsupervised_focal(weak, strong, 0), F.cross_entropy(strong, weak.softmax(1)))


@pytest.mark.parametrize("gamma, minimum", [(0, 0.824), (1, 0.665), (2, 0.605)])
def test_the_minima_of_figure_1(gamma, minimum):
    """Two classes, p̂ = 0.6 fixed; the learnable p stands in the entropy and as p*."""
    p = torch.linspace(0.5, 0.999, 4991, dtype=torch.float64)
    logits = torch.stack([p.log(), (-p).log1p()], dim=-1).requires_grad_()
    soft = torch.tensor([0.6, 0.4], dtype=torch.float64).log()

    def loss(x):
        x = x.view(1, 2, 1, 1)
        return shannon_entropy(x) + adjusted_divergence(soft.view(1, 2, 1, 1), x, gamma)

    lowest = min(range(len(p)), key=lambda i: loss(logits[i]).item())
    assert p[lowest].item() == pytest.approx(minimum, abs=5.1e-4)
    (slopes,) = torch.autograd.grad(loss(logits[lowest - 5]) + loss(logits[lowest + 5]), logits)
    assert slopes[lowest - 5, 0] < 0 < slopes[lowest + 5, 0]  # autograd, too, changes its sign there


@pytest.mark.parametrize("name", ANY)
def test_gradcheck(name):
    logits, other, mask = example(2)
    if name in ONE_VIEW:
        # the weight of `confidence` is a constant to the gradient, so there the weight's own change is not checked
        if name != "confidence":
            assert torch.autograd.gradcheck(lambda x: ONE_VIEW[name](x, mask), logits.double().requires_grad_())
        return
    weak, strong = logits.double(), other.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: TWO_VIEWS[name](weak, x, mask), strong)


def test_the_confidence_is_a_constant_to_the_gradient():
    logits, _, mask = example(3)
    logits = logits.double().requires_grad_()
    weights = logits.detach().softmax(1).amax(1)

    def fixed(x):
        return (weights * torch.distributions.Categorical(logits=x.movedim(1, -1)).entropy())[mask].mean()

    assert torch.autograd.gradcheck(fixed, logits)
    expected, ours = (torch.autograd.grad(f(logits), logits)[0] for f in (fixed, lambda x: confidence_entropy(x, mask)))
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_the_weak_view_learns_from_the_entropy_alone(gamma):
    weak, strong, mask = example(4)
    weak.requires_grad_()
    (focal,) = torch.autograd.grad(unsupervised_focal(weak, strong, gamma, mask), weak)
    (entropy,) = torch.autograd.grad(shannon_entropy(weak, mask), weak)
    torch.testing.assert_close(focal, entropy, rtol=0, atol=0)
    assert not adjusted_divergence(weak, strong, gamma, mask).requires_grad


@pytest.mark.parametrize("name", ANY)
def test_a_mask_of_ones_is_no_mask(name):
    logits, _, mask = example(5)
    first, second = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    losses = ANY[name](first), ANY[name](second, torch.ones_like(mask))
    for loss in losses:
        loss.backward()
    torch.testing.assert_close(*losses, rtol=0, atol=0)
    torch.testing.assert_close(first.grad, second.grad, rtol=0, atol=0)


@pytest.mark.parametrize("name", ANY)
def test_only_the_mask_matters(name):
    logits, _, mask = example(6)
    changed = torch.where(mask[:, None], logits, -7 * logits).requires_grad_()
    loss = ANY[name](changed, mask)
    torch.testing.assert_close(loss, ANY[name](logits, mask))
    loss.backward()
    gradient = changed.grad.movedim(1, -1)
    assert gradient[mask].any() and not gradient[~mask].any()


@pytest.mark.parametrize("name", ANY)
def test_all_masked_is_zero_without_gradient(name):
    logits, _, mask = example(7)
    logits.requires_grad_()
    loss = ANY[name](logits, torch.zeros_like(mask))
    loss.backward()
    assert loss.item() == 0 and not logits.grad.any()


@pytest.mark.parametrize("name", ["shannon", "confidence"])
def test_bounds_of_the_entropies(name):
    even, sure = torch.zeros(1, 19, 2, 2), torch.zeros(1, 19, 2, 2)
    sure[:, 3] = 1e4
    highest = math.log(19) / (19 if name == "confidence" else 1)
    assert ONE_VIEW[name](even).item() == pytest.approx(highest, rel=1e-6)
    assert ONE_VIEW[name](sure).item() == 0


def test_bounds_of_maximum_squares():
    even, sure = torch.zeros(1, 19, 2, 2), torch.zeros(1, 19, 2, 2)
    sure[:, 3] = 1e4
    for image_wise in (False, True):  # one class: the weights sum to 1
        assert maximum_squares(even, image_wise=image_wise).item() == pytest.approx(-0.5 / 19**2)
        assert maximum_squares(sure, image_wise=image_wise).item() == pytest.approx(-0.5 / 19)


def test_image_wise_weights_by_hand():
    """Sixteen sure pixels, one of them of the rare class: weights 15^−0.2 · 16^−0.8 and 16^−0.8, two classes."""
    logits = torch.zeros(1, 2, 4, 4)
    logits[:, 0] = 100
    logits[0, :, 0, 0] = torch.tensor([0.0, 100.0])
    weights = 15 * 15**-0.2 * 16**-0.8 + 16**-0.8
    assert maximum_squares(logits, image_wise=True).item() == pytest.approx(-weights / 4)
    # a picture of its own beside it is averaged; its pixels change no weight of the first
    second = torch.zeros(1, 2, 4, 4)
    second[:, 1] = 100
    both = maximum_squares(torch.cat([logits, second]), image_wise=True)
    assert both.item() == pytest.approx((-weights / 4 - 1 / 4) / 2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("name", ANY)
def test_probabilities_of_exactly_zero_and_one(name, dtype):
    logits = torch.full((1, 3, 300, 300), -6e4, dtype=dtype)  # 90,000 pixels: beyond float16 in a sum
    logits[:, 0] = 6e4
    logits.requires_grad_()
    loss = ANY[name](logits)
    loss.backward()
    wrong_by = 2 * logits.detach()[0, 0, 0, 0].item()  # nats: rolled by a class, the strong view is sure of another
    expected = {"shannon": 0, "confidence": 0, "maximum squares": -1 / 6, "image-wise": -1 / 6}.get(name, wrong_by)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_two_views_that_are_sure_of_the_same(gamma, dtype):
    """p* of exactly 1, where (1 − p*)^γ has an infinite slope below γ = 1."""
    views = torch.full((2, 1, 3, 8, 8), -6e4, dtype=dtype)
    views[:, :, 0] = 6e4
    views.requires_grad_()
    loss = unsupervised_focal(*views, gamma)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert views.grad.isfinite().all()


@pytest.mark.parametrize("name", ANY)
def test_infinite_logits(name):
    """A class that is switched off has probability 0, in both views."""
    logits, other, mask = example(8)
    logits[:, 2] = other[:, 2] = -torch.inf
    keep = [0, 1, 3, 4]
    if name in ONE_VIEW:
        x, y, loss = logits.requires_grad_(), logits[:, keep], ONE_VIEW[name]
        expected = loss(y, mask) * (4 / 5 if name in ("maximum squares", "image-wise") else 1)
        value = loss(x, mask)
    else:
        x = logits.requires_grad_()
        expected = TWO_VIEWS[name](logits[:, keep], other[:, keep], mask)
        value = TWO_VIEWS[name](x, other, mask)
    torch.testing.assert_close(value, expected)
    value.backward()
    assert x.grad.isfinite().all()


def test_under_autocast():
    weak, strong, mask = example(9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = unsupervised_focal(weak, strong, 2, mask)
    torch.testing.assert_close(loss, unsupervised_focal(weak, strong, 2, mask))


def test_wrong_use_is_refused():
    weak, strong, mask = example(10)
    with pytest.raises(LabError, match="gamma"):
        unsupervised_focal(weak, strong, -1)
    with pytest.raises(LabError, match="views differ"):
        unsupervised_focal(weak, strong[:1], 2)
    for name in ANY:
        with pytest.raises(LabError, match="mask"):
            ANY[name](weak, mask[:1])

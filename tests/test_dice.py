import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.losses.dice import dice_loss


def naive(logits, labels, smooth):
    """Class by class in float64, as the equation reads."""
    classes = logits.shape[1]
    probabilities = logits.double().softmax(1).movedim(1, -1).reshape(-1, classes)
    flat = labels.flatten()
    probabilities, flat = probabilities[flat != 255], flat[flat != 255]
    overlaps = []
    for c in range(classes):
        p, truth = probabilities[:, c], (flat == c).double()
        overlaps.append((2 * (p * truth).sum() + smooth) / (p.sum() + truth.sum() + smooth))
    return 1 - sum(overlaps).item() / classes


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
    smooth=st.sampled_from([1e-3, 1.0, 10.0]),
)
def test_against_the_equation(seed, classes, ignored, spread, smooth):
    logits, labels = example(seed, classes, ignored, spread)
    assert dice_loss(logits, labels, smooth).item() == pytest.approx(naive(logits, labels, smooth), abs=1e-5)


def test_against_segmentation_models():
    """Their loss leaves out classes that do not occur (here all do), and counts its smoothing twice."""
    smp = pytest.importorskip("segmentation_models_pytorch")
    logits, labels = example(1, classes=3, ignored=0.2)
    assert set(labels.unique().tolist()) == {0, 1, 2, 255}
    theirs = smp.losses.DiceLoss("multiclass", smooth=0.5, ignore_index=255)(logits, labels)
    assert dice_loss(logits, labels).item() == pytest.approx(theirs.item(), abs=1e-5)


def test_perfect_and_worst():
    labels = torch.tensor([[[0, 1], [2, 255]]])
    right = torch.nn.functional.one_hot(labels.clamp(max=2), 3).movedim(-1, 1).float() * 200 - 100
    assert dice_loss(right, labels).item() == pytest.approx(0, abs=1e-6)
    assert dice_loss(right.roll(1, dims=1), labels, smooth=1e-6).item() == pytest.approx(1, abs=1e-5)


def test_gradcheck_and_ignored_pixels():
    logits, labels = example(2)
    logits = logits.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: dice_loss(x, labels), logits)
    dice_loss(logits, labels).backward()
    assert not logits.grad.movedim(1, -1)[labels == 255].any()


def test_all_ignored_is_zero_without_gradient():
    logits, labels = example(3, ignored=1.0)
    logits.requires_grad_()
    loss = dice_loss(logits, labels)
    loss.backward()
    assert loss.item() == 0 and not logits.grad.any()


def test_half_precision_extremes_stay_finite():
    logits = torch.full((1, 3, 300, 300), -6e4, dtype=torch.float16)  # 90,000 pixels: beyond float16 in a sum
    logits[:, 0] = 6e4
    logits.requires_grad_()
    loss = dice_loss(logits, torch.ones(1, 300, 300, dtype=torch.int64))
    loss.backward()
    assert loss.item() == pytest.approx(2 / 3, abs=1e-3)  # the class that is neither true nor predicted is right
    assert logits.grad.isfinite().all()

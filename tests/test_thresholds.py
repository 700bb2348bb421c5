import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.errors import LabError
from labkit.losses import thresholds as module
from labkit.losses.thresholds import confident, sample_thresholds, update_thresholds


def literal(confidence, prediction, previous, b, d):
    """Eq. (9) as it is printed: one class after another, its confidences sorted; Python floats."""
    result = list(previous)
    said = list(zip(confidence, prediction, strict=True))
    for c, alpha in enumerate(previous):
        descending = sorted((p for p, label in said if label == c), reverse=True)
        if descending:
            index = max(math.floor(b * math.exp(alpha - 1) ** d * len(descending)), 1)
            result[c] = descending[index - 1]
    return result


single = st.floats(0, 1, width=32)
# few values, so that there are ties; both ends
confidences = st.one_of(single, st.sampled_from([0.0, 0.25, 0.5, 0.8, 1.0, float(np.nextafter(np.float32(1), 0))]))


@st.composite
def pictures(draw, count=1):
    classes = draw(st.integers(1, 6))
    height, width = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    number = count * height * width
    allowed = draw(st.lists(st.integers(0, classes - 1), min_size=1, unique=True))  # the others are absent
    values = draw(st.lists(confidences, min_size=number, max_size=number))
    labels = draw(st.lists(st.sampled_from(allowed), min_size=number, max_size=number))
    previous = draw(st.lists(confidences, min_size=classes, max_size=classes))
    shape = (count, height, width)
    return torch.tensor(values).view(shape), torch.tensor(labels).view(shape), torch.tensor(previous)


share, strictness = st.sampled_from([0.0, 0.1, 0.5, 0.8, 1.0]), st.sampled_from([0.0, 1.0, 4.0, 8.0])


@pytest.mark.parametrize("device", ["the CPU's way", "any device's way"])
@settings(max_examples=150, deadline=None)
@given(picture=pictures(), b=share, d=strictness)
def test_against_the_literal_transcription(device, picture, b, d):
    confidence, prediction, previous = picture
    with pytest.MonkeyPatch.context() as patch:
        if device == "any device's way":
            patch.setattr(module, "_by_partition", module._by_sorting)
        found = sample_thresholds(confidence[0], prediction[0], previous, b, d)
    expected = literal(confidence.flatten().tolist(), prediction.flatten().tolist(), previous.tolist(), b, d)
    assert found.dtype == torch.float32
    assert found.tolist() == expected  # an item of the list, to the bit


@settings(max_examples=60, deadline=None)
@given(batch=pictures(count=3), a=st.sampled_from([0.0, 0.5, 0.9, 1.0]), b=share, d=strictness)
def test_the_average_against_the_literal_transcription(batch, a, b, d):
    confidence, prediction, previous = batch
    found = update_thresholds(previous, confidence, prediction, a, b, d)
    expected = previous
    for values, labels in zip(confidence, prediction, strict=True):
        new = literal(values.flatten().tolist(), labels.flatten().tolist(), expected.tolist(), b, d)
        mixed = a * expected.double() + (1 - a) * torch.tensor(new, dtype=torch.float64)
        # from the float32 that the thresholds are kept in: an index does not jump by a rounding
        step = update_thresholds(expected, values[None], labels[None], a, b, d)
        torch.testing.assert_close(step.double(), mixed, rtol=2e-7, atol=1e-30)
        expected = step
    assert torch.equal(found, expected)  # a batch is its pictures in order
    absent = ~torch.isin(torch.arange(len(previous)), prediction)
    assert torch.equal(found[absent], previous[absent])
    if a == 1:
        assert torch.equal(found, previous)


@pytest.mark.parametrize("select", ["_by_partition", "_by_sorting"])
@pytest.mark.parametrize("seed", range(3))
def test_large_pictures(seed, select, monkeypatch):
    """A long tail over 19 classes, float16's few values: thousands of ties; 512 classes, more than 8 bits count."""
    monkeypatch.setattr(module, "_by_partition", getattr(module, select))
    generator = torch.Generator().manual_seed(seed)
    classes = (19, 3, 512)[seed]
    prediction = (torch.rand(96, 160, generator=generator) ** 3 * classes).long()
    confidence = torch.rand(96, 160, generator=generator) ** 0.1
    confidence = confidence.half().float() if seed == 0 else confidence
    previous = torch.rand(classes, generator=generator)
    found = sample_thresholds(confidence, prediction, previous, 0.8, 8)
    expected = literal(confidence.flatten().tolist(), prediction.flatten().tolist(), previous.tolist(), 0.8, 8)
    assert found.tolist() == expected


def test_by_hand():
    """With b = 0.8 and d = 1, counted from the top.

    Class 0, ten pixels, α = 1: ⌊0.8 · 1 · 10⌋ = 8th. Class 1, five, α = 1 − ln 2: ⌊0.8 · ½ · 5⌋ = 2nd. Class 2, one:
    ⌊0.8 · 0.82⌋ = 0, so the first. Class 3 does not occur.
    """
    tenths = [0.1, 1.0, 0.3, 0.2, 0.9, 0.5, 0.8, 0.4, 0.7, 0.6]
    confidence = torch.tensor([*tenths, 0.55, 0.75, 0.65, 0.95, 0.85, 0.42]).view(4, 4)
    prediction = torch.tensor([0] * 10 + [1] * 5 + [2]).view(4, 4)
    previous = torch.tensor([1.0, 1 - math.log(2) + 1e-6, 0.8, 0.8])
    found = sample_thresholds(confidence, prediction, previous, b=0.8, d=1)
    torch.testing.assert_close(found, torch.tensor([0.3, 0.85, 0.42, 0.8]), rtol=0, atol=0)
    averaged = update_thresholds(previous, confidence[None], prediction[None], a=0.9, b=0.8, d=1)
    expected = [0.9 + 0.03, 0.9 * previous[1].item() + 0.085, 0.9 * 0.8 + 0.042, 0.8]
    assert averaged.tolist() == pytest.approx(expected, abs=1e-6)
    assert averaged[3] == previous[3]


def test_the_published_setting_by_hand():
    """α = 0.8, b = 0.8, d = 8: 0.8 · e^−1.6 = 0.1615, of 100 pixels the 16th from the top."""
    confidence = torch.arange(1, 101).view(10, 10) / 100
    prediction = torch.zeros(10, 10, dtype=torch.int64)
    shuffled = confidence.flatten()[torch.randperm(100, generator=torch.Generator().manual_seed(0))].view(10, 10)
    for picture in (confidence, confidence.flip(0), shuffled):
        found = sample_thresholds(picture, prediction, torch.tensor([0.8]), 0.8, 8)
        assert found.item() == pytest.approx(0.85)  # 1.00 is the first, 0.85 the sixteenth
    # so 15 % of the pixels lie above it
    assert (confidence > found.item() + 1e-6).sum() == 15


def test_the_pictures_of_a_batch_follow_each_other():
    """The second picture's index comes from the α that the first has left: 1 → 0, so its share falls from 1 to e^−8."""
    confidence = torch.stack([torch.zeros(5, 5), torch.arange(1, 26).view(5, 5) / 25])
    prediction = torch.zeros(2, 5, 5, dtype=torch.int64)
    found = update_thresholds(torch.ones(1), confidence, prediction, a=0, b=1, d=8)
    assert found.item() == 1.0  # the first of 25, not the last
    backwards = update_thresholds(torch.ones(1), confidence.flip(0), prediction, a=0, b=1, d=8)
    assert backwards.item() == 0.0


def test_nothing_of_the_caller_is_changed():
    confidence, prediction = torch.rand(2, 4, 4), torch.randint(3, (2, 4, 4))
    previous = torch.full((3,), 0.8)
    before = [confidence.clone(), prediction.clone(), previous.clone()]
    found = update_thresholds(previous, confidence.requires_grad_(), prediction, 0.9, 0.8, 8)
    for now, then in zip((confidence, prediction, previous), before, strict=True):
        assert torch.equal(now, then)
    assert not found.requires_grad
    assert found.data_ptr() != previous.data_ptr()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_and_views(dtype):
    generator = torch.Generator().manual_seed(0)
    confidence = torch.rand(8, 6, generator=generator).to(dtype).T
    prediction = torch.randint(3, (8, 6), generator=generator).T
    found = sample_thresholds(confidence, prediction, torch.full((4,), 0.9), 0.8, 2)
    values = confidence.float().flatten().tolist()
    previous = torch.full((4,), 0.9).tolist()
    assert found.tolist() == literal(values, prediction.flatten().tolist(), previous, 0.8, 2)


def test_the_mask():
    probabilities = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.75, 0.15], [0.5, 0.3, 0.2]]).T.view(1, 3, 1, 3)
    assert confident(probabilities, torch.tensor([0.6, 0.8, 0.0])).tolist() == [[[True, False, False]]]
    assert confident(probabilities, torch.tensor([0.4, 0.7, 1.0])).tolist() == [[[True, True, True]]]
    # strictly above
    assert confident(probabilities, torch.tensor([0.5, 0.75, 0.0])).tolist() == [[[True, False, False]]]
    assert confident(probabilities, 0.5).tolist() == [[[True, True, False]]]
    assert not confident(torch.eye(3).view(1, 3, 3, 1), 1.0).any()
    assert confident(probabilities, 0.0).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), threshold=confidences)
def test_one_threshold_is_the_same_for_every_class(seed, threshold):
    probabilities = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(seed)).mul(4).softmax(1)
    mask = confident(probabilities, torch.full((5,), threshold))
    assert torch.equal(mask, confident(probabilities, threshold))
    naive = [max(p) > threshold for p in probabilities.movedim(1, -1).flatten(0, -2).tolist()]
    assert mask.flatten().tolist() == naive


@pytest.mark.parametrize(
    "a, b, d, word",
    [(1.1, 0.8, 8, "a from"), (-0.1, 0.8, 8, "a from"), (0.9, 1.5, 8, "b = 1.5"), (0.9, 0.8, -1, "d =")],
)
def test_settings_outside_their_range_are_refused(a, b, d, word):
    picture = torch.rand(1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int64)
    with pytest.raises(LabError, match=word):
        update_thresholds(torch.ones(3), *picture, a, b, d)


def test_a_prediction_that_is_no_class_is_refused():
    with pytest.raises(LabError, match=r"255.*3 classes"):
        sample_thresholds(torch.rand(2, 2), torch.full((2, 2), 255), torch.ones(3), 0.8, 8)

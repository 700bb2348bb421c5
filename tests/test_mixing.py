"""Mixing against loops over pixels, written as one would read the paper aloud."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from labkit.data.mixing import boundary_weights, half_of_classes, mix, paste, selection_probabilities
from labkit.errors import LabError
from labkit.labels import IGNORE

SHAPES = array_shapes(min_dims=3, max_dims=3, max_side=9)
LABELS = arrays(np.uint8, SHAPES, elements=st.sampled_from([0, 1, 2, 7, 18, IGNORE]))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@settings(max_examples=60, deadline=None)
@given(labels=LABELS, seed=st.integers(0, 2**31), wide=st.booleans())
def test_half_of_the_classes_of_each_picture(labels, seed, wide):
    given_labels = torch.from_numpy(labels).long() if wide else torch.from_numpy(labels)
    mask = half_of_classes(given_labels, seeded(seed)).numpy()
    assert mask.shape == labels.shape and mask.dtype == bool
    for chosen, picture in zip(mask, labels, strict=True):
        present = set(picture.ravel().tolist()) - {IGNORE}
        inside = set(picture[chosen].tolist())
        assert len(inside) == math.ceil(len(present) / 2) and inside <= present
        assert np.array_equal(chosen, np.isin(picture, list(inside))), "all of a class, or nothing of it"


def test_every_class_is_chosen_equally_often_and_pictures_differ():
    labels = torch.arange(5).repeat(4000, 1)[:, None]  # 4,000 pictures with five classes each
    mask = half_of_classes(labels, seeded(0))[:, 0].float()
    assert torch.equal(mask.sum(1), torch.full((4000,), 3.0))
    assert (mask.mean(0) - 0.6).abs().max() < 0.04
    assert len(mask.unique(dim=0)) == 10, "all choices of three of five"


def test_the_generator_alone_decides_and_without_one_torchs_own():
    labels = torch.randint(0, 19, (3, 16, 16), generator=seeded(1))
    torch.manual_seed(2)
    state = torch.get_rng_state()
    first = half_of_classes(labels, seeded(5))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first[:1], half_of_classes(labels[:1], seeded(5))), "not on how many follow"
    own = half_of_classes(labels)
    torch.set_rng_state(state)
    assert torch.equal(own, half_of_classes(labels)) and not torch.equal(first, own)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), labels=LABELS)
def test_pasting_pixel_by_pixel(data, labels):
    others = data.draw(arrays(np.uint8, labels.shape, elements=st.sampled_from([0, 1, 2, 7, 18, IGNORE])))
    classes = data.draw(
        st.lists(st.sets(st.sampled_from([0, 1, 7, 11, 18])), min_size=len(labels), max_size=len(labels))
    )
    images = np.random.default_rng(0).random((2, len(labels), 3, *labels.shape[1:])).astype(np.float32)
    expected, expected_labels = images[0].copy(), labels.copy()
    for n, row, column in np.ndindex(labels.shape):
        if others[n, row, column] in classes[n]:
            expected[n, :, row, column] = images[1, n, :, row, column]
            expected_labels[n, row, column] = others[n, row, column]
    before = images.copy(), labels.copy(), others.copy()
    arguments = [torch.from_numpy(array) for array in (images[0], labels, images[1], others)]
    pasted, pasted_labels = paste(*arguments, classes)
    np.testing.assert_array_equal(pasted.numpy(), expected)
    np.testing.assert_array_equal(pasted_labels.numpy(), expected_labels)
    assert all(np.array_equal(now, then) for now, then in zip((images, labels, others), before, strict=True))


@settings(max_examples=30, deadline=None)
@given(mask=arrays(bool, SHAPES))
def test_mixing_is_equation_10(mask):
    random = np.random.default_rng(1)
    source, target = random.random((2, len(mask), 3, *mask.shape[1:]))
    labels, pseudo = random.integers(0, 19, (2, *mask.shape))
    images, mixed = mix(*map(torch.from_numpy, (mask, source, labels, target, pseudo)))
    weight = mask.astype(float)
    np.testing.assert_array_equal(images.numpy(), weight[:, None] * source + (1 - weight[:, None]) * target)
    np.testing.assert_array_equal(mixed.numpy(), weight * labels + (1 - weight) * pseudo)


def naive_weights(mask, size, weight):
    """Eq. (11) by three loops: look at every pixel's neighbours, then at every boundary point's field."""
    height, width = mask.shape
    weights = np.ones(mask.shape)
    for y in range(height):
        for x in range(width):
            neighbours = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            there = [mask[v, u] for v, u in neighbours if 0 <= v < height and 0 <= u < width]
            if any(side != mask[y, x] for side in there):
                for v in range(max(0, y - size // 2), min(height, y + size // 2 + 1)):
                    for u in range(max(0, x - size // 2), min(width, x + size // 2 + 1)):
                        weights[v, u] = weight
    return weights


@settings(max_examples=60, deadline=None)
@given(
    mask=arrays(
        bool, array_shapes(min_dims=3, max_dims=3, max_side=16), elements=st.sampled_from([False] * 9 + [True])
    ),
    size=st.sampled_from([1, 3, 7, 9]),
    weight=st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.5]),
)
def test_boundary_weights_against_loops(mask, size, weight):
    got = boundary_weights(torch.from_numpy(mask), size, weight)
    assert got.dtype == torch.float32
    np.testing.assert_array_equal(got.numpy(), [naive_weights(picture, size, weight) for picture in mask])


def test_boundary_weights_by_hand():
    mask = torch.zeros(2, 12, 20, dtype=torch.bool)
    mask[0, :, 10:] = True
    weights = boundary_weights(mask)
    # Boundary points are columns 9 and 10; the 7×7 fields reach three further to each side.
    assert (weights[0, :, 6:14] == 2).all() and (weights[0, :, :6] == 1).all() and (weights[0, :, 14:] == 1).all()
    assert (weights[1] == 1).all(), "no boundary: the picture's own border is none"


def test_selection_probabilities_by_hand():
    thresholds = torch.tensor([0.9, 0.3, 0.5, 0.1])
    got = selection_probabilities(thresholds, (0, 1, 2))
    raised = [math.exp(1 / alpha) for alpha in (0.9, 0.3, 0.5)]
    torch.testing.assert_close(got, torch.tensor([*(value / sum(raised) for value in raised), 0.0]))
    # The numbers of the docstring, and the reading that was not chosen: 1 / softmax, which is softmax(−α).
    assert round((got[1] / got[0]).item(), 1) == 9.2
    other = 1 / thresholds.softmax(0)
    torch.testing.assert_close(other / other.sum(), (-thresholds).softmax(0))
    assert round((other[1] / other[0]).item(), 1) == 1.8 and round((other[3] / other[0]).item(), 1) == 2.2
    far = selection_probabilities(thresholds, (0, 3)).double()
    assert round((far[3] / far[0]).item(), -1) == 7250


@settings(max_examples=60, deadline=None)
@given(
    thresholds=arrays(np.float32, 19, elements=st.floats(0, 1, width=32)),
    available=st.sets(st.integers(0, 18), min_size=1),
)
def test_selection_probabilities_are_probabilities_and_fall_with_the_threshold(thresholds, available):
    got = selection_probabilities(torch.from_numpy(thresholds), available).numpy()
    assert abs(got.sum() - 1) < 1e-5 and (got >= 0).all()
    assert not got[[c for c in range(19) if c not in available]].any()
    order = sorted(available, key=lambda c: thresholds[c])
    assert all(got[a] >= got[b] for a, b in pairwise(order))


def test_equal_thresholds_choose_equally():
    got = selection_probabilities(torch.full((19,), 0.8), range(4))
    torch.testing.assert_close(got[:4], torch.full((4,), 0.25))


def test_what_cannot_be_is_named():
    labels = torch.zeros(2, 4, 6, dtype=torch.long)
    images = torch.zeros(2, 3, 4, 6)
    with pytest.raises(LabError, match="2 pictures, but classes for 1"):
        paste(images, labels, images, labels, [(1,)])
    with pytest.raises(LabError, match="255 is no class"):
        paste(images, labels, images, labels, [(1,), (255,)])
    with pytest.raises(LabError, match="cut all to one size"):
        paste(images, labels, images[..., 1:], labels[..., 1:], [(1,), ()])
    with pytest.raises(LabError, match="cut all to one size"):
        mix(labels > 0, images, labels, images[:, :, :3], labels[:, :3])
    for size in (0, 2, -1):
        with pytest.raises(LabError, match="odd"):
            boundary_weights(labels > 0, size)
    for available in ((), (19,), (-1, 3)):
        with pytest.raises(LabError, match="to be chosen from"):
            selection_probabilities(torch.full((19,), 0.8), available)

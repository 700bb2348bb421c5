import dataclasses

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as tv
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import Normalize

from labkit.data.dataset import Sample
from labkit.data.transforms import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Augmentation,
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    denormalize,
    flip,
    gaussian_blur,
    normalize,
    scale_and_crop,
    to_batch,
    to_float,
)
from labkit.errors import LabError

FULL = Augmentation(flip=0.5, jitter=0.5, blur=0.5, scale=(0.5, 2.0), crop=(24, 40))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def pictures(n=4, h=32, w=48, seed=0):
    """Random uint8 pictures of every saturation, with pure grey, black and white among the pixels."""
    generator = seeded(seed)
    images = torch.randint(0, 256, (n, 3, h, w), generator=generator, dtype=torch.uint8)
    images[:, :, 0, :8] = images[:, :1, 0, :8]
    images[:, :, 1, :8], images[:, :, 2, :8] = 0, 255
    labels = torch.randint(0, 19, (n, h, w), generator=generator, dtype=torch.uint8)
    labels[:, :2] = 255
    return images, labels


@pytest.mark.parametrize(
    "ours, referee, factors",
    [
        (adjust_brightness, tv.adjust_brightness, [0.0, 0.5, 1.0, 1.7]),
        (adjust_contrast, tv.adjust_contrast, [0.0, 0.5, 1.0, 1.7]),
        (adjust_saturation, tv.adjust_saturation, [0.0, 0.5, 1.0, 1.7]),
        (adjust_hue, tv.adjust_hue, [-0.5, -0.1, 0.0, 0.07, 0.5]),
        (lambda x, s: gaussian_blur(x, s, 13), lambda x, s: tv.gaussian_blur(x, 13, s), [0.1, 0.7, 2.0]),
        (lambda x, s: gaussian_blur(x, s, 1), lambda x, s: tv.gaussian_blur(x, 1, s), [0.1, 2.0]),
    ],
    ids=["brightness", "contrast", "saturation", "hue", "blur", "blur of one pixel"],
)
def test_each_image_with_its_own_factor_as_torchvision_does_it(ours, referee, factors):
    images = to_float(pictures(len(factors))[0])
    before = images.clone()
    got = ours(images, torch.tensor(factors))
    expected = torch.stack([referee(x, factor) for x, factor in zip(images, factors, strict=True)])
    torch.testing.assert_close(got, expected, rtol=0, atol=2e-6)
    assert torch.equal(images, before)


def test_flip_against_torchvision():
    images, labels = pictures(3)
    got, moved = flip(images, labels, torch.tensor([True, False, True]))
    for i, mirrored in enumerate((True, False, True)):
        assert torch.equal(got[i], tv.horizontal_flip(images[i]) if mirrored else images[i])
        assert torch.equal(moved[i], tv.horizontal_flip(labels[i]) if mirrored else labels[i])


@pytest.mark.parametrize("factor", [0.5, 0.75, 1.0, 1.5, 2.0])
def test_scale_against_interpolation(factor):
    """A window over the whole zoomed image is a plain bilinear resize, labels its nearest pixels."""
    images, labels = pictures(2)
    images = to_float(images)
    size = (int(32 * factor), int(48 * factor))
    zero = torch.zeros(2)
    got, moved = scale_and_crop(images, labels, torch.full((2,), factor), zero, zero, size)
    expected = torch.nn.functional.interpolate(
        images, scale_factor=factor, mode="bilinear", align_corners=False, recompute_scale_factor=False
    )
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)
    nearest = torch.nn.functional.interpolate(labels[:, None].float(), size=size, mode="nearest-exact")
    assert torch.equal(moved, nearest[:, 0].to(torch.uint8))


def test_crop_is_the_window_and_outside_is_ignored():
    images, labels = pictures(3)
    images = to_float(images)
    top, left = torch.tensor([3.0, 0.0, -4.0]), torch.tensor([5.0, 40.0, -6.0])
    got, moved = scale_and_crop(images, labels, torch.ones(3), top, left, (16, 20))
    torch.testing.assert_close(got[0], images[0, :, 3:19, 5:25], rtol=0, atol=1e-5)
    assert torch.equal(moved[0], labels[0, 3:19, 5:25])
    # The second hangs over on the right by 12 columns, the third starts 4 rows and 6 columns outside.
    assert torch.equal(moved[1, :, :8], labels[1, :16, 40:]) and (moved[1, :, 8:] == 255).all()
    torch.testing.assert_close(got[1, :, :, 8:], images[1, :, :16, 47:].expand(-1, -1, 12), rtol=0, atol=1e-5)
    assert torch.equal(moved[2, 4:, 6:], labels[2, :12, :14])
    assert (moved[2, :4] == 255).all() and (moved[2, :, :6] == 255).all()
    torch.testing.assert_close(got[2, :, :4, 6:], images[2, :, :1, :14].expand(-1, 4, -1), rtol=0, atol=1e-5)


def test_nothing_asked_is_the_identity():
    images, labels = pictures()
    got, moved = Augmentation()(images, labels, seeded(0))
    assert got.dtype == torch.float32 and moved.dtype == torch.int64
    assert torch.equal(got, images.float() / 255) and torch.equal(moved, labels.long())


def test_without_labels():
    images, labels = pictures()
    got, moved = FULL(images, labels, seeded(4))
    alone, none = FULL(images, None, seeded(4))
    assert none is None and torch.equal(got, alone)
    assert got.shape == (4, 3, 24, 40) and moved.shape == (4, 24, 40)


def test_inputs_are_left_alone():
    images, labels = pictures()
    copies = images.clone(), labels.clone()
    FULL(images, labels, seeded(0))
    as_float = to_float(images)
    copy = as_float.clone()
    FULL(as_float, labels, seeded(0))
    assert torch.equal(images, copies[0]) and torch.equal(labels, copies[1]) and torch.equal(as_float, copy)


def test_the_generator_alone_decides():
    images, labels = pictures()
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = FULL(images, labels, seeded(5))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    second, third = FULL(images, labels, seeded(5)), FULL(images, labels, seeded(6))
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
    assert not torch.equal(first[0], third[0])


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(jitter=1),
        Augmentation(blur=1),
        Augmentation(scale=(0.5, 2)),
        Augmentation(crop=(16, 16)),
    ],
    ids=["jitter", "blur", "scale", "crop"],
)
def test_equal_images_come_out_different(augmentation):
    images = pictures(1)[0].expand(8, -1, -1, -1)
    got, _ = augmentation(images, None, seeded(3))
    for i in range(8):
        assert not any(torch.equal(got[i], got[j]) for j in range(i))


@pytest.mark.parametrize(
    "change, quantity",
    [
        ({"brightness": 0.4}, lambda x: x[:, :, 0, 0]),
        ({"contrast": 0.4}, lambda x: x.amax((1, 2, 3)) - x.amin((1, 2, 3))),
    ],
)
def test_factors_fill_their_range(change, quantity):
    """On a picture from 0.25 to 0.5 nothing is clamped, so the factor can be read off."""
    off = {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0}
    images = torch.full((500, 3, 2, 2), 0.25)
    images[..., 1] = 0.5
    got, _ = Augmentation(jitter=1, **{**off, **change})(images, None, seeded(0))
    factor = quantity(got) / quantity(images)
    assert 0.6 <= factor.min() < 0.62 and 1.38 < factor.max() <= 1.4 + 1e-5
    assert factor.mean().item() == pytest.approx(1, abs=0.04)  # ±0.23/√500, four times


def test_probabilities_are_met_and_independent():
    images = torch.rand(4000, 3, 1, 2, generator=seeded(1))
    flipped, _ = Augmentation(flip=0.3)(images, None, seeded(2))
    jittered, _ = Augmentation(jitter=0.5)(images, None, seeded(2))
    a = (flipped != images).flatten(1).any(1)
    b = (jittered != images).flatten(1).any(1)
    # Four standard deviations of a share of 4000.
    assert a.float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert b.float().mean().item() == pytest.approx(0.5, abs=0.032)
    assert (a & b).float().mean().item() == pytest.approx(0.15, abs=0.023)


def test_a_lower_probability_only_leaves_images_out():
    """Those that are changed are changed by their own draws, however many of their neighbours are."""
    images = to_float(pictures(16)[0])
    for always, sometimes in (
        (Augmentation(jitter=1), Augmentation(jitter=0.5)),
        (Augmentation(blur=1, blur_sigma=(1, 2)), Augmentation(blur=0.5, blur_sigma=(1, 2))),
    ):
        every, some = (augmentation(images, None, seeded(9))[0] for augmentation in (always, sometimes))
        changed = [torch.allclose(some[i], every[i], atol=1e-6) for i in range(16)]
        kept = [torch.equal(some[i], images[i]) for i in range(16)]
        assert kept == [not one for one in changed]
        assert changed[:2] != [True, True] and any(changed[2:])  # places in the batch that are not 0, 1, …


def test_one_augmentation_does_not_shift_the_draws_of_another():
    images, labels = pictures(8)
    _, alone = Augmentation(flip=0.5)(images, labels, seeded(9))
    _, beside = Augmentation(flip=0.5, jitter=0.5, blur=0.5)(images, labels, seeded(9))
    assert torch.equal(alone, beside)
    assert not torch.equal(alone, labels.long())


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 7))
def test_an_image_does_not_depend_on_how_many_follow(seed, count):
    images, labels = pictures(8, seed=1)
    whole = FULL(images, labels, seeded(seed))
    part = FULL(images[:count], labels[:count], seeded(seed))
    torch.testing.assert_close(part[0], whole[0][:count], rtol=0, atol=1e-6)
    assert torch.equal(part[1], whole[1][:count])


augmentations = st.builds(
    Augmentation,
    flip=st.sampled_from([0.0, 0.5, 1.0]),
    jitter=st.sampled_from([0.0, 0.5, 1.0]),
    blur=st.sampled_from([0.0, 0.5, 1.0]),
    brightness=st.floats(0, 2),
    contrast=st.floats(0, 2),
    saturation=st.floats(0, 2),
    hue=st.floats(0, 0.5),
    scale=st.none() | st.sampled_from([(0.3, 0.6), (0.5, 2.0), (1.0, 1.0), (3.0, 3.0)]),
    crop=st.none() | st.tuples(st.integers(8, 40), st.integers(8, 60)),
)


@settings(max_examples=40, deadline=None)
@given(augmentation=augmentations, seed=st.integers(0, 2**32))
def test_what_always_holds(augmentation, seed):
    images, labels = pictures(3)
    got, moved = augmentation(images, labels, seeded(seed))
    size = augmentation.crop or (32, 48)
    assert got.shape == (3, 3, *size) and moved.shape == (3, *size)
    assert got.isfinite().all() and got.min() >= -1e-6 and got.max() <= 1 + 1e-6
    assert set(moved.unique().tolist()) <= {*range(19), 255}


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    scale=st.none() | st.sampled_from([(0.4, 1.0), (1.0, 1.0), (1.0, 3.0)]),
    crop=st.none() | st.tuples(st.integers(4, 60), st.integers(4, 60)),
)
def test_image_and_label_move_together(seed, scale, crop):
    """Pictures whose red and green are a linear ramp over columns and rows carry their own label.

    Bilinear reading of a ramp is the place that was read, so it is within half a pixel of the nearest one.
    """
    h, w = 40, 48
    column = torch.arange(w).float().expand(h, w)
    row = torch.arange(h).float()[:, None].expand(h, w)
    images = torch.stack([column, row, torch.zeros(h, w)]).div(255).expand(4, -1, -1, -1)
    augmentation = Augmentation(flip=0.5, scale=scale, crop=crop)
    got, columns = augmentation(images, column.to(torch.uint8).expand(4, -1, -1), seeded(seed))
    _, rows = augmentation(images, row.to(torch.uint8).expand(4, -1, -1), seeded(seed))
    valid = columns != 255
    assert torch.equal(valid, rows != 255)
    assert valid.flatten(1).any(1).all()
    assert ((got[:, 0] * 255 - columns).abs()[valid] <= 0.5 + 1e-3).all()
    assert ((got[:, 1] * 255 - rows).abs()[valid] <= 0.5 + 1e-3).all()


def test_crop_windows_stay_inside_and_reach_both_ends():
    images = torch.zeros(300, 3, 12, 12)
    labels = torch.arange(12).to(torch.uint8).expand(300, 12, 12)
    _, moved = Augmentation(crop=(10, 10))(images, labels, seeded(0))
    assert set(moved[:, 0, 0].tolist()) == {0, 1, 2}
    _, moved = Augmentation(crop=(14, 14))(images, labels, seeded(0))
    assert set((moved[:, 5] == 255).sum(1).tolist()) == {2}
    assert set((moved[:, 5] == 0).int().argmax(1).tolist()) == {0, 1, 2}


@pytest.mark.parametrize(
    "wrong",
    [
        {"flip": 1.5},
        {"jitter": -0.1},
        {"blur": 2},
        {"brightness": -1},
        {"hue": 0.6},
        {"blur_sigma": (0, 1)},
        {"blur_sigma": (2, 1)},
        {"blur_kernel": 4},
        {"scale": (0, 1)},
        {"scale": (2, 1)},
        {"crop": (0, 5)},
    ],
    ids=str,
)
def test_values_outside_their_range(wrong):
    with pytest.raises(LabError, match=next(iter(wrong))):
        Augmentation(**wrong)
    assert dataclasses.replace(Augmentation(), flip=0.5).flip == 0.5


def test_too_small_for_the_blur():
    with pytest.raises(LabError, match=r"\(6, 48\) pixels are too small for a blur 13"):
        Augmentation(blur=1)(pictures()[0][:, :, :6], None, seeded(0))


def test_normalize_against_torchvision_and_back():
    images = to_float(pictures()[0])
    got = normalize(images)
    torch.testing.assert_close(got, Normalize(IMAGENET_MEAN, IMAGENET_STD)(images))
    torch.testing.assert_close(denormalize(got), images)
    torch.testing.assert_close(normalize(images[0]), got[0])


def test_to_batch():
    rng = np.random.default_rng(0)
    samples = [
        Sample(rng.integers(0, 256, (4, 6, 3), np.uint8), rng.integers(0, 19, (4, 6), np.uint8), f"s{i}")
        for i in range(3)
    ]
    images, labels, names = to_batch(samples)
    assert images.dtype == labels.dtype == torch.uint8
    assert images.shape == (3, 3, 4, 6) and images.is_contiguous()
    assert names == ("s0", "s1", "s2")
    for i, sample in enumerate(samples):
        assert np.array_equal(images[i].permute(1, 2, 0).numpy(), sample.image)
        assert np.array_equal(labels[i].numpy(), sample.label)
    other = Sample(samples[0].image[:2], samples[0].label[:2], "small")
    with pytest.raises(LabError, match="small does not fit into a batch with s0"):
        to_batch([*samples, other])

"""Moving a prediction equals predicting a moved picture; geometry against torchvision and SciPy, colours against it."""

import dataclasses

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as tv
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from torch import nn

from labkit.data.perturbation import Perturbation
from labkit.data.transforms import denormalize, normalize
from labkit.errors import LabError

SIZE = (24, 37)
NONE = Perturbation(
    flip=0, scale=(1, 1), rotation=0, noise=0, brightness=0, contrast=0, saturation=0, hue=0
)  # each test switches on what it is about
GEOMETRIES = {
    "nothing": {},
    "flip": {"flip": 1},
    "scale": {"scale": (0.6, 1.7)},
    "rotation": {"rotation": 40},
    "all": {"flip": 0.5, "scale": (0.6, 1.7), "rotation": 40},
}


def perturbation(**settings):
    return dataclasses.replace(NONE, **settings)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def pictures(n=4, size=SIZE, seed=0, dtype=torch.float32):
    return normalize(torch.rand(n, 3, *size, generator=seeded(seed), dtype=dtype))


def at(drawn, **values):
    """The same draw with values of our own, one for every picture."""
    full = {name: torch.full_like(getattr(drawn, name), value) for name, value in values.items()}
    return dataclasses.replace(drawn, **full)


@pytest.mark.parametrize("kind", GEOMETRIES)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), height=st.integers(1, 20), width=st.integers(1, 20))
def test_moving_predictions_is_predicting_moved_pictures(kind, seed, height, width):
    """For a network of 1×1 convolutions, whose prediction of a pixel depends on nothing else."""
    drawn = perturbation(**GEOMETRIES[kind]).draw(3, (height, width), seeded(seed))
    assert drawn.inside.shape == (3, height, width)
    torch.manual_seed(seed)
    network = nn.Conv2d(3, 19, 1).requires_grad_(False)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        images, network = pictures(3, (height, width), seed, dtype), network.to(dtype)
        moved, predicted = drawn.maps(network(images)), network(drawn.images(images))
        inside = drawn.inside[:, None].expand_as(moved)
        torch.testing.assert_close(moved[inside], predicted[inside], rtol=0, atol=tolerance)


def test_it_is_not_so_for_a_network_that_knows_left_from_right():
    """The test above can fail: a kernel that looks to one side only does not commute with a flip."""
    network = nn.Conv2d(3, 5, (1, 3), padding=(0, 1)).requires_grad_(False)
    drawn = perturbation(flip=1).draw(2, SIZE, seeded(0))
    images = pictures(2)
    assert (drawn.maps(network(images)) - network(drawn.images(images))).abs().mean() > 0.01


def test_flips_are_exact_and_probabilities_move_with_the_network_after_them():
    images = pictures(64)
    drawn = perturbation(flip=0.5).draw(64, SIZE, seeded(3))
    assert 0 < drawn.flipped.sum() < 64
    for i, mirrored in enumerate(drawn.flipped.tolist()):
        assert torch.equal(drawn.images(images)[i], images[i].flip(-1) if mirrored else images[i])
    assert drawn.inside.all()
    network = nn.Sequential(nn.Conv2d(3, 19, 1), nn.Softmax(1)).requires_grad_(False)
    torch.testing.assert_close(drawn.maps(network(images)), network(drawn.images(images)))


@pytest.mark.parametrize("angle, scale", [(30.0, 1.0), (-75.0, 1.0), (0.0, 1.6), (0.0, 0.5), (20.0, 1.3), (180.0, 0.9)])
def test_geometry_against_torchvision(angle, scale):
    """Inside of the picture by a pixel, where its way of filling plays no part. Its angles are clockwise."""
    images = pictures(1)
    drawn = at(NONE.draw(1, SIZE), angle=angle, scale=scale)

    def moved(x):
        return tv.affine(x, -angle, [0, 0], scale, [0.0, 0.0], interpolation=tv.InterpolationMode.BILINEAR, fill=0)

    whole = moved(torch.ones(1, 1, *SIZE))[0, 0] > 1 - 1e-4
    assert whole.float().mean() > 0.2
    torch.testing.assert_close(drawn.maps(images)[..., whole], moved(images)[..., whole], rtol=0, atol=1e-3)
    assert drawn.inside[0][whole].all()


@pytest.mark.parametrize("angle, scale, flipped", [(25.0, 0.7, False), (-50.0, 1.2, True), (0.0, 0.5, True)])
def test_every_pixel_against_scipy(angle, scale, flipped):
    """The picture's edge continues outside; a pixel is inside where the nearest one that it reads exists."""
    image = torch.rand(1, 1, *SIZE, generator=seeded(4), dtype=torch.float64)
    drawn = at(NONE.draw(1, SIZE), angle=angle, scale=scale, flipped=flipped)
    middle = (np.array(SIZE) - 1) / 2
    y, x = (grid - m for grid, m in zip(np.mgrid[: SIZE[0], : SIZE[1]], middle, strict=True))
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    # y grows downwards: what lies at (x, y) comes from there turned back by the angle, and shrunk.
    rows, columns = (sine * x + cosine * y) / scale + middle[0], (cosine * x - sine * y) / scale + middle[1]
    source = image[0, 0].numpy()[:, ::-1] if flipped else image[0, 0].numpy()
    expected = map_coordinates(source, [rows, columns], order=1, mode="nearest")
    np.testing.assert_allclose(drawn.maps(image)[0, 0].numpy(), expected, atol=1e-5)
    nearest = np.floor(rows + 0.5), np.floor(columns + 0.5)
    there = np.logical_and.reduce([(place >= 0) & (place < n) for place, n in zip(nearest, SIZE, strict=True)])
    np.testing.assert_array_equal(drawn.inside[0].numpy(), there)
    assert 0 < there.sum() < there.size or scale > 1


def test_a_smaller_picture_leaves_its_frame_outside():
    drawn = at(NONE.draw(1, (20, 40)), scale=0.5)
    expected = torch.zeros(20, 40, dtype=torch.bool)
    expected[5:15, 10:30] = True
    assert torch.equal(drawn.inside[0], expected)


def test_colours_against_torchvision():
    images = pictures(3)
    drawn = perturbation(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.2).draw(3, SIZE, seeded(5))
    for i, image in enumerate(denormalize(images)):
        image = tv.adjust_brightness(image.clamp(0, 1), drawn.brightness[i].item())
        image = tv.adjust_contrast(image, drawn.contrast[i].item())
        image = tv.adjust_saturation(image, drawn.saturation[i].item())
        image = tv.adjust_hue(image, drawn.hue[i].item())
        torch.testing.assert_close(drawn.images(images)[i], normalize(image), rtol=0, atol=1e-4)
    assert torch.equal(drawn.maps(images), images), "colours move nothing"


def test_noise_has_the_spread_that_is_asked_for_and_stays_in_the_picture():
    grey = normalize(torch.full((2, 3, 120, 160), 0.5))
    drawn = perturbation(noise=0.05).draw(2, (120, 160), seeded(6))
    noise = denormalize(drawn.images(grey)) - 0.5
    assert abs(noise.std().item() - 0.05) < 0.001 and abs(noise.mean().item()) < 0.001
    flat = noise.double().flatten(2)
    assert np.abs(np.corrcoef(flat.flatten(0, 1).numpy()) - np.eye(6)).max() < 0.05, (
        "pictures and channels by themselves"
    )
    assert torch.equal(drawn.images(grey), drawn.images(grey))
    loud = denormalize(perturbation(noise=1.0).draw(2, (120, 160), seeded(6)).images(grey))
    assert loud.min() > -1e-6 and loud.max() < 1 + 1e-6 and (loud < 1e-6).any()
    assert torch.equal(drawn.maps(grey), grey), "noise is no part of what moves"


def test_draws_lie_in_their_ranges_and_fill_them():
    p = Perturbation()
    drawn = p.draw(4000, SIZE, seeded(7))
    ranges = {"scale": p.scale, "angle": (-10, 10), "hue": (-0.05, 0.05)}
    ranges |= dict.fromkeys(("brightness", "contrast", "saturation"), (0.75, 1.25))
    for name, (low, high) in ranges.items():
        values, reach = getattr(drawn, name), 0.01 * (high - low)
        assert low <= values.min() < low + reach and high - reach < values.max() <= high
    assert 0.45 < drawn.flipped.float().mean() < 0.55
    assert len(drawn.seeds.unique()) > 3990
    table = torch.stack([getattr(drawn, name) for name in ranges]).numpy()
    assert np.abs(np.corrcoef(table) - np.eye(len(table))).max() < 0.06, "each is drawn by itself"


def test_the_generator_alone_decides_and_without_one_torchs_own():
    images, p = pictures(), Perturbation()
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = p.draw(4, SIZE, seeded(5)).images(images)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, p.draw(4, SIZE, seeded(5)).images(images))
    assert not torch.equal(first, p.draw(4, SIZE, seeded(6)).images(images))
    torch.testing.assert_close(first[:2], p.draw(2, SIZE, seeded(5)).images(images[:2]))  # not on how many follow
    own = p.draw(4, SIZE)
    torch.set_rng_state(state)
    again = p.draw(4, SIZE)
    assert torch.equal(own.images(images), again.images(images)) and not torch.equal(torch.get_rng_state(), state)


def test_switching_one_off_leaves_the_draws_of_the_others():
    full, without = Perturbation().draw(8, SIZE, seeded(8)), Perturbation(rotation=0).draw(8, SIZE, seeded(8))
    for name in ("flipped", "scale", "brightness", "contrast", "saturation", "hue", "seeds"):
        assert torch.equal(getattr(full, name), getattr(without, name))
    assert (without.angle == 0).all() and (full.angle != 0).all()


def test_gradients_flow_through_the_geometry():
    drawn = Perturbation().draw(2, (6, 7), seeded(9))
    logits = torch.randn(2, 3, 6, 7, dtype=torch.float64, requires_grad=True, generator=seeded(10))
    assert torch.autograd.gradcheck(drawn.maps, (logits,))


def test_inputs_are_left_alone_and_half_precision_becomes_float32():
    images = pictures()
    copy = images.clone()
    drawn = Perturbation().draw(4, SIZE, seeded(11))
    moved = drawn.images(images)
    assert torch.equal(images, copy) and moved.shape == images.shape and moved.isfinite().all()
    for dtype in (torch.float16, torch.bfloat16):
        assert drawn.maps(images.to(dtype)).dtype == drawn.images(images.to(dtype)).dtype == torch.float32
    assert Perturbation().draw(1, SIZE, device="meta").inside.device.type == "meta"


@pytest.mark.parametrize(
    "wrong",
    [
        {"flip": 1.1},
        {"scale": (0, 1)},
        {"scale": (1.2, 0.8)},
        {"rotation": -1},
        {"rotation": 181},
        {"noise": -0.1},
        {"contrast": float("nan")},
        {"hue": 0.6},
    ],
)
def test_a_value_that_cannot_be_is_named(wrong):
    with pytest.raises(LabError, match=f"perturbation: {next(iter(wrong))} is"):
        Perturbation(**wrong)


@pytest.mark.parametrize("shape", [(3, 3, *SIZE), (4, 3, 24, 36), (4, *SIZE)])
def test_what_it_was_not_drawn_for_is_refused(shape):
    drawn = Perturbation().draw(4, SIZE, seeded(0))
    for call in (drawn.images, drawn.maps):
        with pytest.raises(LabError, match=r"drawn for 4 pictures of \(24, 37\)"):
            call(torch.zeros(shape))

"""Measures of translations: the Fréchet distance against scipy's matrix root, spectra, affine maps, agreement."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.data.memory import InMemory
from labkit.data.minicity import MiniCity
from labkit.data.restyle import AffineColour, ColourMoments, Restyled, colour_moments, fit_channels, fit_covariance
from labkit.errors import LabError
from labkit.evaluation.predict import evaluate
from labkit.evaluation.scores import Scores
from labkit.evaluation.translations import (
    affine_share,
    colour_distance,
    frechet_distance,
    frechet_floor,
    label_agreement,
    spectrum,
    spectrum_distance,
)
from labkit.labels import IGNORE
from labkit.models.output import SegmentationOutput

SIZE = (32, 64)


@pytest.fixture(scope="module")
def game():
    return InMemory(MiniCity("game", size=SIZE, count=6))


@pytest.fixture(scope="module")
def real():
    return InMemory(MiniCity("real", size=SIZE, count=6))


# --- Fréchet distance ------------------------------------------------------------------------------------------------


def closed_form(x: np.ndarray, y: np.ndarray) -> float:
    """With covariances written out, and scipy's root of their product."""
    s, t = np.cov(x.T), np.cov(y.T)
    root = scipy.linalg.sqrtm(s @ t).real
    return float(np.square(x.mean(0) - y.mean(0)).sum() + np.trace(s + t - 2 * root))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 8), st.integers(20, 40), st.integers(20, 40))
def test_frechet_distance_is_the_closed_form(seed, dimension, n, m):
    random = np.random.default_rng(seed)
    x, y = (random.normal(size=(k, dimension)) @ random.normal(size=(dimension, dimension)) + 1 for k in (n, m))
    y += random.normal(size=dimension)
    found = frechet_distance(x, y)
    assert found == pytest.approx(closed_form(x, y), rel=1e-6, abs=1e-8)
    assert found == pytest.approx(frechet_distance(y, x))
    turn = np.linalg.qr(random.normal(size=(dimension, dimension)))[0]
    assert found == pytest.approx(frechet_distance(x @ turn + 3, y @ turn + 3), rel=1e-6)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + 2) == pytest.approx(4 * dimension)  # of the means alone
    spread = np.square(x - x.mean(0)).sum() / (n - 1)
    assert frechet_distance(x, 3 * (x - x.mean(0)) + x.mean(0)) == pytest.approx(4 * spread)  # of the spreads alone


def test_frechet_distance_of_fewer_vectors_than_dimensions():
    x, y = np.random.default_rng(0).normal(size=(2, 6, 50)).astype(np.float32)
    s, t = np.cov(x.T.astype(np.float64)), np.cov(y.T.astype(np.float64))
    eigenvalues = np.linalg.eigvals(s @ t)  # singular: scipy's root would warn
    expected = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(s + t) - 2 * np.sqrt(np.abs(eigenvalues)).sum()
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-4)


def test_few_pictures_make_the_distance_too_large():
    """Two parts of one normal distribution, whose true distance is 0."""
    features = np.random.default_rng(1).normal(size=(800, 16))
    floor = frechet_floor(features, (8, 32, 128, 400), draws=8)
    means = floor.distances.mean(axis=1)
    assert floor.distances.shape == (4, 8) and (floor.distances > 0).all()
    assert (np.diff(means) < 0).all() and means[0] > 5 > 0.5 > means[-1]
    # The means alone add 2 K / n, and parts of size n do share no vector.
    assert (means > 2 * 16 / floor.sizes).all()
    assert np.array_equal(floor.distances, frechet_floor(features, (8, 32, 128, 400), draws=8).distances)
    for sizes in ((1,), (401,)):
        with pytest.raises(LabError, match="2 to 400 each"):
            frechet_floor(features, sizes)


@pytest.mark.parametrize("shapes", [((5, 3), (5, 4)), ((1, 3), (5, 3)), ((5,), (5,))])
def test_frechet_distance_refuses(shapes):
    with pytest.raises(LabError, match="at least two vectors of each"):
        frechet_distance(*(np.zeros(shape) for shape in shapes))


# --- colours ---------------------------------------------------------------------------------------------------------


def test_colour_distance_is_that_of_normal_distributions(game, real):
    a, b = colour_moments(game), colour_moments(real)
    root = scipy.linalg.sqrtm(a.covariance.numpy() @ b.covariance.numpy()).real
    squared = (a.mean - b.mean).square().sum() + np.trace(a.covariance.numpy() + b.covariance.numpy() - 2 * root)
    assert colour_distance(a, b) == pytest.approx(255 * float(squared) ** 0.5, rel=1e-6)
    brighter = ColourMoments(a.mean + 10 / 255, a.covariance)
    assert colour_distance(a, brighter) == pytest.approx(10 * 3**0.5)
    assert colour_distance(a, a) == pytest.approx(0, abs=1e-4)


def test_both_affine_fits_bring_colours_closer_and_the_full_one_closest(game, real):
    own, other = colour_moments(game), colour_moments(real)
    fits = {"channels": fit_channels(own, other), "full": fit_covariance(own, other)}
    distances = {
        name: colour_distance(colour_moments(Restyled(game, lambda p, _, fit=fit: fit(p), name, {})), other)
        for name, fit in fits.items()
    }
    assert distances["full"] < distances["channels"] < colour_distance(own, other)
    assert distances["full"] < 5  # grey levels; rounding and clipping leave something


def test_the_affine_share_finds_the_map_it_was_made_with(game):
    matrix = torch.tensor([[0.7, 0.1, 0.0], [0.0, 0.6, 0.2], [0.1, 0.0, 0.5]]).double()
    colour = AffineColour(matrix, torch.tensor([0.05, 0.1, 0.2]).double())
    changed = Restyled(game, lambda picture, _: colour(picture), "changed", {})
    found = affine_share(game, changed)
    assert found.share > 0.999
    torch.testing.assert_close(found.colour.matrix, matrix, atol=0.01, rtol=0)
    torch.testing.assert_close(found.colour.offset, colour.offset, atol=0.005, rtol=0)
    assert np.isnan(affine_share(game, game).share)


def test_the_affine_share_is_that_of_least_squares(game, real):
    x, y = (np.concatenate([s.image.reshape(-1, 3) for s in one]).astype(np.float64) / 255 for one in (game, real))
    solution, left, *_ = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), y, rcond=None)
    found = affine_share(game, real)
    assert found.share == pytest.approx(1 - left.sum() / np.square(y - x).sum(), abs=1e-9)
    np.testing.assert_allclose(found.colour.matrix, solution[:3].T, atol=1e-9)
    random = np.random.default_rng(0)
    noise = Restyled(game, lambda p, _: p + 0.1 * torch.from_numpy(random.normal(size=p.shape)).float(), "noise", {})
    assert affine_share(game, noise).share < 0.1  # no map of colours makes noise
    with pytest.raises(LabError, match="6 pictures"):
        affine_share(game, MiniCity("game", size=SIZE, count=5))
    with pytest.raises(LabError, match="one size, please"):
        affine_share(game, MiniCity("game", size=(32, 48), count=6))


# --- texture ---------------------------------------------------------------------------------------------------------


class Drawn:
    """Grey pictures from functions of row and column."""

    name, split, evaluation = "drawn", "train", "miou"

    def __init__(self, function, size=(96, 128), count=1):
        rows, columns = np.indices(size)
        self.image = np.clip(np.rint(np.stack([function(rows, columns)] * 3, -1)), 0, 255).astype(np.uint8)
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        from labkit.data.dataset import Sample

        return Sample(self.image, np.zeros(self.image.shape[:2], np.uint8), str(index))


@pytest.mark.parametrize("frequency", [0.11, 0.23, 0.42])
@pytest.mark.parametrize("direction", [(1, 0), (0, 1), (0.6, 0.8)])
def test_a_wave_is_found_at_its_frequency(frequency, direction):
    def wave(rows, columns):
        return 128 + 100 * np.cos(2 * np.pi * frequency * (direction[0] * rows + direction[1] * columns))

    found = spectrum(Drawn(wave))
    assert abs(found.frequency[found.power.argmax()] - frequency) <= 1 / 32 + 1e-9  # a bin's width


def test_white_noise_has_a_flat_spectrum_of_its_variance():
    random = np.random.default_rng(0)
    noise = Drawn(lambda rows, _: 128 + 25 * random.normal(size=rows.shape), size=(256, 256))
    expected = 10 * np.log10((25 / 255) ** 2)
    np.testing.assert_allclose(spectrum(noise).power[1:], expected, atol=0.7)
    assert spectrum_distance(spectrum(noise), spectrum(noise)) == 0


def test_blur_is_seen_in_the_fine_bins_and_colour_is_not(game):
    def blurred(picture, _):
        return torch.nn.functional.avg_pool2d(picture, 3, 1, 1, count_include_pad=False)

    own, soft = spectrum(game), spectrum(Restyled(game, blurred, "soft", {}))
    assert (own.power - soft.power)[-4:].min() > 6 > 2 > abs(own.power - soft.power)[0]
    dark = spectrum(Restyled(game, lambda picture, _: picture / 2, "dark", {}))
    np.testing.assert_allclose(own.power - dark.power, 20 * np.log10(2), atol=0.3)  # half the amplitude, everywhere
    with pytest.raises(LabError, match="too small for 64 bins"):
        spectrum(game, bins=64)


# --- content ---------------------------------------------------------------------------------------------------------


class Painter(torch.nn.Module):
    """Says class 1 wherever red is above a half, else class 0."""

    num_classes = 19

    def __init__(self):
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, images):
        red = images[:, :1] > 0
        logits = torch.full((len(images), 19, *images.shape[-2:]), -1.0)
        return SegmentationOutput(torch.cat([(~red).float(), red.float(), logits[:, 2:]], dim=1), (), {})


def test_agreement_counts_what_a_translation_has_drawn():
    class Halves(Drawn):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            label = (sample.image[..., 0] > 128).astype(np.uint8)
            label[0] = IGNORE
            return sample._replace(label=label)

    halves = Halves(lambda rows, columns: np.where(columns < 64, 255, 0), count=2)
    kept = evaluate(Painter(), halves)
    assert label_agreement(kept) == 1.0

    def drifted(picture, _):
        picture = picture.clone()
        picture[..., 48:, :64] = 0  # the lower half of what is bright is gone
        return picture

    assert label_agreement(evaluate(Painter(), Restyled(halves, drifted, "drift", {}))) == pytest.approx(
        1 - 48 * 64 / (95 * 128)
    )
    void = Scores(np.zeros((19, 20), np.int64), 0)
    assert np.isnan(label_agreement(void))

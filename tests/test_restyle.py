"""Histogram matching, the swap of amplitudes and affine maps of colours, against float64 references and OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.data.memory import InMemory
from labkit.data.minicity import MiniCity
from labkit.data.restyle import (
    ColourMoments,
    Restyled,
    by_reference,
    colour_moments,
    fit_channels,
    fit_covariance,
    match_histograms,
    swap_amplitude,
    to_uint8,
)
from labkit.data.transforms import normalize, to_batch, to_float
from labkit.errors import LabError
from labkit.methods.registry import create_method
from labkit.methods.restyled import Fourier, Histogram
from labkit.training.method import SOURCE, TARGET, Batch

SIZES = st.tuples(st.integers(1, 12), st.integers(1, 12))
SEEDS = st.integers(0, 2**32 - 1)


def pictures(seed: int, size, count: int = 2, levels: int = 256) -> torch.Tensor:
    """Random pictures whose channels differ, in [0, 1], with repeated values where ``levels`` are few."""
    random = np.random.default_rng(seed)
    values = random.integers(0, levels, (count, 3, *size)) ** random.uniform(0.5, 1, (1, 3, 1, 1))
    return torch.from_numpy(values / (levels - 1)).float().clamp(0, 1)


# --- histograms ------------------------------------------------------------------------------------------------------


def matched_slowly(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """One channel in float64, value by value: the cumulated share, then the inverse by linear interpolation."""
    known, counts = np.unique(reference, return_counts=True)
    shares = np.cumsum(counts) / reference.size
    own = np.array([(values <= value).sum() / values.size for value in values.ravel()])
    return np.interp(own, shares, known).reshape(values.shape)


@settings(max_examples=60, deadline=None)
@given(SEEDS, SIZES, SIZES, st.sampled_from([2, 5, 256]), st.sampled_from([2, 5, 256]))
def test_histograms_are_matched_as_the_definition_says(seed, size, other, levels, other_levels):
    images, references = pictures(seed, size, levels=levels), pictures(seed + 1, other, levels=other_levels)
    found = match_histograms(images, references)
    assert found.shape == images.shape and found.dtype == torch.float32
    for n in range(2):
        for channel in range(3):
            expected = matched_slowly(images[n, channel].double().numpy(), references[n, channel].double().numpy())
            np.testing.assert_allclose(found[n, channel], expected, atol=2e-6)


@given(SEEDS, SIZES)
@settings(max_examples=30, deadline=None)
def test_a_matched_picture_has_the_references_values_and_its_own_order(seed, size):
    images, references = torch.rand(2, 2, 3, *size, generator=torch.Generator().manual_seed(seed))
    found = match_histograms(images, references)
    assert torch.equal(found.flatten(2).sort(dim=2).values, references.flatten(2).sort(dim=2).values)
    assert torch.equal(found.flatten(2).argsort(dim=2), images.flatten(2).argsort(dim=2))
    assert torch.equal(match_histograms(images, images), images)
    as_on_gpus = (one.contiguous(memory_format=torch.channels_last) for one in (images, references))
    assert torch.equal(match_histograms(*as_on_gpus), found)


def test_matching_large_pictures_does_not_overflow():
    """Ranks times pixels leave 32 bits here."""
    ramp = torch.linspace(0, 1, 3 * 300 * 401).reshape(1, 3, 300, 401)
    found = match_histograms(ramp, ramp[..., :250, :].square())
    np.testing.assert_allclose(
        found[0, 1], matched_by_sorting(ramp[0, 1].numpy(), ramp[0, 1, :250].square().numpy()), atol=1e-6
    )


def matched_by_sorting(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """For values that all differ."""
    shares = np.arange(1, reference.size + 1) / reference.size
    found = np.empty(values.size)
    found[values.ravel().argsort()] = np.interp(
        np.arange(1, values.size + 1) / values.size, shares, np.sort(reference.astype(np.float64).ravel())
    )
    return found.reshape(values.shape)


# --- amplitudes ------------------------------------------------------------------------------------------------------


def swapped_slowly(image: np.ndarray, reference: np.ndarray, beta: float) -> np.ndarray:
    """One channel, with shifted frequencies and a square window around the middle, as FDA describes it."""
    own, other = (np.fft.fftshift(np.fft.fft2(one)) for one in (image, reference))
    height, width = image.shape
    b, row, column = int(np.floor(min(height, width) * beta)), height // 2, width // 2
    window = (slice(max(row - b, 0), row + b + 1), slice(max(column - b, 0), column + b + 1))
    amplitude, phase = np.abs(own), np.angle(own)
    amplitude[window] = np.abs(other)[window]
    return np.fft.ifft2(np.fft.ifftshift(amplitude * np.exp(1j * phase)))


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.tuples(st.integers(3, 20), st.integers(3, 20)), st.sampled_from([0.0, 0.05, 0.09, 0.2, 0.4]))
def test_amplitudes_are_swapped_as_the_definition_says(seed, size, beta):
    images, references = torch.rand(2, 2, 3, *size, generator=torch.Generator().manual_seed(seed))
    found = swap_amplitude(images, references, beta)
    for n in range(2):
        for channel in range(3):
            expected = swapped_slowly(
                images[n, channel].double().numpy(), references[n, channel].double().numpy(), beta
            )
            assert np.abs(expected.imag).max() < 1e-9  # the window is symmetric, so the picture is real
            np.testing.assert_allclose(found[n, channel], expected.real, atol=5e-6)


def test_what_the_swap_keeps_and_what_it_takes():
    images, references = torch.rand(2, 2, 3, 24, 40, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(swap_amplitude(images, images, 0.09), images, atol=2e-6, rtol=0)
    means = swap_amplitude(images, references, 0.0).mean(dim=(2, 3))
    torch.testing.assert_close(means, references.mean(dim=(2, 3)))  # with β = 0 nothing but the mean
    flat = swap_amplitude(images, references, 0.0) - images
    assert flat.std(dim=(2, 3)).max() < 1e-6
    smaller = swap_amplitude(images, references[..., :12, :20], 0.05)
    assert smaller.shape == images.shape
    with pytest.raises(LabError, match=r"beta is 0\.6"):
        swap_amplitude(images, references, 0.6)


@pytest.mark.parametrize("change", [match_histograms, lambda a, b: swap_amplitude(a, b, 0.1)])
def test_every_picture_has_a_partner_or_is_refused(change):
    with pytest.raises(LabError, match=r"\(2, 3, 8, 8\) and references \(1, 3, 8, 8\) do not pair up"):
        change(torch.rand(2, 3, 8, 8), torch.rand(1, 3, 8, 8))


# --- affine maps -----------------------------------------------------------------------------------------------------


def random_moments(random: np.random.Generator) -> ColourMoments:
    factor = random.normal(size=(3, 3)) * 0.2
    return ColourMoments(torch.from_numpy(random.uniform(0.2, 0.8, 3)), torch.from_numpy(factor @ factor.T))


def test_moments_are_those_of_all_pixels():
    city = MiniCity("game", size=(32, 64), count=5)
    colours = np.concatenate([sample.image.reshape(-1, 3) for sample in city]) / 255
    found = colour_moments(city)
    np.testing.assert_allclose(found.mean, colours.mean(axis=0))
    np.testing.assert_allclose(found.covariance, np.cov(colours.T, bias=True), atol=1e-12)


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_affine_fits_reach_the_moments_they_were_made_for(seed):
    random = np.random.default_rng(seed)
    own, other = random_moments(random), random_moments(random)
    full, channels = fit_covariance(own, other), fit_channels(own, other)
    moved = full.matrix @ own.covariance @ full.matrix.T
    torch.testing.assert_close(moved, other.covariance, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(full.matrix @ own.mean + full.offset, other.mean)
    by_channel = channels.matrix @ own.covariance @ channels.matrix.T
    torch.testing.assert_close(by_channel.diagonal(), other.covariance.diagonal())
    assert torch.equal(channels.matrix, channels.matrix.diagonal().diag())


def test_the_full_fit_moves_colours_least():
    """Against another map with the same moments: by Cholesky factors, which are no symmetric roots."""
    random = np.random.default_rng(3)
    own, other = random_moments(random), random_moments(random)

    def moved(matrix: np.ndarray) -> float:
        difference = matrix - np.eye(3)
        return float(np.trace(difference @ own.covariance.numpy() @ difference.T))

    cholesky = np.linalg.cholesky(other.covariance.numpy()) @ np.linalg.inv(np.linalg.cholesky(own.covariance.numpy()))
    root = scipy.linalg.sqrtm(own.covariance.numpy() @ other.covariance.numpy()).real
    least = float(np.trace(own.covariance.numpy() + other.covariance.numpy() - 2 * root))
    found = moved(fit_covariance(own, other).matrix.numpy())
    assert found == pytest.approx(least, rel=1e-6)
    assert found < moved(cholesky)


def test_an_affine_map_is_applied_as_opencv_does():
    random = np.random.default_rng(0)
    colour = fit_covariance(random_moments(random), random_moments(random))
    picture = random.random((6, 9, 3)).astype(np.float32)
    expected = cv2.transform(picture.astype(np.float64), np.column_stack([colour.matrix, colour.offset]))
    found = colour(torch.from_numpy(picture).permute(2, 0, 1)[None])
    np.testing.assert_allclose(found[0].permute(1, 2, 0), expected, atol=1e-5)


# --- data sets -------------------------------------------------------------------------------------------------------


def test_rounding_is_to_the_nearest_and_clips():
    values = torch.tensor([-0.3, 0.0, 0.5, 1 / 255, 1.4 / 255, 1.6 / 255, 1.0, 1.2])
    assert to_uint8(values).tolist() == [0, 0, 128, 1, 1, 2, 255, 255]  # 127.5 to the even one
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_float(every)), every)


def test_a_restyled_data_set():
    game, real = (InMemory(MiniCity(style, size=(32, 64), count=4)) for style in ("game", "real"))
    matched = Restyled(game, by_reference(real, match_histograms), "game as real", {"by": "histograms"})
    assert len(matched) == 4 and matched.evaluation == game.evaluation and matched.labelled
    for i in range(4):
        assert np.array_equal(matched[i].label, game[i].label) and matched[i].name == game[i].name
        assert matched[i].image.dtype == np.uint8 and matched[i].image.flags.c_contiguous
        distances = [
            np.abs(np.sort(x.image.reshape(-1, 3), 0) - np.sort(real[i].image.reshape(-1, 3), 0) * 1.0).mean()
            for x in (matched[i], game[i])
        ]
        assert distances[0] < distances[1] / 5  # ties of 8-bit values leave something
    still = Restyled(game, lambda picture, _: picture, "game", {})
    assert all(np.array_equal(still[i].image, game[i].image) for i in range(4))
    assert still.fingerprint() != matched.fingerprint() != game.fingerprint()


# --- methods ---------------------------------------------------------------------------------------------------------


def batches():
    game, real = (MiniCity(style, size=(32, 64), count=3) for style in ("game", "real"))
    source, target = to_batch(list(game)), to_batch(list(real)[:2])
    return {
        SOURCE: Batch(normalize(to_float(source.images)), source.labels.long(), source.names),
        TARGET: Batch(normalize(to_float(target.images)), None, target.names),
    }


class Seen(torch.nn.Module):
    """A network that remembers what it was shown."""

    def forward(self, images):
        from labkit.models.output import SegmentationOutput

        self.images = images
        return SegmentationOutput(torch.zeros(len(images), 19, *images.shape[-2:], requires_grad=True), (), {})


@pytest.mark.parametrize(
    ("method", "change"),
    [(Histogram(), match_histograms), (Fourier(band=0.09), lambda a, b: swap_amplitude(a, b, 0.09))],
)
def test_the_network_sees_restyled_source_pictures_alone(method, change):
    given_batches = batches()
    method.model = Seen()
    (objective,) = method.objectives(given_batches)
    assert set(objective.terms) == {"main", "auxiliary"} and method.streams == (SOURCE, TARGET)
    game, real = (to_float(to_batch(list(MiniCity(s, size=(32, 64), count=3))).images) for s in ("game", "real"))
    expected = normalize(change(game, real[[0, 1, 0]]).clamp(0, 1))  # the third has the first partner again
    torch.testing.assert_close(method.model.images, expected, atol=2e-5, rtol=0)
    assert torch.equal(given_batches[SOURCE].images, batches()[SOURCE].images)


def test_methods_by_name():
    assert create_method("fourier", band="0.05").band == 0.05
    assert create_method("histogram").name == "histogram"
    with pytest.raises(LabError, match="outside its range"):
        create_method("fourier", band=0.7)

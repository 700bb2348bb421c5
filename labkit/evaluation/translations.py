"""How close translated pictures come to the target, in colours, texture and features, and whether they kept content.

None of these numbers is one on segmentation: a translation can win all of them and teach a network nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch

from labkit.data.dataset import SegmentationDataset
from labkit.data.restyle import AffineColour, ColourMoments
from labkit.data.selection import evenly
from labkit.data.transforms import GRAY
from labkit.errors import LabError
from labkit.evaluation.scores import Scores

LIMIT = 200
"""At most so many pictures are read, spread evenly."""


# --- colours -------------------------------------------------------------------------------------------------------


def colour_distance(a: ColourMoments, b: ColourMoments) -> float:
    """Distance of two sets' colours, in grey levels of 0–255: how far a normal distribution has to be carried.

    The 2-Wasserstein distance of two normal distributions with these means and covariances. Any affine map that gives
    ``a`` the moments of ``b`` makes it 0.
    """
    roots = [_root(moments.covariance.numpy()) for moments in (a, b)]
    return float(255 * np.sqrt(_frechet(a.mean.numpy(), roots[0], b.mean.numpy(), roots[1])))


class AffineShare(NamedTuple):
    """How much of a change of pictures one affine map of colours is.

    Attributes:
        colour: the map that comes closest in the square mean, of values in [0, 1].
        share: 1 − (what is left) / (the whole change), both as mean squares over pixels and channels: 1 if the change
            is that map, 0 if it has no part in it; NaN if nothing was changed.
    """

    colour: AffineColour
    share: float


def affine_share(originals: SegmentationDataset, changed: SegmentationDataset, limit: int = LIMIT) -> AffineShare:
    """How much of what happened to at most ``limit`` pictures one map of colours, the same for all, explains.

    Raises:
        LabError: the data sets differ in length, or in the size of a picture.
    """
    if len(originals) != len(changed):
        raise LabError(
            f"{originals.name} has {len(originals)} pictures, {changed.name} {len(changed)}; give one for each"
        )
    gram, cross, square, whole, pixels = np.zeros((4, 4)), np.zeros((4, 3)), 0.0, 0.0, 0
    for index in evenly(len(originals), limit):
        before, after = originals[index], changed[index]
        if before.image.shape != after.image.shape:
            raise LabError(
                f"{before.name} is {before.image.shape[:2]}, changed {after.image.shape[:2]}; one size, please"
            )
        x, y = (one.image.reshape(-1, 3).astype(np.float64) / 255 for one in (before, after))
        x1 = np.column_stack([x, np.ones(len(x))])
        gram, cross, pixels = gram + x1.T @ x1, cross + x1.T @ y, pixels + len(x)
        square, whole = square + np.square(y).sum(), whole + np.square(y - x).sum()
    solution = np.linalg.lstsq(gram, cross, rcond=None)[0]  # of the normal equations, also where colours are few
    left = max(square - 2 * (solution * cross).sum() + (solution * (gram @ solution)).sum(), 0.0)
    colour = AffineColour(torch.from_numpy(solution[:3].T.copy()), torch.from_numpy(solution[3].copy()))
    return AffineShare(colour, float(1 - left / whole) if whole else float("nan"))


# --- texture -------------------------------------------------------------------------------------------------------


class Spectrum(NamedTuple):
    """Power of the luma by frequency, averaged over directions and pictures.

    Attributes:
        frequency: middles of the bins in periods per pixel, 0 to 0.5, float64 ``(B,)``.
        power: mean power per pixel in decibels, of a luma in [0, 1], float64 ``(B,)``.
    """

    frequency: np.ndarray
    power: np.ndarray


def spectrum(dataset: SegmentationDataset, bins: int = 16, limit: int = LIMIT) -> Spectrum:
    """Radially averaged power spectrum of at most ``limit`` pictures: how much there is of coarse and of fine detail.

    Each picture's mean is taken off, and its borders are faded out (Hann), so that the jump from one border to the
    opposite one is no detail. Pictures may differ in size. Frequencies above 0.5, of diagonals, are left out.

    Raises:
        LabError: pictures so small that a bin holds no frequency.
    """
    sums, counts = np.zeros(bins), np.zeros(bins)
    for index in evenly(len(dataset), limit):
        luma = dataset[index].image.astype(np.float64) @ np.array(GRAY) / 255
        height, width = luma.shape
        window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
        faded = (luma - (luma * window).sum() / window.sum()) * window
        power = np.square(np.abs(np.fft.fft2(faded))) / np.square(window).sum()
        radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
        inside = (radius > 0) & (radius <= 0.5)
        place = np.minimum((radius[inside] * 2 * bins).astype(int), bins - 1)
        counts += np.bincount(place, minlength=bins)
        sums += np.bincount(place, weights=power[inside], minlength=bins)
    if not counts.all():
        raise LabError(f"{dataset.name}: its pictures are too small for {bins} bins of frequencies; ask for fewer")
    return Spectrum((np.arange(bins) + 0.5) / (2 * bins), 10 * np.log10(np.maximum(sums / counts, 1e-12)))


def spectrum_distance(a: Spectrum, b: Spectrum) -> float:
    """Root of the mean square difference of two spectra over their bins, in decibels."""
    return float(np.sqrt(np.square(a.power - b.power).mean()))


# --- features ------------------------------------------------------------------------------------------------------


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    r"""Fréchet distance of two sets of feature vectors, in float64, as if each were normally distributed.

    .. math:: d^2 = \|\mu_x - \mu_y\|^2 + \mathrm{tr}\left(S_x + S_y - 2 (S_x S_y)^{1/2}\right)

    This is d², as the FID (Heusel et al., NeurIPS 2017) has it, on whatever features are given: the number compares
    only with others from the same network, feature and number of pictures. From few pictures it comes out too high,
    also for two halves of one set: :func:`frechet_floor` measures by how much.

    The trace of the root is the sum of the singular values of :math:`X Y^T`, with centred vectors as rows; no root of a
    matrix is taken, so fewer vectors than dimensions are no difficulty.

    Args:
        x, y: ``(n, K)`` and ``(m, K)``, at least two vectors of each, such as those of
            :func:`labkit.evaluation.features.pooled_features`.

    Raises:
        LabError: other shapes.
    """
    x, y = (np.asarray(one, dtype=np.float64) for one in (x, y))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise LabError(f"features {x.shape} and {y.shape}: give (n, K) and (m, K), at least two vectors of each")
    roots = [(one - one.mean(axis=0)) / np.sqrt(len(one) - 1) for one in (x, y)]
    return _frechet(x.mean(axis=0), roots[0], y.mean(axis=0), roots[1])


class FrechetFloor(NamedTuple):
    """Fréchet distances between two parts of one set, whose true distance is 0.

    Attributes:
        sizes: vectors in each part, ``(S,)``.
        distances: ``(S, draws)``.
    """

    sizes: np.ndarray
    distances: np.ndarray


def frechet_floor(features: np.ndarray, sizes: Iterable[int], draws: int = 20, seed: int = 0) -> FrechetFloor:
    """What :func:`frechet_distance` says about two random parts of one set that share no vector: its bias.

    Args:
        features: ``(n, K)``.
        sizes: vectors in each part, 2 to n / 2.
        draws: pairs of parts for each size.
        seed: of the choice.

    Raises:
        LabError: a size that is out of range.
    """
    sizes, random = np.asarray(list(sizes)), np.random.default_rng(seed)
    if sizes.size and not (sizes.min() >= 2 and 2 * sizes.max() <= len(features)):
        raise LabError(
            f"sizes {sizes.tolist()}: two parts of {len(features)} vectors have 2 to {len(features) // 2} each"
        )
    distances = np.zeros((len(sizes), draws))
    for row, size in enumerate(sizes.tolist()):
        for draw in range(draws):
            chosen = random.permutation(len(features))[: 2 * size]
            distances[row, draw] = frechet_distance(features[chosen[:size]], features[chosen[size:]])
    return FrechetFloor(sizes, distances)


def _frechet(mean_x: np.ndarray, root_x: np.ndarray, mean_y: np.ndarray, root_y: np.ndarray) -> float:
    """d² from means and from any matrices R with RᵀR = S."""
    overlap = np.linalg.svd(root_x @ root_y.T, compute_uv=False).sum()
    spread = np.square(root_x).sum() + np.square(root_y).sum()
    return float(max(np.square(mean_x - mean_y).sum() + spread - 2 * overlap, 0.0))


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return np.sqrt(np.maximum(values, 0))[:, None] * vectors.T


# --- content -------------------------------------------------------------------------------------------------------


def label_agreement(scores: Scores) -> float:
    """Share of labelled pixels that a network predicts as their label, in 0–1; NaN without any.

    Take the scores of a network that *knows the target*, on translated source pictures with the source's own labels:
    where a translation has drawn a tree into the sky, that network sees a tree, and disagrees. It also disagrees where
    it errs, so only differences between translations of the same pictures mean something.
    """
    classes = len(scores.counts)
    total = scores.counts.sum()
    return float(np.trace(scores.counts[:, :classes]) / total) if total else float("nan")

"""Pictures in the style of others, without any learning: histograms, low frequencies, one map of all colours.

The rivals that an image translation has to beat. Pictures are float32 in [0, 1], ``(N, 3, H, W)``, R, G, B, on any
device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.data.dataset import Sample, SegmentationDataset, labelled
from labkit.data.selection import evenly
from labkit.data.transforms import to_batch, to_float
from labkit.errors import LabError

LIMIT = 200
"""At most so many pictures are read for the moments of a data set's colours."""

_SMALLEST = 1e-12  # variance below which a direction in RGB counts as constant


# --- from a picture to a reference -------------------------------------------------------------------------------


def match_histograms(images: Tensor, references: Tensor) -> Tensor:
    r"""Each channel of each picture with the distribution of values that its reference has.

    .. math:: x' = F_{ref}^{-1}(F(x))

    with the empirical distributions of one picture's channel, the inverse linear between the values that occur (the
    exact specification of textbooks; Gonzalez and Woods, ch. 3). Ranks are whole numbers, so equal pictures come back
    bit by bit.

    Args:
        images: ``(N, 3, H, W)``.
        references: ``(N, 3, h, w)``, one for each picture, of any size.

    Raises:
        LabError: another number of references, or of channels.
    """
    _check_partners(images, references)
    values, order = images.flatten(2).contiguous().sort(dim=2)
    reference = references.flatten(2).contiguous().sort(dim=2).values
    n, m = values.shape[2], reference.shape[2]
    ranks = torch.searchsorted(values, values, right=True)  # 1 … n; equal values have the last of theirs
    upper = reference.gather(2, (ranks * m + n - 1).div(n, rounding_mode="floor") - 1)
    begin, end = torch.searchsorted(reference, upper), torch.searchsorted(reference, upper, right=True)
    lower = reference.gather(2, (begin - 1).clamp(min=0))
    short = (end * n - ranks * m) / (n * (end - begin))  # of the share that ``upper`` stands for
    matched = upper - short.to(upper.dtype) * (upper - lower)
    return torch.empty_like(matched).scatter_(2, order, matched).reshape(images.shape)


def swap_amplitude(images: Tensor, references: Tensor, beta: float) -> Tensor:
    r"""Each picture with the amplitudes of its reference's lowest frequencies, and its own phases (FDA).

    .. math:: x' = \mathcal F^{-1}\left(\left[M_\beta |\mathcal F(r)| + (1 - M_\beta) |\mathcal F(x)|\right]
        e^{i \angle \mathcal F(x)}\right)

    M_β is 1 for frequencies of at most ⌊β · min(H, W)⌋ periods in the picture's height and in its width, as in the
    published code of Yang and Soatto (CVPR 2020, Eq. 2 to 4). Also with β = 0 the mean is the reference's.

    Args:
        images: ``(N, 3, H, W)``.
        references: ``(N, 3, h, w)``, one for each picture; resized to ``(H, W)`` (bilinear, antialiased) where needed.
        beta: 0 to 0.5; the paper tries 0.01, 0.05 and 0.09.

    Returns:
        ``(N, 3, H, W)``. Not clipped: some values lie outside of [0, 1].

    Raises:
        LabError: another number of references, or of channels; β out of range.
    """
    _check_partners(images, references)
    if not 0 <= beta <= 0.5:
        raise LabError(f"beta is {beta}; it is a share of the picture's shorter side, from 0 to 0.5")
    height, width = images.shape[-2:]
    if references.shape != images.shape:
        references = F.interpolate(references, (height, width), mode="bilinear", antialias=True)
    own, other = torch.fft.rfft2(images), torch.fft.rfft2(references)
    reach = int(beta * min(height, width))
    rows = torch.arange(height, device=images.device)
    columns = torch.arange(width // 2 + 1, device=images.device)  # negative frequencies are their mirror image
    low = (torch.minimum(rows, height - rows) <= reach)[:, None] & (columns <= reach)
    mixed = torch.where(low, torch.polar(other.abs(), own.angle()), own)
    return torch.fft.irfft2(mixed, s=(height, width))


def _check_partners(images: Tensor, references: Tensor) -> None:
    if images.dim() != 4 or references.dim() != 4 or images.shape[:2] != references.shape[:2]:
        raise LabError(
            f"pictures {tuple(images.shape)} and references {tuple(references.shape)} do not pair up; "
            "give one reference (3, h, w) for each picture (3, H, W)"
        )


# --- one map for all pictures --------------------------------------------------------------------------------------


class ColourMoments(NamedTuple):
    """Mean ``(3,)`` and covariance ``(3, 3)`` of the colours of many pixels, float64, of values in [0, 1]."""

    mean: Tensor
    covariance: Tensor


class AffineColour(NamedTuple):
    """A map of colours, x' = A x + b: float64 ``(3, 3)`` and ``(3,)``."""

    matrix: Tensor
    offset: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """The map at every pixel of ``(N, 3, H, W)``. Not clipped."""
        matrix, offset = (part.to(images) for part in self)
        return torch.einsum("ij,njhw->nihw", matrix, images) + offset[:, None, None]


def colour_moments(dataset: SegmentationDataset, limit: int = LIMIT) -> ColourMoments:
    """Moments over every pixel of at most ``limit`` pictures, spread evenly."""
    total, squares, pixels = torch.zeros(3).double(), torch.zeros(3, 3).double(), 0
    for index in evenly(len(dataset), limit):
        colours = torch.from_numpy(dataset[index].image.reshape(-1, 3).astype("float64")) / 255
        total, squares, pixels = total + colours.sum(0), squares + colours.T @ colours, pixels + len(colours)
    mean = total / pixels
    return ColourMoments(mean, squares / pixels - torch.outer(mean, mean))


def fit_channels(own: ColourMoments, other: ColourMoments) -> AffineColour:
    """The map of each channel by itself after which mean and standard deviation are the other's."""
    scale = (other.covariance.diagonal() / own.covariance.diagonal().clamp(min=_SMALLEST)).sqrt()
    return AffineColour(scale.diag(), other.mean - scale * own.mean)


def fit_covariance(own: ColourMoments, other: ColourMoments) -> AffineColour:
    r"""The map after which mean and covariance are the other's, and that moves colours the least in the square mean.

    .. math:: A = S^{-1/2} (S^{1/2}\, T\, S^{1/2})^{1/2} S^{-1/2}

    for the covariances S and T: the optimal transport between two normal distributions. Of all affine maps it is the
    best in that sense.
    """
    root, inverse = _power(own.covariance, 0.5), _power(own.covariance, -0.5)
    matrix = inverse @ _power(root @ other.covariance @ root, 0.5) @ inverse
    return AffineColour(matrix, other.mean - matrix @ own.mean)


def _power(symmetric: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(symmetric)
    return (vectors * values.clamp(min=_SMALLEST) ** exponent) @ vectors.T


# --- data sets -----------------------------------------------------------------------------------------------------


def to_uint8(images: Tensor) -> Tensor:
    """Pictures as uint8: clipped to [0, 1], times 255, rounded to the nearest number (halves to the even one)."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


class Restyled:
    """A data set whose pictures are changed by a function, then rounded (:func:`to_uint8`). Labels and names stay.

    Args:
        dataset: any.
        change: from a picture, float32 ``(1, 3, H, W)`` in [0, 1] on the CPU, and its number, to one of the same shape
            on any device.
        name: of the changed data set, as a reader should see it beside a number.
        made_by: what decides the change, as plain JSON, for the fingerprint.
    """

    def __init__(self, dataset: SegmentationDataset, change: Callable[[Tensor, int], Tensor], name: str, made_by: dict):
        self.dataset, self.change, self.name, self.made_by = dataset, change, name, made_by
        self.split, self.evaluation, self.labelled = dataset.split, dataset.evaluation, labelled(dataset)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        sample = self.dataset[index]
        changed = to_uint8(self.change(_picture(sample), index))[0]
        return sample._replace(image=changed.permute(1, 2, 0).cpu().contiguous().numpy())

    def fingerprint(self) -> dict:
        """The data set's own, and what made the change."""
        return self.dataset.fingerprint() | {"restyled": {"name": self.name, **self.made_by}}


def by_reference(
    references: SegmentationDataset, change: Callable[[Tensor, Tensor], Tensor]
) -> Callable[[Tensor, int], Tensor]:
    """For :class:`Restyled`: picture i and reference i (counted round and round) go into ``change``."""
    return lambda picture, index: change(picture, _picture(references[index % len(references)]))


def _picture(sample: Sample) -> Tensor:
    return to_float(to_batch([sample]).images)

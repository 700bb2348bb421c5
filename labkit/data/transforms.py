"""Whole batches on the device: augmentation with independent draws per image, normalisation, and collation.

Images travel as uint8 and become float32 in [0, 1] here; labels go through every geometric step together with
their image. Random numbers are drawn on the CPU from a generator that the caller owns, one row of a fixed
length per image, and only then sent to the device. Hence: nothing waits for the device, torch's global random
state is neither read nor moved, what happens to an image depends on its place in the batch but not on how
many follow, and switching one augmentation on does not change the draws of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.data.dataset import Sample
from labkit.errors import LabError
from labkit.labels import IGNORE

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's RGB channels in [0, 1], which the pretrained networks expect."""

GRAY = (0.2989, 0.587, 0.114)
"""Weights of R, G and B in the luma (ITU-R BT.601, rounded as torchvision does)."""


class PixelBatch(NamedTuple):
    """Stacked samples on their way to the device.

    ``images`` is uint8 ``(N, 3, H, W)``, ``labels`` uint8 ``(N, H, W)`` trainIds, ``names`` the N names.
    """

    images: Tensor
    labels: Tensor
    names: tuple[str, ...]


def to_batch(samples: Sequence[Sample]) -> PixelBatch:
    """Stack samples of one size (a data loader's ``collate_fn``); raises LabError naming one that differs."""
    first = samples[0]
    for sample in samples:
        if sample.image.shape != first.image.shape or sample.label.shape != first.image.shape[:2]:
            raise LabError(
                f"{sample.name} does not fit into a batch with {first.name}: image {sample.image.shape[:2]}, "
                f"label {sample.label.shape}, expected {first.image.shape[:2]}. Cache the data set at one "
                "size, or use batches of one."
            )
    images = np.stack([sample.image for sample in samples]).transpose(0, 3, 1, 2)
    labels = np.stack([sample.label for sample in samples])
    return PixelBatch(
        torch.from_numpy(np.ascontiguousarray(images)),
        torch.from_numpy(labels),
        tuple(sample.name for sample in samples),
    )


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy to ``device`` without waiting for it, where that is safe.

    On CUDA the copy is queued behind the work before it. On Apple's GPUs such a copy may read memory that is already
    reused, so it is waited for.
    """
    return tensor.to(device, non_blocking=device.type == "cuda")


def layout(device: torch.device) -> torch.memory_format:
    """The memory format of images and networks on a device: channels last, but for Apple's GPUs.

    There, batch norm's backward pass refuses it in many releases of PyTorch.
    """
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def normalize(images: Tensor) -> Tensor:
    """ImageNet normalisation of float ``(…, 3, H, W)`` in [0, 1]: (x − mean) / std per channel."""
    return (images - _per_channel(IMAGENET_MEAN, images)) / _per_channel(IMAGENET_STD, images)


def denormalize(images: Tensor) -> Tensor:
    """Inverse of :func:`normalize`."""
    return images * _per_channel(IMAGENET_STD, images) + _per_channel(IMAGENET_MEAN, images)


def to_float(images: Tensor) -> Tensor:
    """Images as float32 in [0, 1]: uint8 is divided by 255, float is taken as it is."""
    return images.to(torch.float32).div_(255) if images.dtype == torch.uint8 else images.to(torch.float32)


_DRAWS = (
    "flip",
    "scale",
    "top",
    "left",
    "jitter",
    "brightness",
    "contrast",
    "saturation",
    "hue",
    "blur",
    "sigma",
)


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a batch, drawn for every image on its own.

    The order is: scale and crop, flip, colour jitter (brightness, contrast, saturation, hue), blur.
    baitan2025, §4.4, uses flip, jitter and blur with probability 0.5 each and leaves their ranges open; the
    ranges below are ours.

    Attributes:
        flip: probability of a left-right flip.
        jitter: probability of a change of colour.
        brightness, contrast, saturation: a changed image's factor is uniform in [max(0, 1 − x), 1 + x].
        hue: its shift is uniform in [−x, x], in turns of the colour circle, at most 0.5.
        blur: probability of a Gaussian blur.
        blur_sigma: σ is uniform in this range, in pixels of the image after scale and crop. Pixels, and not a
            fraction of the height, because blur is there to hide texture at the scale of the network's first
            filters, and these have a fixed size in pixels.
        blur_kernel: width of the blur's window in pixels, odd; the default reaches 3σ to each side at σ = 2.
        scale: zoom factor, uniform in this range; ``None`` for none.
        crop: size ``(h, w)`` in pixels of the piece that is kept, at a uniformly drawn place; ``None`` keeps
            the image's size. Where the zoomed image is smaller than that, it lies at a uniformly drawn place,
            the image's edge is continued over the rest, and the label there is 255.

    Everything at its default is the identity, but for the conversion to float32 and int64.

    Raises:
        LabError: a value outside its range.
    """

    flip: float = 0.0
    jitter: float = 0.0
    brightness: float = 0.5
    contrast: float = 0.5
    saturation: float = 0.5
    hue: float = 0.1
    blur: float = 0.0
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    blur_kernel: int = 13
    scale: tuple[float, float] | None = None
    crop: tuple[int, int] | None = None

    def __post_init__(self):
        for name in ("flip", "jitter", "blur"):
            _require(0 <= getattr(self, name) <= 1, name, getattr(self, name), "a probability from 0 to 1")
        for name in ("brightness", "contrast", "saturation"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        _require(0 <= self.hue <= 0.5, "hue", self.hue, "a part of the colour circle from 0 to 0.5")
        low, high = self.blur_sigma
        _require(0 < low <= high, "blur_sigma", self.blur_sigma, "(low, high) in pixels with 0 < low ≤ high")
        _require(self.blur_kernel > 0 and self.blur_kernel % 2 == 1, "blur_kernel", self.blur_kernel, "odd")
        if self.scale is not None:
            low, high = self.scale
            _require(0 < low <= high, "scale", self.scale, "(low, high) with 0 < low ≤ high")
        if self.crop is not None:
            _require(min(self.crop) > 0, "crop", self.crop, "(height, width) in pixels")

    def __call__(
        self, images: Tensor, labels: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """Augment a batch.

        Args:
            images: uint8 ``(N, 3, H, W)``, or float in [0, 1]; on any device; not changed.
            labels: uint8 or int64 ``(N, H, W)`` on the same device, or ``None``.
            generator: a CPU generator; every call takes the same number of draws per image from it.

        Returns:
            Images, float32 in [0, 1], and labels, int64 (``None`` if none were given).
        """
        draws = dict(zip(_DRAWS, torch.rand(len(images), len(_DRAWS), generator=generator).T, strict=True))
        images = to_float(images)
        if self.scale is not None or self.crop is not None:
            images, labels = self._scale_and_crop(images, labels, draws)
        if self.flip:
            images, labels = flip(images, labels, draws["flip"] < self.flip)
        if self.jitter:
            images = _where(draws["jitter"] < self.jitter, images, self._jitter, draws)
        if self.blur:
            images = _where(draws["blur"] < self.blur, images, self._blur, draws)
        return images, None if labels is None else labels.long()

    def _scale_and_crop(self, images: Tensor, labels: Tensor | None, draws: dict) -> tuple[Tensor, Tensor | None]:
        low, high = self.scale or (1.0, 1.0)
        scale = low + (high - low) * draws["scale"]
        size = self.crop or tuple(images.shape[-2:])
        corner = []
        for length, kept, draw in zip(images.shape[-2:], size, (draws["top"], draws["left"]), strict=True):
            spare = (scale * length).round() - kept  # negative where the zoomed image is the smaller one
            corner.append((draw * (spare.abs() + 1)).floor() * spare.sign())
        return scale_and_crop(images, labels, scale, *corner, size)

    def _jitter(self, images: Tensor, draws: dict) -> Tensor:
        def factor(name: str) -> Tensor:
            low, high = max(0.0, 1 - getattr(self, name)), 1 + getattr(self, name)
            return low + (high - low) * draws[name]

        images = adjust_brightness(images, factor("brightness"))
        images = adjust_contrast(images, factor("contrast"))
        images = adjust_saturation(images, factor("saturation"))
        return adjust_hue(images, (2 * draws["hue"] - 1) * self.hue)

    def _blur(self, images: Tensor, draws: dict) -> Tensor:
        low, high = self.blur_sigma
        return gaussian_blur(images, low + (high - low) * draws["sigma"], self.blur_kernel)


# The steps themselves. ``images`` is float (N, 3, H, W) in [0, 1]; parameters are float (N,), one per image.


def flip(images: Tensor, labels: Tensor | None, which: Tensor) -> tuple[Tensor, Tensor | None]:
    """Mirror left and right the images, and their labels, that the bool ``(N,)`` on the CPU names."""
    images = _where(which, images, lambda x, _: x.flip(-1))
    return images, None if labels is None else _where(which, labels, lambda x, _: x.flip(-1))


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Multiply by ``factor``, clamp to [0, 1]: 0 is black, 1 changes nothing."""
    return (images * _per_image(factor, images)).clamp_(0, 1)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the image's mean luma: 0 is plain grey, 1 changes nothing."""
    return _blend(images, _luma(images).mean(dim=(-2, -1), keepdim=True), factor)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the luma of each pixel: 0 is a grey picture, 1 changes nothing."""
    return _blend(images, _luma(images), factor)


def adjust_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Turn colours by ``shift`` (in turns, −0.5 … 0.5) around HSV's circle; saturation and value stay."""
    red, green, blue = images.unbind(1)
    value = images.amax(1)
    chroma = value - images.amin(1)
    safe = torch.where(chroma == 0, 1, chroma)
    # The hue in sixths of the circle, by the channel that is largest; grey has none, any value does.
    hue = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    hue = hue + _per_image(6 * shift, hue)
    # In HSV each channel is the value minus a share of the chroma, a trapezoid over the hue, a third apart.
    channels = []
    for offset in (5, 3, 1):
        place = (hue + offset).remainder_(6)
        share = torch.minimum(place, 4 - place).clamp_(0, 1)
        channels.append(value - chroma * share)
    return torch.stack(channels, dim=1)


def gaussian_blur(images: Tensor, sigma: Tensor, kernel: int) -> Tensor:
    """Blur each image with its own σ > 0 (pixels) in a window of ``kernel`` (odd) pixels, mirrored borders.

    Raises:
        LabError: an image that is not larger than half the window.
    """
    radius = kernel // 2
    if min(images.shape[-2:]) <= radius:
        raise LabError(
            f"images of {tuple(images.shape[-2:])} pixels are too small for a blur {kernel} pixels wide: "
            "lower blur_kernel or set blur to 0"
        )
    weights = torch.exp(-0.5 * (torch.arange(radius + 1) / sigma.cpu()[:, None]) ** 2)
    weights = weights / (weights[:, :1] + 2 * weights[:, 1:].sum(dim=1, keepdim=True))
    weights = to_device(weights, images.device).to(images.dtype)[..., None, None, None]
    # Sums of shifted images: a convolution may be rounded to TF32, or to bfloat16 under autocast.
    for dim, margins in ((-1, (radius, radius, 0, 0)), (-2, (0, 0, radius, radius))):
        padded, length = F.pad(images, margins, mode="reflect"), images.shape[dim]
        images = images * weights[:, 0]
        for shift in range(1, radius + 1):
            pair = padded.narrow(dim, radius - shift, length) + padded.narrow(dim, radius + shift, length)
            images.addcmul_(pair, weights[:, shift])
    return images


def scale_and_crop(
    images: Tensor, labels: Tensor | None, scale: Tensor, top: Tensor, left: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor | None]:
    """Zoom each image by its factor and keep a window of the zoomed image.

    Args:
        images: float ``(N, K, H, W)``; read bilinearly (not smoothed when shrunk), the edge continued
            outside.
        labels: ``(N, H, W)`` of any integer type, or ``None``; the nearest pixel is read, 255 outside.
        scale: zoom factor, > 0.
        top, left: the window's corner in pixels of the zoomed image; may be negative.
        size: ``(h, w)`` of the window.

    Returns:
        Images ``(N, K, h, w)`` and labels ``(N, h, w)``.
    """
    (height, width), (h, w) = images.shape[-2:], size
    # Centres of the window's pixels, as places between the original's pixel centres 0 … length − 1.
    rows = (torch.arange(h) + 0.5 + top.cpu()[:, None]) / scale.cpu()[:, None] - 0.5
    columns = (torch.arange(w) + 0.5 + left.cpu()[:, None]) / scale.cpu()[:, None] - 0.5
    rows, columns = to_device(rows, images.device), to_device(columns, images.device)

    # grid_sample counts from −1 to 1 over the outer edges. Clamped to the outermost centres it continues the
    # edge.
    y = (2 * rows.clamp(0, height - 1) + 1) / height - 1
    x = (2 * columns.clamp(0, width - 1) + 1) / width - 1
    grid = torch.stack([x[:, None, :].expand(-1, h, -1), y[:, :, None].expand(-1, -1, w)], dim=-1)
    cropped = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    if labels is None:
        return cropped, None

    row, column = (rows + 0.5).floor().long(), (columns + 0.5).floor().long()
    inside = ((row >= 0) & (row < height))[:, :, None] & ((column >= 0) & (column < width))[:, None, :]
    image = torch.arange(len(labels), device=labels.device)[:, None, None]
    read = labels[image, row.clamp(0, height - 1)[:, :, None], column.clamp(0, width - 1)[:, None, :]]
    return cropped, torch.where(inside, read, IGNORE)


def _luma(images: Tensor) -> Tensor:
    red, green, blue = images.unbind(1)
    return (red * GRAY[0] + green * GRAY[1] + blue * GRAY[2]).unsqueeze(1)


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return torch.lerp(other, images, _per_image(factor, images)).clamp_(0, 1)


def _where(which: Tensor, batch: Tensor, change, draws: dict | None = None) -> Tensor:
    """``batch`` with ``change(images, draws)`` applied to those that ``which`` (bool, on the CPU) names."""
    index = which.nonzero().squeeze(1)
    if len(index) == 0:
        return batch
    there = to_device(index, batch.device)
    changed = change(batch.index_select(0, there), {name: draw[index] for name, draw in (draws or {}).items()})
    return batch.index_copy(0, there, changed)


def _per_image(values: Tensor, like: Tensor) -> Tensor:
    return to_device(values, like.device).to(like.dtype).reshape(-1, *[1] * (like.dim() - 1))


def _per_channel(values: Sequence[float], like: Tensor) -> Tensor:
    return to_device(torch.tensor(values), like.device).to(like.dtype).reshape(-1, 1, 1)


def _require(fine: bool, name: str, value: object, expected: str) -> None:
    if not fine:
        raise LabError(f"augmentation: {name} is {value!r}; expected {expected}")

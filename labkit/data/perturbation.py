"""Perturbations of pictures, and the same geometry for what a network says of them (yan2022 §III, §IV-C).

The paper perturbs a target picture by g, "random flipping, scaling, rotation, Gaussian noise, etc.", and compares the
prediction for the perturbed picture with the perturbed prediction. Colours and noise change the picture alone; flip,
scale and rotation have to move both. Pixels that come from outside of the picture are named, to be left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.data.transforms import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    denormalize,
    flip,
    normalize,
    to_device,
)
from labkit.errors import LabError

_DRAWS = ("flip", "scale", "rotation", "brightness", "contrast", "saturation", "hue", "noise")


@dataclass(frozen=True)
class Perturbation:
    """The perturbation g: how strongly pictures are changed, each on its own.

    The order is: colours, flip, scale and rotation about the picture's centre, noise. The paper names flipping,
    scaling, rotation and noise, "etc.", and no strength: the colours, and all values, are ours. Stronger ones give more
    to be consistent about, but move more out of the picture.

    Attributes:
        flip: probability of a left-right flip.
        scale: zoom factor, uniform in this range; above 1 enlarges. The size stays.
        rotation: the angle is uniform in [−x, x], in degrees, counter-clockwise where positive.
        noise: σ of Gaussian noise, independent in every pixel and channel, of values in [0, 1].
        brightness, contrast, saturation: the factor is uniform in [max(0, 1 − x), 1 + x].
        hue: the shift is uniform in [−x, x], in turns of the colour circle, at most 0.5.

    Raises:
        LabError: a value outside its range.
    """

    flip: float = 0.5
    scale: tuple[float, float] = (0.8, 1.25)
    rotation: float = 10.0
    noise: float = 0.05
    brightness: float = 0.25
    contrast: float = 0.25
    saturation: float = 0.25
    hue: float = 0.05

    def __post_init__(self):
        low, high = self.scale
        _require(0 <= self.flip <= 1, "flip", self.flip, "a probability from 0 to 1")
        _require(0 < low <= high, "scale", self.scale, "(low, high) with 0 < low ≤ high")
        _require(0 <= self.rotation <= 180, "rotation", self.rotation, "degrees from 0 to 180")
        for name in ("noise", "brightness", "contrast", "saturation"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        _require(0 <= self.hue <= 0.5, "hue", self.hue, "a part of the colour circle from 0 to 0.5")

    def draw(
        self,
        count: int,
        size: tuple[int, int],
        generator: torch.Generator | None = None,
        device: torch.device | str = "cpu",
    ) -> Drawn:
        """Draw for ``count`` pictures.

        Args:
            count: pictures in the batch.
            size: their (H, W) in pixels.
            generator: a CPU generator; torch's global one where ``None``. Every call takes the same number of draws
                for each picture, whatever is switched on.
            device: where :attr:`Drawn.inside` is to lie. The draws themselves stay on the CPU.
        """
        draws = dict(zip(_DRAWS, torch.rand(count, len(_DRAWS), generator=generator).T, strict=True))

        def between(name: str, low: float, high: float) -> Tensor:
            return low + (high - low) * draws[name]

        def factor(name: str) -> Tensor:
            return between(name, max(0.0, 1 - getattr(self, name)), 1 + getattr(self, name))

        return Drawn(
            size=(int(size[0]), int(size[1])),
            flipped=draws["flip"] < self.flip,
            scale=between("scale", *self.scale),
            angle=between("rotation", -self.rotation, self.rotation),
            brightness=factor("brightness"),
            contrast=factor("contrast"),
            saturation=factor("saturation"),
            hue=between("hue", -self.hue, self.hue),
            noise=self.noise,
            seeds=(draws["noise"] * 2**24).long(),  # a float32 draw has 24 bits
            device=torch.device(device),
        )


@dataclass(frozen=True, eq=False)
class Drawn:
    """One draw of a :class:`Perturbation` for a batch of N pictures. It changes as often as asked in the same way.

    Attributes:
        size: (H, W) of the pictures.
        flipped: bool ``(N,)``, on the CPU as all that follow.
        scale: float ``(N,)``, zoom factors.
        angle: float ``(N,)``, degrees, counter-clockwise.
        brightness, contrast, saturation: float ``(N,)``, factors.
        hue: float ``(N,)``, shifts in turns of the colour circle.
        noise: σ, of values in [0, 1].
        seeds: int64 ``(N,)``, of each picture's noise, which is drawn on the picture's device.
        device: where :attr:`inside` lies.
    """

    size: tuple[int, int]
    flipped: Tensor
    scale: Tensor
    angle: Tensor
    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    hue: Tensor
    noise: float
    seeds: Tensor
    device: torch.device

    def images(self, images: Tensor) -> Tensor:
        """The perturbed pictures.

        Args:
            images: float ``(N, 3, H, W)``, ImageNet-normalised; not changed.

        Returns:
            The same shape and normalisation, float32 or wider. Colours and noise act on values in [0, 1] and stay
            there. Outside of the picture its edge is continued.

        Raises:
            LabError: another number of pictures, or another size, than was drawn for.
        """
        recoloured = any((f != 1).any() for f in (self.brightness, self.contrast, self.saturation))
        recoloured |= bool((self.hue != 0).any())
        if not (recoloured or self.noise):
            return self.maps(images)
        self._check(images)
        pictures = denormalize(_float(images))
        if recoloured:
            pictures = adjust_brightness(pictures, self.brightness)
            pictures = adjust_contrast(pictures, self.contrast)
            pictures = adjust_saturation(pictures, self.saturation)
            pictures = adjust_hue(pictures, self.hue)
        pictures = self.maps(pictures)
        if self.noise:
            # After the geometry, which would blur it.
            pictures = (pictures + self.noise * self._normal(pictures)).clamp_(0, 1)
        return normalize(pictures)

    def maps(self, maps: Tensor) -> Tensor:
        """The geometry alone, for what belongs to the pictures' pixels. Gradients flow through.

        A flip is exact; scale and rotation read bilinearly (not smoothed when shrunk), and so do not commute with a
        softmax: moved logits are logits, moved probabilities are a mixture of neighbouring distributions.

        Args:
            maps: float ``(N, K, H, W)``, such as logits or probabilities.

        Returns:
            The same shape, float32 or wider. Outside of the picture its edge is continued.

        Raises:
            LabError: another number of maps, or another size, than was drawn for.
        """
        self._check(maps)
        maps, _ = flip(_float(maps), None, self.flipped)
        if not self._resampled:
            return maps
        height, width = self.size
        rows, columns = self._places(maps.device)
        # Clamped to the outermost centres, which are exactly −1 and 1 here, it continues the edge: nothing is rounded
        # to a place outside, so the weights of what is read always add up to 1.
        y = 2 * rows.clamp_(0, height - 1) / max(height - 1, 1) - 1
        x = 2 * columns.clamp_(0, width - 1) / max(width - 1, 1) - 1
        grid = torch.stack([x, y], dim=-1).to(maps.dtype)
        return F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=True)

    @property
    def inside(self) -> Tensor:
        """Bool ``(N, H, W)``: whether what lies at a pixel now was in the picture before."""
        height, width = self.size
        if not self._resampled:
            return torch.ones(len(self.scale), height, width, dtype=torch.bool, device=self.device)
        rows, columns = self._places(self.device)
        return (rows >= -0.5) & (rows < height - 0.5) & (columns >= -0.5) & (columns < width - 0.5)

    @property
    def _resampled(self) -> bool:
        return bool(((self.scale != 1) | (self.angle != 0)).any())

    def _places(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Row and column, float ``(N, H, W)``, at which each pixel reads the picture that is already flipped."""
        height, width = self.size
        radians = torch.deg2rad(self.angle)
        cosine = to_device(torch.cos(radians) / self.scale, device)[:, None, None]
        sine = to_device(torch.sin(radians) / self.scale, device)[:, None, None]
        middle_row, middle_column = (height - 1) / 2, (width - 1) / 2
        y = (torch.arange(height, device=device) - middle_row)[:, None]
        x = torch.arange(width, device=device) - middle_column
        return sine * x + cosine * y + middle_row, cosine * x - sine * y + middle_column

    def _normal(self, like: Tensor) -> Tensor:
        """Standard normal numbers, of each picture from its own seed, on its device."""
        normal = torch.empty(like.shape, dtype=like.dtype, device=like.device)
        for picture, seed in zip(normal, self.seeds.tolist(), strict=True):
            picture.normal_(generator=torch.Generator(like.device).manual_seed(seed))
        return normal

    def _check(self, maps: Tensor) -> None:
        if maps.dim() != 4 or len(maps) != len(self.scale) or tuple(maps.shape[-2:]) != self.size:
            raise LabError(
                f"perturbation: it was drawn for {len(self.scale)} pictures of {self.size}, not for a tensor "
                f"{tuple(maps.shape)}; draw anew with its count and size"
            )


def _float(maps: Tensor) -> Tensor:
    return maps.to(torch.promote_types(maps.dtype, torch.float32))


def _require(fine: bool, name: str, value: object, expected: str) -> None:
    if not fine:
        raise LabError(f"perturbation: {name} is {value!r}; expected {expected}")

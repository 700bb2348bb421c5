"""MiniCity as a data set: picture ``i`` is a pure function of version, style, split, size, seed and ``i``."""

from __future__ import annotations

from labkit.data.dataset import Sample
from labkit.data.minicity.noise import Dice
from labkit.data.minicity.render import render
from labkit.data.minicity.scene import sample_scene
from labkit.data.minicity.styles import STYLE_BY_NAME
from labkit.errors import LabError, UnknownNameError

VERSION = 1
"""Counts up whenever a pixel of any picture changes; numbers measured on another version do not compare."""
STYLES: tuple[str, ...] = tuple(STYLE_BY_NAME)
SPLITS: tuple[str, ...] = ("train", "val", "test")
SMALLEST, LARGEST = 16, 4096


class MiniCity:
    """Generated street scenes with ground truth, a :class:`labkit.data.dataset.SegmentationDataset`.

    Args:
        style: ``"game"`` (after GTA5), ``"toon"`` (after SYNTHIA, 16 classes), ``"real"`` (after Cityscapes).
        split: ``"train"``, ``"val"`` or ``"test"``: different scenes.
        size: height and width in pixels, each 16–4096. The same scenes at any size.
        count: how many pictures; the first ones do not depend on it.
        seed: another seed is another city.

    Raises:
        UnknownNameError: no such style or split.
        LabError: a size or a count that cannot be.
    """

    def __init__(
        self,
        style: str,
        split: str = "train",
        size: tuple[int, int] = (128, 256),
        count: int = 200,
        seed: int = 0,
    ):
        if style not in STYLE_BY_NAME:
            raise UnknownNameError("MiniCity style", style, STYLES)
        if split not in SPLITS:
            raise UnknownNameError("split", split, SPLITS)
        self.size = _checked_size(size)
        if count < 0:
            raise LabError(f"MiniCity cannot hold {count} pictures; give a count of 0 or more")
        self.style, self.split = style, split
        self.count, self.seed = int(count), int(seed)
        self.name = f"MiniCity {style}"
        self.evaluation = STYLE_BY_NAME[style].evaluation

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if not -self.count <= index < self.count:
            raise IndexError(f"{self.name} {self.split} has {self.count} pictures; there is no number {index}")
        index = int(index) % self.count
        dice = Dice("MiniCity", VERSION, self.style, self.split, self.seed, index)
        image, label = render(sample_scene(STYLE_BY_NAME[self.style], dice), *self.size)
        return Sample(image, label, f"{self.style}_{self.split}_{index:06d}")

    def fingerprint(self) -> dict:
        """What decides the pixels, as plain JSON."""
        return {
            "dataset": "MiniCity",
            "version": VERSION,
            "style": self.style,
            "split": self.split,
            "size": list(self.size),
            "count": self.count,
            "seed": self.seed,
        }


def _checked_size(size) -> tuple[int, int]:
    try:
        height, width = (int(side) for side in size)
    except (TypeError, ValueError):
        raise LabError(f"a MiniCity size is a height and a width in pixels, such as (128, 256); not {size!r}") from None
    if not (SMALLEST <= height <= LARGEST and SMALLEST <= width <= LARGEST):
        raise LabError(f"a MiniCity picture has {SMALLEST} to {LARGEST} pixels a side; not {height}×{width}")
    return height, width

"""Fixtures that several test files share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from labkit.data.dataset import Sample
from labkit.labels import IGNORE

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "data"

# Bit-exact comparisons need the same partition of every sum.
torch.set_num_threads(1)


@pytest.fixture
def camvid() -> Path:
    """The data folder that holds CamVid, where it is at hand."""
    if not (SHARED / "camvid" / "train").is_dir():
        pytest.skip("no CamVid photographs in ../shared/data")
    return SHARED


class ColoredSquares:
    """Tiny pictures whose colour tells the class: something that a network learns in a few steps."""

    name = "Squares"
    evaluation = "miou"

    def __init__(self, count: int = 12, split: str = "train", size: tuple[int, int] = (32, 64), seed: int = 0):
        self.count, self.split, self.size, self.seed = count, split, size, seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if index >= self.count:
            raise IndexError(index)
        random = np.random.default_rng([self.seed, index])
        classes = random.integers(0, 4, (self.size[0] // 16, self.size[1] // 16))
        label = classes.repeat(16, 0).repeat(16, 1).astype(np.uint8)
        image = np.stack([label * 60, 255 - label * 60, label * 0 + 90], axis=-1).astype(np.uint8)
        label[:2] = IGNORE
        return Sample(image, label, f"square_{index}")

    def fingerprint(self) -> dict:
        return {
            "dataset": "squares",
            "split": self.split,
            "count": self.count,
            "size": list(self.size),
            "seed": self.seed,
        }


@pytest.fixture
def squares():
    """The class :class:`ColoredSquares`."""
    return ColoredSquares

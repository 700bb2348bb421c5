"""GTA5, "Playing for Data": 24,966 frames of a computer game, 1914×1052 (Richter et al., ECCV 2016)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from labkit.data.pairs import Pair, PairedDataset, match_pairs
from labkit.labels import CITYSCAPES_IDS, IGNORE


def hold_out(pairs: list[Pair], split: str) -> list[Pair]:
    """Split a set that has no split of its own: in the order of names every tenth pair is ``val``, the rest
    ``train``; ``all`` is both."""
    if split == "all":
        return pairs
    return [pair for i, pair in enumerate(pairs) if (i % 10 == 9) == (split == "val")]


class GTA5(PairedDataset):
    """GTA5 in its publishers' layout; ``val`` is every tenth frame by name, ``all`` is the whole set.

    The label maps are palette PNGs whose indices are Cityscapes ids, and 34 for the licence plate.
    """

    key = "gta5"
    name = "GTA5"
    splits = ("train", "val", "all")
    ids: ClassVar[dict[int, int]] = {**{i: t for i, t in CITYSCAPES_IDS.items() if i >= 0}, 34: IGNORE}
    layout = "images/00001.png … with labels/00001.png …"
    source = "download its ten image and ten label archives from download.visinf.tu-darmstadt.de/data/from_games"

    @classmethod
    def folders(cls, root: Path, split: str) -> tuple[Path, Path]:
        """``images`` and ``labels``, whatever the split."""
        return root / "images", root / "labels"

    @classmethod
    def list_pairs(cls, root: Path, split: str) -> list[Pair]:
        """Pairs of equal file names."""
        images, labels = cls.folders(root, split)
        return hold_out(match_pairs(images, ".png", labels, ".png"), split)

    @classmethod
    def detect(cls, root: Path) -> bool:
        """Both folders: either name alone is too common."""
        return (root / "images").is_dir() and (root / "labels").is_dir()

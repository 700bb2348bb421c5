"""Cityscapes: 5,000 finely labelled photographs from 50 cities, 2048×1024 (Cordts et al., CVPR 2016)."""

from __future__ import annotations

from pathlib import Path

from labkit.data.pairs import Pair, PairedDataset, match_pairs
from labkit.labels import CITYSCAPES_IDS

IMAGE_SUFFIX, LABEL_SUFFIX = "_leftImg8bit.png", "_gtFine_labelIds.png"


class Cityscapes(PairedDataset):
    """The fine set: 2975 train, 500 val, 1525 test pairs (the published test labels are void throughout)."""

    key = "cityscapes"
    name = "Cityscapes"
    splits = ("train", "val", "test")
    ids = CITYSCAPES_IDS
    layout = f"leftImg8bit/train/CITY/*{IMAGE_SUFFIX} with gtFine/train/CITY/*{LABEL_SUFFIX}, and likewise val"
    source = (
        "register at www.cityscapes-dataset.com and unpack leftImg8bit_trainvaltest.zip and "
        "gtFine_trainvaltest.zip into one folder"
    )

    @classmethod
    def folders(cls, root: Path, split: str) -> tuple[Path, Path]:
        """``leftImg8bit/SPLIT`` and ``gtFine/SPLIT``, with a subfolder for each city."""
        return root / "leftImg8bit" / split, root / "gtFine" / split

    @classmethod
    def list_pairs(cls, root: Path, split: str) -> list[Pair]:
        """Pairs of equal city, sequence and frame."""
        images, labels = cls.folders(root, split)
        return match_pairs(images, IMAGE_SUFFIX, labels, LABEL_SUFFIX, depth=2)

    @classmethod
    def detect(cls, root: Path) -> bool:
        """Either of the two top folders."""
        return (root / "leftImg8bit").is_dir() or (root / "gtFine").is_dir()

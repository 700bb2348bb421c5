"""SYNTHIA-RAND-CITYSCAPES: 9,400 rendered street scenes, 1280×760 (Ros et al., CVPR 2016)."""

from __future__ import annotations

from pathlib import Path

from labkit.data.pairs import Pair, PairedDataset, match_pairs
from labkit.data.splits import hold_out
from labkit.labels import SYNTHIA_IDS


class Synthia(PairedDataset):
    """SYNTHIA-RAND-CITYSCAPES; ``val`` is every tenth picture by name, ``all`` is the whole set.

    Scored over 16 classes: terrain, truck and train do not occur. The label maps are 16-bit RGB PNGs with the
    class in the first channel.
    """

    key = "synthia"
    name = "SYNTHIA"
    evaluation = "miou16"
    splits = ("train", "val", "all")
    ids = SYNTHIA_IDS
    storage = "16-bit first channel"
    layout = "RGB/0000000.png … with GT/LABELS/0000000.png …"
    source = "download SYNTHIA-RAND-CITYSCAPES (CVPR16) from synthia-dataset.net"

    @classmethod
    def folders(cls, root: Path, split: str) -> tuple[Path, Path]:
        """``RGB`` and ``GT/LABELS``, whatever the split."""
        return root / "RGB", root / "GT" / "LABELS"

    @classmethod
    def list_pairs(cls, root: Path, split: str) -> list[Pair]:
        """Pairs of equal file names."""
        images, labels = cls.folders(root, split)
        return hold_out(match_pairs(images, ".png", labels, ".png"), split)

    @classmethod
    def strays(cls, root: Path) -> list[Path]:
        """The coloured copies in ``GT/COLOR`` are none."""
        return [file for file in super().strays(root) if root / "GT" / "COLOR" not in file.parents]

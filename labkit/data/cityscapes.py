"""Cityscapes: 5,000 finely labelled photographs from 50 cities, 2048×1024 (Cordts et al., CVPR 2016)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from labkit.data.pairs import Pair, PairedDataset, match_pairs
from labkit.data.splits import loda_split
from labkit.labels import CITYSCAPES_IDS

IMAGE_SUFFIX, LABEL_SUFFIX = "_leftImg8bit.png", "_gtFine_labelIds.png"

BROKEN = frozenset({"troisdorf_000000_000073"})
"""Of the extra pictures: black, and stored as grey. 19,997 of 19,998 are left."""

_LAST_ID_THAT_IS_A_TRAIN_ID = 18


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
        """Either of the two top folders, unless the extra pictures are all there is."""
        images = root / "leftImg8bit"
        extra_alone = images.is_dir() and [path.name for path in images.iterdir() if path.is_dir()] == ["train_extra"]
        return (root / "gtFine").is_dir() or (images.is_dir() and not extra_alone)

    @classmethod
    def strays(cls, root: Path) -> list[Path]:
        """Neither the other files beside each label map (colours, instances) nor the published videos are."""
        others = {root / "leftImg8bit" / part for part in ("train_extra", "demoVideo")}
        return [
            file
            for file in super().strays(root)
            if file.name.endswith((IMAGE_SUFFIX, LABEL_SUFFIX)) and others.isdisjoint(file.parents)
        ]

    @classmethod
    def suspicion(cls, ids: np.ndarray, split: str) -> str | None:
        """Report trainIds: no number from 19 to 33, and something other than void.

        As ids that would be a street without vegetation, sky, traffic sign, person and vehicle. In ``train`` and
        ``val`` a map that is void throughout is reported too: as trainIds, 0 to 6 are road to traffic light.
        """
        stored = set(np.unique(ids).tolist())
        high = any(_LAST_ID_THAT_IS_A_TRAIN_ID < value < 255 for value in stored)
        void = all(cls.ids.get(value, 0) == 255 for value in stored)
        if high or (void and split == "test"):
            return None
        return (
            "stores no id from 19 to 33 (vegetation, sky, persons, vehicles), but "
            f"{', '.join(map(str, sorted(stored)))}: these are trainIds, of a prediction or of a _labelTrainIds.png; "
            f"take the file *{LABEL_SUFFIX} from gtFine_trainvaltest.zip"
        )


class CityscapesLoda(Cityscapes):
    """The 60/10/30 split of loda2025 §2.1 over the 3,475 pairs of train and val: 2085, 347 and 1043.

    The paper divides all 5,000 pictures so. As printed that is impossible: the labels of 1,525 of them are not public.
    """

    key = "cityscapes-loda"
    note = ", split of loda2025"
    same_files_as = "cityscapes"

    @classmethod
    def list_pairs(cls, root: Path, split: str) -> list[Pair]:
        """Pairs of equal city, sequence and frame."""
        labelled = [pair for part in ("train", "val") for pair in Cityscapes.list_pairs(root, part)]
        return loda_split(labelled, split)


class CityscapesExtra(PairedDataset):
    """The 19,997 usable pictures of the coarse extra set, without labels: an unlabelled target, as in yan2022 §IV."""

    key = "cityscapes-extra"
    name = "Cityscapes extra"
    splits = ("train",)
    ids: ClassVar[dict[int, int]] = {}
    layout = f"leftImg8bit/train_extra/CITY/*{IMAGE_SUFFIX}"
    source = "register at www.cityscapes-dataset.com and unpack leftImg8bit_trainextra.zip beside the fine set"

    @classmethod
    def folders(cls, root: Path, split: str) -> tuple[Path, ...]:
        """``leftImg8bit/train_extra``, with a subfolder for each city."""
        return (root / "leftImg8bit" / "train_extra",)

    @classmethod
    def list_pairs(cls, root: Path, split: str) -> list[Pair]:
        """All pictures but the broken one."""
        (images,) = cls.folders(root, split)
        found = match_pairs(images, IMAGE_SUFFIX, None, "", depth=2)
        return [pair for pair in found if pair.name not in BROKEN]

    @classmethod
    def strays(cls, root: Path) -> list[Path]:
        """Neither the fine set's pictures nor the broken one are."""
        (images,) = cls.folders(root, "train")
        return [
            file
            for file in super().strays(root)
            if images in file.parents and file.name.removesuffix(IMAGE_SUFFIX) not in BROKEN
        ]

"""GTA5, "Playing for Data": 24,966 frames of a computer game, 1914×1052 (Richter et al., ECCV 2016)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import ClassVar

import numpy as np

from labkit.data.pairs import GREY, BadFileError, Pair, PairedDataset, match_pairs, read_header
from labkit.data.splits import LODA_TRAINED, hold_out, loda_split
from labkit.errors import LabError
from labkit.labels import CITYSCAPES_IDS, CITYSCAPES_LABELS, IGNORE

log = logging.getLogger(__name__)

SPLIT_FILE = "split.mat"
SPLIT_VARIABLES = {"train": "trainIds", "val": "valIds", "test": "testIds"}
"""The publishers' split, in MATLAB's format: numbers of frames, counted from 1 (12,403, 6,382 and 6,181 of them)."""

_LUMA = (0.299, 0.587, 0.114)
BRIGHTNESSES: frozenset[int] = frozenset(
    int(luma + rounding)
    for label in CITYSCAPES_LABELS
    for luma in [sum(weight * channel for weight, channel in zip(_LUMA, label.color, strict=True))]
    for rounding in (0, 0.5)
)
"""What the palette's colours become when a program turns them into grey (ITU-R BT.601), rounded down or to nearest."""


def read_split(file: Path) -> dict[str, frozenset[str]]:
    """The publishers' split file as names of frames (``00001``) by split.

    Raises:
        LabError: no such file in MATLAB's format, or without one of the three lists.
    """
    from scipy.io import loadmat

    try:
        content = loadmat(file)
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise LabError(f"{file}: cannot be read as a MATLAB file ({error}); copy it again, or remove it") from None
    if missing := [name for name in SPLIT_VARIABLES.values() if name not in content]:
        raise LabError(f"{file}: holds no {', '.join(missing)}; take the split file of the publishers, or remove it")
    return {
        split: frozenset(f"{int(number):05d}" for number in content[name].ravel())
        for split, name in SPLIT_VARIABLES.items()
    }


def same_size(pair: Pair) -> bool:
    """Whether image and label map have one size, by their first bytes alone; True where a file cannot be read.

    What cannot be read is said when it is opened, by name, instead of being left out here.
    """
    try:
        image, label = read_header(pair.image), read_header(pair.label)
    except BadFileError:
        return True
    return (image.width, image.height) == (label.width, label.height)


class GTA5(PairedDataset):
    """GTA5 in its publishers' layout.

    With their ``split.mat`` in the folder: its ``train``, ``val`` and ``test``. Without: ``val`` is every tenth frame
    by name, ``train`` the rest. ``all`` is the whole set. Some sixty label maps differ in size from their image; those
    pairs are left out, with a warning that names them.

    The label maps are palette PNGs whose indices are Cityscapes ids, and 34 for the licence plate. Grey PNGs that store
    the same ids are read as well, but not those that can be a palette turned into brightness.
    """

    key = "gta5"
    name = "GTA5"
    splits = ("train", "val", "test", "all")
    ids: ClassVar[dict[int, int]] = {**{i: t for i, t in CITYSCAPES_IDS.items() if i >= 0}, 34: IGNORE}
    layout = "images/00001.png … with labels/00001.png …"
    unequal_sizes = (
        "the publishers' own archives hold some sixty such pairs, which trainings leave out: if this is their file, "
        "nothing has to be done, else replace the pair from the original"
    )
    source = "download its ten image and ten label archives from download.visinf.tu-darmstadt.de/data/from_games"

    def usable(self, pairs: list[Pair]) -> list[Pair]:
        """Without those of unequal size.

        Raises:
            LabError: none is left.
        """
        fitting = [pair for pair in pairs if same_size(pair)]
        if unequal := sorted({pair.name for pair in pairs} - {pair.name for pair in fitting}):
            log.warning(
                "%s: %d of %d pairs are left out, their label maps differ in size from their images: %s",
                self.root.name,
                len(unequal),
                len(pairs),
                ", ".join(unequal),
            )
        if not fitting:
            raise LabError(
                f"{self.root}: no label map of split {self.split!r} has the size of its image; see `labkit data check`"
            )
        return fitting

    @classmethod
    def read_ids(cls, path: Path) -> np.ndarray:
        """Cityscapes ids, uint8 ``(H, W)``.

        Raises:
            BadFileError: also for a grey file with no number that is not some palette colour's brightness: it cannot
                be told from a flattened palette, although a few brightnesses (0, 7, 8, 10, 12, 13, 16, 26, 33) are
                valid ids.
        """
        ids = super().read_ids(path)
        if read_header(path).colour_type == GREY and set(np.unique(ids).tolist()) <= BRIGHTNESSES:
            raise BadFileError(
                path,
                "a grey PNG that stores nothing but brightnesses of the palette's colours, not ids: a program has "
                "flattened the palette, and colours of one brightness cannot be told apart; take the label map from "
                "the original archive, where it is a palette PNG",
            )
        return ids

    @classmethod
    def folders(cls, root: Path, split: str) -> tuple[Path, Path]:
        """``images`` and ``labels``, whatever the split."""
        return root / "images", root / "labels"

    @classmethod
    def list_pairs(cls, root: Path, split: str) -> list[Pair]:
        """Pairs of equal file names."""
        pairs = cls.all_pairs(root)
        if split == "all" or not (root / SPLIT_FILE).is_file():
            return hold_out(pairs, split)
        wanted = read_split(root / SPLIT_FILE)[split]
        return [pair for pair in pairs if Path(pair.name).stem in wanted]

    @classmethod
    def all_pairs(cls, root: Path) -> list[Pair]:
        """The whole set, whatever the split."""
        images, labels = cls.folders(root, "all")
        return match_pairs(images, ".png", labels, ".png")

    @classmethod
    def detect(cls, root: Path) -> bool:
        """Both folders: either name alone is too common."""
        return (root / "images").is_dir() and (root / "labels").is_dir()


class GTA5Loda(GTA5):
    """GTA5 as loda2025 §2.1 divides it: 60/10/30, and 12,500 pictures to train on.

    We read "only 12,500 images were used for training" as a part of the train part's 14,979 (of 24,966), chosen like
    the parts themselves (:func:`labkit.data.splits.loda_split`); val and test keep 2,496 and 7,491.
    """

    key = "gta5-loda"
    note = ", split of loda2025"
    splits = ("train", "val", "test")
    same_files_as = "gta5"

    @classmethod
    def list_pairs(cls, root: Path, split: str) -> list[Pair]:
        """Pairs of equal file names."""
        return loda_split(cls.all_pairs(root), split, LODA_TRAINED)

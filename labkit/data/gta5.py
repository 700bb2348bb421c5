"""GTA5, "Playing for Data": 24,966 frames of a computer game, 1914×1052 (Richter et al., ECCV 2016)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import ClassVar

from labkit.data.pairs import BadFileError, Pair, PairedDataset, match_pairs, png_header
from labkit.errors import LabError
from labkit.labels import CITYSCAPES_IDS, IGNORE

log = logging.getLogger(__name__)

SPLIT_FILE = "split.mat"
SPLIT_VARIABLES = {"train": "trainIds", "val": "valIds", "test": "testIds"}
"""The publishers' split, in MATLAB's format: numbers of frames, counted from 1 (12,403, 6,382 and 6,181 of them)."""


def hold_out(pairs: list[Pair], split: str) -> list[Pair]:
    """Split a set that has no split of its own: in the order of names every tenth pair is ``val``, the rest ``train``.

    ``all`` is both, ``test`` is empty.
    """
    if split == "all":
        return pairs
    if split == "test":
        return []
    return [pair for i, pair in enumerate(pairs) if (i % 10 == 9) == (split == "val")]


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
    sizes = []
    for file in (pair.image, pair.label):
        try:
            with file.open("rb") as stream:
                header = png_header(stream.read(33), file)
        except (OSError, BadFileError):
            return True
        sizes.append((header.width, header.height))
    return sizes[0] == sizes[1]


class GTA5(PairedDataset):
    """GTA5 in its publishers' layout.

    With their ``split.mat`` in the folder: its ``train``, ``val`` and ``test``. Without: ``val`` is every tenth frame
    by name, ``train`` the rest. ``all`` is the whole set. Some sixty label maps differ in size from their image; those
    pairs are left out, with a warning that names them.

    The label maps are palette PNGs whose indices are Cityscapes ids, and 34 for the licence plate.
    """

    key = "gta5"
    name = "GTA5"
    splits = ("train", "val", "test", "all")
    ids: ClassVar[dict[int, int]] = {**{i: t for i, t in CITYSCAPES_IDS.items() if i >= 0}, 34: IGNORE}
    layout = "images/00001.png … with labels/00001.png …"
    source = "download its ten image and ten label archives from download.visinf.tu-darmstadt.de/data/from_games"

    def __init__(
        self,
        root: Path | str,
        split: str = "train",
        size: tuple[int, int] | None = None,
        *,
        count: int | None = None,
    ):
        super().__init__(root, split, size, count=count)
        fitting = [pair for pair in self.pairs if same_size(pair)]
        if unequal := sorted({pair.name for pair in self.pairs} - {pair.name for pair in fitting}):
            log.warning(
                "%s: %d of %d pairs are left out, their label maps differ in size from their images: %s",
                self.root.name,
                len(unequal),
                len(self.pairs),
                ", ".join(unequal),
            )
        self.pairs = fitting
        if not self.pairs:
            raise LabError(
                f"{self.root}: no label map of split {split!r} has the size of its image; see `labkit data check`"
            )

    @classmethod
    def folders(cls, root: Path, split: str) -> tuple[Path, Path]:
        """``images`` and ``labels``, whatever the split."""
        return root / "images", root / "labels"

    @classmethod
    def list_pairs(cls, root: Path, split: str) -> list[Pair]:
        """Pairs of equal file names."""
        images, labels = cls.folders(root, split)
        pairs = match_pairs(images, ".png", labels, ".png")
        if split == "all" or not (root / SPLIT_FILE).is_file():
            return hold_out(pairs, split)
        wanted = read_split(root / SPLIT_FILE)[split]
        return [pair for pair in pairs if Path(pair.name).stem in wanted]

    @classmethod
    def detect(cls, root: Path) -> bool:
        """Both folders: either name alone is too common."""
        return (root / "images").is_dir() and (root / "labels").is_dir()

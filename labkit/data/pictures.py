"""Any folder of pictures as an unlabelled target."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from labkit.data.pairs import Pair, PairedDataset

SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})


def find_pictures(folder: Path) -> list[Path]:
    """The PNG and JPEG files in a folder and the folders in it, sorted; hidden ones are no pictures."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )


class Pictures(PairedDataset):
    """All PNG and JPEG files in a folder, at any depth, without labels: each label is 255 throughout.

    It has one split, ``train``; nothing can be validated or reported on it.
    """

    key = "pictures"
    name = "pictures"
    splits = ("train",)
    upright = True
    ids: ClassVar[dict[int, int]] = {}
    layout = "PNG or JPEG files, in folders as you like"
    source = "any folder of pictures will do"

    @classmethod
    def full_name(cls, root: Path) -> str:
        """The folder's name, and that there are no labels."""
        return f"{root.absolute().name} (unlabelled)"

    @classmethod
    def folders(cls, root: Path, split: str) -> tuple[Path, ...]:
        """The folder itself."""
        return (root,)

    @classmethod
    def list_pairs(cls, root: Path, split: str) -> list[Pair]:
        """Every picture, named by its place in the folder."""
        return [Pair(path.relative_to(root).as_posix(), path, None) for path in find_pictures(root)]

    @classmethod
    def detect(cls, root: Path) -> bool:
        """Whether there is a picture at all."""
        return bool(find_pictures(root))

    @classmethod
    def strays(cls, root: Path) -> list[Path]:
        """None: every place is right."""
        return []

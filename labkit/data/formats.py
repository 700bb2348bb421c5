"""The formats that are known, and where on this machine data sets in them are found."""

from __future__ import annotations

import os
from pathlib import Path

from labkit.data import own
from labkit.data.camvid import ATTRIBUTION, CamVid
from labkit.data.cityscapes import Cityscapes, CityscapesExtra, CityscapesLoda
from labkit.data.gta5 import GTA5, GTA5Loda
from labkit.data.pairs import PairedDataset
from labkit.data.pictures import Pictures
from labkit.data.synthia import Synthia
from labkit.errors import LabError

FORMATS: dict[str, type[PairedDataset]] = {cls.key: cls for cls in (CamVid, Cityscapes, CityscapesExtra, GTA5, Synthia)}
"""The readers by the name that the command line uses; a folder's layout tells which is the right one."""

NAMED: dict[str, type[PairedDataset]] = FORMATS | {cls.key: cls for cls in (CityscapesLoda, GTA5Loda)}
"""All that have a name: also those that divide the files of another in their own way."""

KEYS: dict[str, type[PairedDataset]] = NAMED | {cls.key: cls for cls in (Pictures, own.OwnFolder)}
"""Every reader by its key."""

MINICITY: tuple[str, ...] = ("minicity-game", "minicity-toon", "minicity-real")
"""The three styles of generated streets, which need no files."""

ATTRIBUTIONS: dict[str, str] = {"camvid": ATTRIBUTION}
"""What has to stand where a data set's pictures are shown, by the same names."""

CACHE_INDEX = "labkit-cache.json"
"""The file that makes a folder a cache."""

_DEEPEST = 3
"""How far below a data set's folder its files lie at most: Cityscapes' cities."""

_FOLDERS: dict[str, tuple[str, ...]] = {
    "camvid": ("camvid", "CamVid"),
    "cityscapes": ("cityscapes", "Cityscapes"),
    "cityscapes-extra": ("cityscapes", "Cityscapes"),
    "gta5": ("gta5", "GTA5"),
    "synthia": (
        "synthia",
        "SYNTHIA",
        "RAND_CITYSCAPES",
        "synthia/RAND_CITYSCAPES",
        "SYNTHIA/RAND_CITYSCAPES",
    ),
}


def data_root() -> Path:
    """The folder that holds the data sets: ``$LABKIT_DATA``, or ``data`` in the current folder."""
    return Path(os.environ.get("LABKIT_DATA") or "data")


def places(name: str, root: Path) -> list[Path]:
    """Where under ``root`` a data set with a name (a key of :data:`NAMED`) is looked for."""
    return [root / part for part in _FOLDERS[NAMED[name].same_files_as or name]]


def find(name: str, root: Path) -> Path | None:
    """The folder under ``root`` that holds a data set with a name, or ``None``."""
    reader = NAMED[NAMED[name].same_files_as or name]
    return next((place for place in places(name, root) if reader.detect(place)), None)


def found_datasets(root: Path | None = None) -> dict[str, Path]:
    """The data sets on this machine by name (a key of :data:`FORMATS`), each with its folder."""
    root = data_root() if root is None else Path(root)
    return {key: folder for key in FORMATS if (folder := find(key, root))}


def detect_format(folder: Path) -> str | None:
    """The data set whose layout the folder has (a key of :data:`FORMATS`), or ``None``."""
    return next((key for key, cls in FORMATS.items() if cls.detect(folder)), None)


def reader_of(folder: Path) -> type[PairedDataset] | None:
    """What reads a folder: what its own ``labkit-dataset.toml`` says, or the format of its layout; else ``None``.

    Raises:
        BadFileError: the folder's own file is wrong.
    """
    if (folder / own.FILE).is_file():
        return own.reader_for(folder)
    key = detect_format(folder)
    return FORMATS[key] if key else None


def reader_or_pictures(folder: Path) -> type[PairedDataset]:
    """What reads a folder; :class:`~labkit.data.pictures.Pictures` where nothing else does.

    Raises:
        LabError: nothing does, and the folder holds no pictures, or looks as if another one had been meant.
    """
    if reader := reader_of(folder):
        return reader
    if misplaced(folder) or not Pictures.detect(folder):
        raise LabError(f"{folder}: {layout_reason(folder)}")
    return Pictures


def reader_keyed(key: str, folder: Path) -> type[PairedDataset]:
    """The reader with a key of :data:`KEYS`, for a folder; raises :class:`BadFileError` as :func:`reader_of`."""
    return own.reader_for(folder) if key == own.OwnFolder.key else KEYS[key]


def is_cache(folder: Path) -> bool:
    """Whether the folder is a finished cache."""
    return (folder / CACHE_INDEX).is_file()


def misplaced(folder: Path) -> str:
    """Why a folder without a known layout cannot be what was meant, and what to do; empty where nothing says so.

    It is empty itself, a cache, or some levels off.
    """
    if not any(folder.iterdir()):
        return "the folder is empty; unpack the data set into it"
    if is_cache(folder):
        return "is a cache made by `labkit data cache`; name the data set itself"
    near = _known_below(folder)
    if len(near) > 1 and len(set(near.values())) == 1:
        name = FORMATS[next(iter(near.values()))].name
        return f"holds parts of {name} in {' and '.join(map(str, near))}; move what is in them into one folder"
    for place, key in near.items():
        levels = "one level" if place.parent == folder else "two levels"
        return f"holds {FORMATS[key].name} {levels} deeper; name {place} instead"
    here = folder.absolute()
    for above in here.parents[:_DEEPEST]:
        key = detect_format(above)
        parts = FORMATS[key].all_folders(above) if key else ()
        if any(here in (part, *part.parents) or part in here.parents for part in parts):
            return f"is a part of {FORMATS[key].name}; name the folder above it, {above}, instead"
    return ""


def _known_below(folder: Path) -> dict[Path, str]:
    """Folders in this one, or else in those, that have a known layout."""
    level = [folder]
    for _ in range(2):
        level = sorted(path for above in level for path in above.iterdir() if path.is_dir())
        if found := {path: key for path in level if (key := detect_format(path))}:
            return found
    return {}


def layout_reason(folder: Path) -> str:
    """Why the folder is no data set that we know, and what to do."""
    layouts = "; ".join(f"{cls.name}: {cls.layout}" for cls in FORMATS.values())
    return misplaced(folder) or (
        f"is not laid out like any data set known here ({layouts}). Describe one of your own in a file {own.FILE}; "
        "pictures without labels need no layout as a target, and are checked with `--dataset pictures`"
    )

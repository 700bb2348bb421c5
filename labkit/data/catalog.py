"""From a name on the command line to a data set: MiniCity's styles, data sets on disk, or any folder."""

from __future__ import annotations

import os
from pathlib import Path

from labkit.data.camvid import ATTRIBUTION, CamVid
from labkit.data.cityscapes import Cityscapes
from labkit.data.dataset import SegmentationDataset
from labkit.data.gta5 import GTA5
from labkit.data.pairs import PairedDataset
from labkit.data.synthia import Synthia
from labkit.errors import LabError, UnknownNameError

FORMATS: dict[str, type[PairedDataset]] = {cls.key: cls for cls in (CamVid, Cityscapes, GTA5, Synthia)}
"""The readers by the name that the command line uses."""

ATTRIBUTIONS: dict[str, str] = {"camvid": ATTRIBUTION}
"""What has to stand where a data set's pictures are shown, by the same names."""

MINICITY: tuple[str, ...] = ("minicity-game", "minicity-toon", "minicity-real")
"""The three styles of generated streets, which need no files."""

_FOLDERS: dict[str, tuple[str, ...]] = {
    "camvid": ("camvid", "CamVid"),
    "cityscapes": ("cityscapes", "Cityscapes"),
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


def detect_format(folder: Path) -> str | None:
    """The data set whose layout the folder has (a key of :data:`FORMATS`), or ``None``."""
    return next((key for key, cls in FORMATS.items() if cls.detect(folder)), None)


def found_datasets(root: Path | None = None) -> dict[str, Path]:
    """The data sets on this machine by name, each with its folder."""
    root = data_root() if root is None else Path(root)
    return {
        key: next(root / name for name in names if FORMATS[key].detect(root / name))
        for key, names in _FOLDERS.items()
        if any(FORMATS[key].detect(root / name) for name in names)
    }


def open_dataset(
    name: str,
    split: str = "train",
    size: tuple[int, int] | None = None,
    *,
    count: int | None = None,
    seed: int = 0,
    root: Path | None = None,
) -> SegmentationDataset:
    """Open a data set by name or folder.

    Args:
        name: ``minicity-game``, ``-toon`` or ``-real``; or ``camvid``, ``cityscapes``, ``gta5``, ``synthia``,
            looked for under ``root``; or a folder in the layout of one of these; or a cache of one.
        split: ``"train"``, ``"val"`` or ``"test"``.
        size: (H, W) in pixels of images and labels; the data set's own when ``None``. A data set named so, of which
            there is an up-to-date cache at that size (:func:`labkit.data.cache.default_folder`), is read from it.
        count: number of pictures; on disk at most so many, spread evenly over the split.
        seed: which scenes MiniCity draws; of no effect on what is on disk.
        root: folder of data sets; :func:`data_root` by default.

    Raises:
        UnknownNameError: neither a known name nor a folder.
        LabError: the data set or the split is not there; the message says how to get it.
    """
    from labkit.data import cache  # which needs what is above

    if name in MINICITY:
        from labkit.data.minicity import MiniCity

        given = {key: value for key, value in (("size", size), ("count", count)) if value is not None}
        return MiniCity(name.removeprefix("minicity-"), split, seed=seed, **given)
    if name in FORMATS:
        root = data_root() if root is None else Path(root)
        folder = found_datasets(root).get(name)
        if folder is None:
            looked = ", ".join(str(root / part) for part in _FOLDERS[name])
            cls = FORMATS[name]
            raise LabError(
                f"{cls.name} was not found: looked for {cls.layout} in {looked}. To get it: {cls.source}. "
                "If it lies elsewhere, set LABKIT_DATA to the folder that holds it, or name its own folder"
            )
        dataset = FORMATS[name](folder, split, size, count=count)
        return dataset if size is None else cache.cached_if_fresh(dataset, cache.default_folder(name, size, root))
    folder = Path(name)
    if folder.is_dir():
        if cache.is_cache(folder):
            return cache.open_cache(folder, split, size, count=count)
        key = detect_format(folder)
        if key is None:
            raise LabError(f"{folder}: {layout_reason(folder)}")
        return FORMATS[key](folder, split, size, count=count)
    if folder.name != name:
        raise LabError(f"{folder}: no such folder; give a data set's folder or one of {', '.join(known_names())}")
    raise UnknownNameError("data set", name, known_names())


def splits_of(name: str, root: Path | None = None) -> tuple[str, ...]:
    """The splits that a data set has here: all of MiniCity's; of files those with pictures; none if it is not found."""
    from labkit.data import cache

    if name in MINICITY:
        return ("train", "val", "test")
    folder = found_datasets(root).get(name, Path(name))
    if cache.is_cache(folder):
        reader, folder = cache.source_of(folder)
        return reader.available_splits(folder)
    key = detect_format(folder) if folder.is_dir() else None
    return FORMATS[key].available_splits(folder) if key else ()


def known_names() -> tuple[str, ...]:
    """Every name that :func:`open_dataset` knows."""
    return (*MINICITY, *FORMATS)


def layout_reason(folder: Path) -> str:
    """Why the folder is no data set that we know, and what to do: empty, one level off, or something else."""
    from labkit.data import cache

    if not any(folder.iterdir()):
        return "the folder is empty; unpack the data set into it"
    if cache.is_cache(folder):
        return "is a cache made by `labkit data cache`; name the data set itself"
    for near in sorted(path for path in folder.iterdir() if path.is_dir()):
        if key := detect_format(near):
            return f"holds {FORMATS[key].name} one level deeper; name {near} instead"
    above = folder.absolute().parent
    key = detect_format(above)
    if key and any(folder.absolute() in (part, *part.parents) for part in FORMATS[key].all_folders(above)):
        return f"is a part of {FORMATS[key].name}; name the folder above it, {above}, instead"
    layouts = "; ".join(f"{cls.name}: {cls.layout}" for cls in FORMATS.values())
    return f"is not laid out like any data set known here ({layouts})"

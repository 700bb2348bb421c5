"""From a name on the command line to a data set: MiniCity's styles, data sets on disk, or any folder."""

from __future__ import annotations

import logging
from pathlib import Path

from labkit.data import cache, formats
from labkit.data.dataset import SegmentationDataset
from labkit.data.formats import MINICITY, NAMED, data_root
from labkit.data.pictures import Pictures
from labkit.errors import LabError, UnknownNameError

log = logging.getLogger(__name__)


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
        name: ``minicity-game``, ``-toon`` or ``-real``; or a key of :data:`labkit.data.formats.NAMED`, looked for under
            ``root``; or a folder: in the layout of one of these, or with a ``labkit-dataset.toml``, or a cache, or of
            pictures without labels.
        split: ``"train"``, ``"val"`` or ``"test"``.
        size: (H, W) in pixels of images and labels; the data set's own when ``None``. A data set named so, of which
            there is an up-to-date cache at that size (:func:`labkit.data.cache.default_folder`), is read from it.
        count: number of pictures; on disk at most so many, spread evenly over the split.
        seed: which scenes MiniCity draws; of no effect on what is on disk.
        root: folder of data sets; :func:`labkit.data.formats.data_root` by default.

    Raises:
        UnknownNameError: neither a known name nor a folder.
        LabError: the data set or the split is not there; the message says how to get it.
    """
    if name in MINICITY:
        from labkit.data.minicity import MiniCity

        given = {key: value for key, value in (("size", size), ("count", count)) if value is not None}
        return MiniCity(name.removeprefix("minicity-"), split, seed=seed, **given)
    if name in NAMED:
        return _open_named(name, split, size, count, data_root() if root is None else Path(root))
    folder = Path(name)
    if folder.is_dir():
        if cache.is_cache(folder):
            return cache.open_cache(folder, split, size, count=count)
        reader = formats.reader_or_pictures(folder)
        if reader is Pictures:
            log.warning("%s: is not laid out like a data set; its pictures are used without labels", folder)
        return reader(folder, split, size, count=count)
    if folder.name != name:
        raise LabError(f"{folder}: no such folder; give a data set's folder or one of {', '.join(known_names())}")
    raise UnknownNameError("data set", name, known_names())


def _open_named(name: str, split: str, size, count: int | None, root: Path) -> SegmentationDataset:
    reader, folder = NAMED[name], formats.find(name, root)
    if folder is not None:
        dataset = reader(folder, split, size, count=count)
        keys = (name, reader.same_files_as) if size else ()
        caches = [place for key in keys if key and cache.is_cache(place := cache.default_folder(key, size, root))]
        return cache.cached_if_fresh(dataset, caches[0]) if caches else dataset
    alone = cache.standalone_caches(name, root)
    if size is not None and (place := cache.default_folder(name, size, root)) in alone:
        return cache.open_cache(place, split, size, count=count)
    looked = ", ".join(map(str, formats.places(name, root)))
    instead = f" There are only caches without it ({', '.join(path.name for path in alone)})." if alone else ""
    raise LabError(
        f"{reader.name} was not found: looked for {reader.layout} in {looked}.{instead} To get it: {reader.source}. "
        "If it lies elsewhere, set LABKIT_DATA to the folder that holds it, or name its own folder"
    )


def splits_of(name: str, root: Path | None = None) -> tuple[str, ...]:
    """The splits that a data set has here: all of MiniCity's; of files those with pictures; none if it is not found."""
    root = data_root() if root is None else Path(root)
    if name in MINICITY:
        return ("train", "val", "test")
    if name in NAMED:
        if folder := formats.find(name, root):
            return NAMED[name].available_splits(folder)
        alone = cache.standalone_caches(name, root)
        return cache.splits_in(alone[0]) if alone else ()
    folder = Path(name)
    if cache.is_cache(folder):
        return cache.splits_in(folder)
    try:
        return formats.reader_or_pictures(folder).available_splits(folder) if folder.is_dir() else ()
    except LabError:
        return ()


def known_names() -> tuple[str, ...]:
    """Every name that :func:`open_dataset` knows."""
    return (*MINICITY, *NAMED)

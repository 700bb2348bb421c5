"""A data set on disk, decoded and resized once: memory-mapped uint8 arrays in place of PNG files.

A cache folder holds the pictures and trainIds of all splits, each pair once, as two NumPy files, and a JSON file that
says what they are. That file is written last and names the other two, so a folder that has it is complete.

What a cache was made from is recorded pair by pair (length and time of change of both files), with a digest of the
code that read them. A pair that has changed since is never served. Only a standalone cache, which is said to be one
when it is made, is served without the files, and compared with nothing.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import logging
import multiprocessing
import os
import re
import shutil
import signal
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL

from labkit import sources
from labkit.data import formats
from labkit.data.dataset import Sample
from labkit.data.formats import CACHE_INDEX as INDEX
from labkit.data.formats import KEYS, MINICITY, NAMED, data_root, is_cache
from labkit.data.pairs import Pair, PairedDataset
from labkit.data.selection import evenly
from labkit.errors import LabError, UnknownNameError
from labkit.files import read_json, write_atomically

log = logging.getLogger(__name__)

_OURS = re.compile(r"(images|labels)-[0-9a-f]{16}\.npy(\.part)?|done-[0-9a-f]{16}\.part|\.lock|\.?labkit-cache\.json.*")

State = list
"""What tells one pair from another, and whether it has changed: image, label (relative to the data set's folder; none
for a picture without), then length in bytes and time of change in nanoseconds of each."""


class StaleCacheError(LabError):
    """A cache that was made from other files, or by other code, than those that are here now."""


@dataclass(frozen=True)
class CacheReport:
    """What :func:`build` did: pictures in the cache, of which so many were decoded now; its size in bytes."""

    folder: Path
    dataset: str
    size: tuple[int, int]
    pictures: int
    decoded: int
    bytes: int


class Cached:
    """A data set's split, served from a cache: the same samples, and the same fingerprint, as ``dataset``.

    The arrays are views of the files, and read-only.

    Args:
        dataset: the split as its own reader opens it, at the cached size.
        folder: made by :func:`build`.

    Raises:
        StaleCacheError: a pair, or the code that reads it, has changed since.
        LabError: no cache, a damaged one, or one of another size.
    """

    def __init__(self, dataset: PairedDataset, folder: Path | str):
        self.dataset, self.folder = dataset, Path(folder)
        self.name, self.split, self.evaluation = dataset.name, dataset.split, dataset.evaluation
        self.size, self.labelled = dataset.size, dataset.labelled
        index = _read_index(self.folder)
        _check_size(self.folder, index, dataset.size)
        self._files = [self.folder / name for name in _file_names(index["key"])]
        self._count = len(index["pictures"])
        self._rows = _rows(index, dataset, self.folder)
        self._arrays: tuple[np.ndarray, np.ndarray] | None = None
        self._open()

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        row = self._rows[index]
        images, labels = self._arrays or self._open()
        return Sample(images[row].transpose(1, 2, 0), labels[row], self.dataset.pairs[index].name)

    def fingerprint(self) -> dict:
        """That of the data set itself: a run is the same run with and without a cache."""
        return self.dataset.fingerprint()

    def _open(self) -> tuple[np.ndarray, np.ndarray]:
        try:
            images, labels = (np.asarray(np.load(file, mmap_mode="r")) for file in self._files)
        except (OSError, ValueError) as error:
            raise LabError(f"{self.folder}: damaged ({error}); remove this folder, and make it again") from error
        stored = (images.shape, labels.shape, images.dtype, labels.dtype)
        if stored != ((self._count, 3, *self.size), (self._count, *self.size), np.uint8, np.uint8):
            raise LabError(f"{self.folder}: its arrays do not fit its {INDEX}; remove this folder, and make it again")
        self._arrays = images, labels
        return self._arrays

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_arrays": None}  # a loader's process maps the files anew instead of copying them


# --- opening ---------------------------------------------------------------------------------------------------------


def default_folder(name: str, size: tuple[int, int], root: Path | None = None) -> Path:
    """Where a cache of a data set with a name is looked for: ``cache/camvid-96x128`` in the folder of data sets."""
    return (data_root() if root is None else Path(root)) / "cache" / f"{name}-{size[0]}x{size[1]}"


def standalone_caches(name: str, root: Path) -> list[Path]:
    """The standalone caches of a data set with a name, of whatever size, where they are looked for."""
    found = (path for path in sorted((root / "cache").glob(f"{name}-*x*")) if is_cache(path))
    own = (path for path in found if path.name.removeprefix(f"{name}-")[0].isdecimal())  # not NAME-loda's
    return [path for path in own if _is_standalone(path)]


def _is_standalone(folder: Path) -> bool:
    with contextlib.suppress(LabError):  # a damaged one says so when it is opened
        return _read_index(folder)["standalone"]
    return False


def splits_in(folder: Path) -> tuple[str, ...]:
    """The splits of the data set that was cached. Raises as :func:`open_cache`."""
    index = _read_index(folder)
    if index["standalone"]:
        return tuple(index["splits"])
    reader, root = _source(folder, index)
    return reader.available_splits(root)


def open_cache(
    folder: Path, split: str = "train", size: tuple[int, int] | None = None, *, count: int | None = None
) -> Cached:
    """Open a cache folder; ``size`` may be left out, and else has to be the cached one.

    Raises:
        UnknownNameError: no such split.
        LabError: as :class:`Cached`; or the folder of the data set is gone, so that nobody can tell whether the cache
            is still right (unless it is standalone).
    """
    index = _read_index(folder)
    if size is not None:
        _check_size(folder, index, size)
    if index["standalone"]:
        return Cached(_remembered(index, split, count), folder)
    reader, root = _source(folder, index)
    return Cached(reader(root, split, tuple(index["size"]), count=count), folder)


def _source(folder: Path, index: dict) -> tuple[type[PairedDataset], Path]:
    root = Path(index["source"])
    if not KEYS[index["format"]].detect(root):
        raise LabError(
            f"{folder}: the data set that it was made from is no longer in {root}, so changes cannot be noticed; "
            "bring it back, or make the cache again from where it is now (with --standalone, it is used without)"
        )
    return formats.reader_keyed(index["format"], root), root


def _remembered(index: dict, split: str, count: int | None) -> PairedDataset:
    """A split as its reader opened it when the cache was made, without its files."""
    if split not in index["splits"]:
        raise UnknownNameError(f"split of {index['name']}", split, index["splits"])
    if count is not None and count < 1:
        raise LabError(f"{index['name']}: count must be at least 1, not {count}")
    reader = KEYS[index["format"]]
    dataset, root = reader.__new__(reader), Path(index["source"])
    rows, names = index["splits"][split]["rows"], index["splits"][split]["names"]
    dataset.root, dataset.split, dataset.size = root, split, tuple(index["size"])
    dataset.name, dataset.evaluation = index["name"], index["evaluation"]
    dataset.ids = {int(value): train_id for value, train_id in index["reader"]["ids"].items()}
    dataset.storage = index["reader"]["storage"]
    dataset.pairs, dataset.lengths = [], {}
    for place in evenly(len(rows), len(rows) if count is None else count):
        image, label, *facts = index["pictures"][rows[place]]
        pair = Pair(names[place], root / image, root / label if label else None)
        dataset.pairs.append(pair)
        dataset.lengths.update(zip(pair.files.values(), facts[::2], strict=True))
    return dataset


def _rows(index: dict, dataset: PairedDataset, folder: Path) -> list[int]:
    """Where each pair of ``dataset`` is in the cache, if that is up to date."""
    if dataset.lengths is not None:
        known = {state[0]: row for row, state in enumerate(index["pictures"])}
        return [known[pair.image.relative_to(dataset.root).as_posix()] for pair in dataset.pairs]
    if index["reader"] != _reader(dataset):
        raise StaleCacheError(
            f"{folder}: was made by another version of labkit or Pillow, or from another data set than "
            f"{dataset.name}; {_remedy(dataset.root, folder, dataset.size)}"
        )
    known = {tuple(state): row for row, state in enumerate(index["pictures"])}
    try:
        return [known[tuple(_state(dataset.root, pair))] for pair in dataset.pairs]
    except KeyError as error:
        raise StaleCacheError(
            f"{folder}: {dataset.root / error.args[0][0]} or its label map is new, or has changed since the "
            f"cache was made; {_remedy(dataset.root, folder, dataset.size)}"
        ) from None


def cached_if_fresh(dataset: PairedDataset, folder: Path) -> PairedDataset | Cached:
    """``dataset`` from the cache in ``folder``, or ``dataset`` itself if there is none or it is of no use (logged)."""
    if not is_cache(folder):
        return dataset
    try:
        return Cached(dataset, folder)
    except LabError as error:
        log.warning("%s. Until then the files themselves are read.", error)
        return dataset


def _read_index(folder: Path) -> dict:
    if not is_cache(folder):
        raise LabError(f"{folder}: no finished cache; `labkit data cache` makes it, or continues where it stopped")
    index = read_json(folder / INDEX)
    try:
        fits = index["format"] in KEYS and len(index["size"]) == 2 and len(index["pictures"]) == len(index["crc32"])
        fits = fits and isinstance(index["splits"], dict) and isinstance(index["standalone"], bool)
    except (TypeError, KeyError):
        fits = False
    if not fits:
        raise LabError(f"{folder / INDEX}: not what labkit writes; remove this folder, and make it again")
    return index


def _check_size(folder: Path, index: dict, size: tuple[int, int] | None) -> None:
    cached = tuple(index["size"])
    if size is None or tuple(size) != cached:
        asked = "the stored size" if size is None else f"{size[0]}x{size[1]}"
        raise LabError(
            f"{folder}: holds pictures of {cached[0]}x{cached[1]} (height x width), but {asked} was asked for; ask for "
            "that size, name the data set itself, or cache it at the other size in another folder"
        )


def _remedy(root: Path, folder: Path, size: tuple[int, int]) -> str:
    return f"`labkit data cache {root} {folder} --size {size[0]}x{size[1]}` brings it up to date"


def _state(root: Path, pair: Pair) -> State:
    names = [file and file.relative_to(root).as_posix() for file in (pair.image, pair.label)]
    found = [file.stat() for file in pair.files.values()]
    return names + [fact for one in found for fact in (one.st_size, one.st_mtime_ns)]


def _reader(dataset: PairedDataset) -> dict:
    """What decides the pixels beside the files. (Pillow decodes and resizes them.)"""
    return {
        "files": dataset.same_files_as or dataset.key,
        "ids": {str(value): train_id for value, train_id in sorted(dataset.ids.items())},
        "storage": dataset.storage,
        "sources": sources.digest([type(dataset).__module__]),
        "pillow": PIL.__version__,
    }


def _file_names(key: str) -> tuple[str, str]:
    return f"images-{key}.npy", f"labels-{key}.npy"


# --- making ----------------------------------------------------------------------------------------------------------


class _Place(NamedTuple):
    """Where a picture of the cache is found in the data set."""

    split: str
    index: int
    state: State


def find_source(name: str, root: Path | None = None) -> tuple[type[PairedDataset], Path]:
    """The reader and folder of a data set on disk, by its name or folder.

    Raises:
        UnknownNameError: neither.
        LabError: not found, generated, or no data set that we know.
    """
    if name in MINICITY:
        raise LabError(f"{name}: is drawn, not read: nothing to cache; `labkit data make` writes it to disk")
    if name in NAMED:
        root = data_root() if root is None else Path(root)
        if (folder := formats.find(name, root)) is None:
            raise LabError(f"{NAMED[name].name} was not found. To get it: {NAMED[name].source}")
        return NAMED[name], folder
    folder = Path(name)
    if not folder.is_dir():
        if folder.name == name and not folder.exists():
            raise UnknownNameError("data set", name, NAMED)
        raise LabError(f"{folder}: no such folder; give a data set's folder or one of {', '.join(NAMED)}")
    return formats.reader_or_pictures(folder), folder


def build(
    name: str,
    folder: Path | str,
    size: tuple[int, int],
    *,
    jobs: int | None = None,
    root: Path | None = None,
    standalone: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> CacheReport:
    """Cache all splits of a data set at one size, or bring its cache up to date.

    Killed at any moment it continues where it stopped, with the same bytes in the end. Pairs that have not changed
    since an earlier cache in the same folder are taken over from it, which stays until the new one is complete.

    Args:
        name: a data set's name or folder.
        folder: of the cache; made where missing.
        size: (H, W) in pixels.
        jobs: processes that decode; one for each core by default.
        root: folder of data sets, for a name; :func:`labkit.data.formats.data_root` by default.
        standalone: the cache is to be used where the files are not; their changes will not be noticed.
        progress: called after each picture with done and total.

    Raises:
        LabError: the folder holds something else, a picture cannot be read, the disk is full, …
    """
    from filelock import FileLock, Timeout

    reader, source = find_source(name, root)
    folder, size = Path(folder), (int(size[0]), int(size[1]))
    datasets = {split: reader(source, split, size) for split in reader.available_splits(source)}
    if not datasets:
        raise LabError(f"{source}: holds no pictures; expected {reader.layout}")
    _check_place(folder, reader, source, size)
    with _clear_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folder / ".lock", timeout=0):
                return _build(
                    datasets, folder, size, jobs or _cores(), standalone, progress or (lambda done, total: None)
                )
        except Timeout:
            raise LabError(f"{folder}: another `labkit data cache` is at work here; wait until it is done") from None


def _build(
    datasets: dict[str, PairedDataset], folder: Path, size: tuple[int, int], jobs: int, standalone: bool, progress
) -> CacheReport:
    first = next(iter(datasets.values()))
    places = _places(datasets)
    states = [place.state for place in places]
    made_of = {"format": first.key, "size": list(size), "reader": _reader(first), "pictures": states}
    key = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]
    writer = _Writer(folder, key, len(places), size)
    old = _earlier(folder)
    decoded = 0
    if old is not None and old["key"] == key:
        checksums = old["crc32"]
        progress(len(places), len(places))
    else:
        reusable = {}
        if old is not None and (old["reader"], old["size"]) == (made_of["reader"], made_of["size"]):
            reusable = {tuple(state): row for row, state in enumerate(old["pictures"])}
        done = writer.resume()
        _check_room(folder, writer.bytes_left(done))
        waiting = [place for place in places[done:] if tuple(place.state) not in reusable]
        decoded, fresh = len(waiting), _decode(datasets, waiting, jobs)
        with writer, contextlib.closing(fresh):
            progress(done, len(places))
            for number, place in enumerate(places[done:], done + 1):
                row = reusable.get(tuple(place.state))
                writer.append(*(next(fresh) if row is None else _take_over(folder, old, row)))
                progress(number, len(places))
        checksums = writer.finish()
    content = {
        "key": key,
        "name": first.name,
        "evaluation": first.evaluation,
        "source": str(first.root.absolute()),
        "standalone": standalone,
        "splits": _splits(datasets, states),
        **made_of,
        "crc32": checksums,
    }
    text = json.dumps(content, ensure_ascii=False) + "\n"
    if old != json.loads(text):
        write_atomically(folder / INDEX, text)
    _sweep(folder, {INDEX, ".lock", *_file_names(key)})
    return CacheReport(folder, first.name, size, len(places), decoded, writer.bytes_left(0))


def _places(datasets: dict[str, PairedDataset]) -> list[_Place]:
    """Every pair of a data set once, although splits may overlap."""
    found: dict[tuple, _Place] = {}
    for split, dataset in datasets.items():
        for index, pair in enumerate(dataset.pairs):
            state = _state(dataset.root, pair)
            found.setdefault(tuple(state), _Place(split, index, state))
    return list(found.values())


def _splits(datasets: dict[str, PairedDataset], states: list[State]) -> dict[str, dict[str, list]]:
    """Which pictures belong to which split, and their names there."""
    rows = {state[0]: row for row, state in enumerate(states)}
    return {
        split: {
            "rows": [rows[pair.image.relative_to(dataset.root).as_posix()] for pair in dataset.pairs],
            "names": [pair.name for pair in dataset.pairs],
        }
        for split, dataset in datasets.items()
    }


def _earlier(folder: Path) -> dict | None:
    """What the folder's finished cache says of itself, if its arrays are there, and whole."""
    if not is_cache(folder):
        return None
    index = _read_index(folder)
    return index if _Writer(folder, index["key"], len(index["pictures"]), tuple(index["size"])).is_finished() else None


def _take_over(folder: Path, old: dict, row: int) -> tuple[np.ndarray, np.ndarray]:
    image, label = (np.array(np.load(folder / name, mmap_mode="r")[row]) for name in _file_names(old["key"]))
    if _checksum(image, label) != old["crc32"][row]:
        raise LabError(f"{folder}: damaged (picture {row}); remove this folder, and make it again")
    return image, label


def _checksum(image: np.ndarray, label: np.ndarray) -> int:
    return zlib.crc32(label, zlib.crc32(image))


class _Writer:
    """Two NumPy files that grow picture by picture under temporary names, and the checksums of what is in them.

    A picture counts as done when its checksum is written, and right: whatever a kill, or a power cut, left behind
    that does not fit is written again.
    """

    def __init__(self, folder: Path, key: str, count: int, size: tuple[int, int]):
        self.final = [folder / name for name in _file_names(key)]
        self.parts = [path.with_name(path.name + ".part") for path in self.final]
        self.done = folder / f"done-{key}.part"
        self.shapes = [(3, *size), size]
        self.headers = [_header((count, *shape)) for shape in self.shapes]
        self.count, self.row_bytes = count, [size[0] * size[1] * 3, size[0] * size[1]]
        self.checksums: list[int] = []
        self.files: list = []

    def bytes_left(self, done: int) -> int:
        """Bytes that the pictures from ``done`` on take."""
        return (self.count - done) * sum(self.row_bytes)

    def is_finished(self) -> bool:
        """Whether both files are there under their final names, at their full lengths."""
        lengths = [len(h) + self.count * size for h, size in zip(self.headers, self.row_bytes, strict=True)]
        return all(p.is_file() and p.stat().st_size == n for p, n in zip(self.final, lengths, strict=True))

    def resume(self) -> int:
        """Number of pictures that are already there; what comes after them is cut off."""
        for final, part in zip(self.final, self.parts, strict=True):
            if final.exists():  # killed between the renaming and the index
                final.replace(part)
        said = np.frombuffer(self._read(self.done, 0, 4 * self.count), "<u4")
        starts = [len(header) for header in self.headers]
        for part, header in zip(self.parts, self.headers, strict=True):
            if self._read(part, 0, len(header)) != header:
                said = said[:0]
        for row, checksum in enumerate(said):
            content = [
                self._read(part, start + row * size, size)
                for part, start, size in zip(self.parts, starts, self.row_bytes, strict=True)
            ]
            if list(map(len, content)) != self.row_bytes or zlib.crc32(content[1], zlib.crc32(content[0])) != checksum:
                break
            self.checksums.append(int(checksum))
        return len(self.checksums)

    @staticmethod
    def _read(path: Path, start: int, length: int) -> bytes:
        if not path.exists():
            return b""
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(length)
        return data[: len(data) // 4 * 4] if path.name.startswith("done") else data

    def __enter__(self) -> _Writer:
        done = len(self.checksums)
        lengths = [len(h) + done * size for h, size in zip(self.headers, self.row_bytes, strict=True)] + [4 * done]
        for path, length in zip([*self.parts, self.done], lengths, strict=True):
            path.touch()
            file = path.open("r+b", buffering=0)
            self.files.append(file)
            file.truncate(length if done else 0)
            file.seek(0, os.SEEK_END)
        if not done:
            for file, header in zip(self.files, self.headers, strict=False):
                _write(file, header)
        return self

    def append(self, image: np.ndarray, label: np.ndarray) -> None:
        """Add a picture: its pixels, its labels, then the word that both are there."""
        checksum = _checksum(image, label)
        for file, data in zip(self.files, (image.data, label.data, checksum.to_bytes(4, "little")), strict=True):
            _write(file, data)
        self.checksums.append(checksum)

    def __exit__(self, *_) -> None:
        for file in self.files:
            file.close()

    def finish(self) -> list[int]:
        """Flush to the disk and rename; returns the checksums."""
        for part, final in zip(self.parts, self.final, strict=True):
            with part.open("r+b") as file:
                os.fsync(file.fileno())
            part.replace(final)
        return self.checksums


def _write(file, data) -> None:
    """Write all of ``data``: an unbuffered file may take less, for instance when the disk is nearly full."""
    view = memoryview(data).cast("B")
    while view:
        view = view[file.write(view) :]


def _header(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    description = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, description)
    return buffer.getvalue()


def _sweep(folder: Path, keep: set[str]) -> None:
    """Remove what earlier caches and interrupted work left."""
    for path in folder.iterdir():
        if path.name not in keep and _OURS.fullmatch(path.name):
            with contextlib.suppress(OSError):  # on Windows somebody may still be reading it
                path.unlink()


def _check_place(folder: Path, reader: type[PairedDataset], source: Path, size: tuple[int, int]) -> None:
    """Refuse a folder that holds something that a cache of ours would spoil."""
    if folder.exists() and not folder.is_dir():
        raise LabError(f"{folder}: is a file; give a folder for the cache")
    strangers = [path.name for path in folder.iterdir() if not _OURS.fullmatch(path.name)] if folder.is_dir() else []
    if strangers:
        raise LabError(f"{folder}: is not empty and no cache ({sorted(strangers)[0]} is in it); choose a new folder")
    if not is_cache(folder):
        return
    index = _read_index(folder)
    elsewhere = Path(index["source"])
    moved = elsewhere != source.absolute() and reader.detect(elsewhere)
    if index["format"] != reader.key or index["size"] != list(size) or moved:
        raise LabError(
            f"{folder}: already holds a cache of {elsewhere} at {index['size'][0]}x{index['size'][1]}; "
            "choose a new folder, or remove this one"
        )


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise LabError(
            f"{folder}: the cache needs {needed / 2**20:.0f} MiB more, but only {free / 2**20:.0f} MiB are free; free "
            "some space or choose a folder on another disk"
        )


@contextlib.contextmanager
def _clear_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise LabError(
                f"{folder}: the disk is full; free some space and give the same command again (it continues where it "
                "stopped), or remove this folder"
            ) from error
        raise LabError(
            f"{error.filename or folder}: {error.strerror}; choose another folder, or mend its permissions"
        ) from error


# --- decoding in parallel --------------------------------------------------------------------------------------------


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _decode(
    datasets: dict[str, PairedDataset], places: Sequence[_Place], jobs: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images and labels in the order of ``places``."""
    jobs = min(jobs, len(places))
    if jobs <= 1:
        yield from (_unpack(_read_picture(datasets, place)) for place in places)
        return
    # Spawned, because a fork of a process with threads (PyTorch's) may hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker, initargs=(datasets,))
    waiting: deque = deque()
    try:
        for place in places:
            waiting.append(pool.submit(_work, place))
            if len(waiting) == 3 * jobs:  # more would only fill the memory
                yield _unpack(waiting.popleft().result())
        while waiting:
            yield _unpack(waiting.popleft().result())
    except BrokenProcessPool:
        raise LabError(
            "a process that decodes pictures was killed, perhaps for want of memory; give the same command again with "
            "fewer --jobs: it continues where it stopped"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _unpack(answer: tuple[np.ndarray, np.ndarray] | str) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(answer, str):
        raise LabError(answer)
    return answer


def _read_picture(datasets: dict[str, PairedDataset], place: _Place) -> tuple[np.ndarray, np.ndarray] | str:
    """A picture ``(3, H, W)`` and its labels; or what is wrong with them, as errors of ours cannot be sent."""
    dataset = datasets[place.split]
    try:
        sample = dataset[place.index]
        if _state(dataset.root, dataset.pairs[place.index]) != place.state:
            return f"{dataset.root / place.state[0]}: changed while it was read; give the same command again"
    except LabError as error:
        return str(error)
    except OSError as error:
        return f"{error.filename or dataset.root}: {error.strerror}; copy the pair again from the original"
    # Planar, as a batch is: putting one together is then plain copying, some seven times as fast.
    return np.ascontiguousarray(sample.image.transpose(2, 0, 1)), np.ascontiguousarray(sample.label)


_datasets: dict[str, PairedDataset] = {}
"""In a worker: the splits to read from."""


def _start_worker(datasets: dict[str, PairedDataset]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the first process's business
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _datasets.update(datasets)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _work(place: _Place) -> tuple[np.ndarray, np.ndarray] | str:
    return _read_picture(_datasets, place)

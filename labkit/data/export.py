"""Write any data set in the on-disk format of GTA5, SYNTHIA or Cityscapes.

MiniCity written so is read by the very readers, and by anybody's tools, that read the real sets.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from labkit.data.cityscapes import IMAGE_SUFFIX, LABEL_SUFFIX, Cityscapes
from labkit.data.dataset import SegmentationDataset
from labkit.data.gta5 import GTA5
from labkit.data.pairs import ORIGIN, Pair, PairedDataset, read_origin
from labkit.data.synthia import Synthia
from labkit.errors import LabError, UnknownNameError
from labkit.files import write_atomically, write_json
from labkit.labels import CITYSCAPES_LABELS, IGNORE, SYNTHIA_IDS, TRAIN_ID_TO_ID

Progress = Callable[[int, int], None]
"""Called with the number of pairs done and the number in all."""

FORMATS: tuple[str, ...] = ("gta5", "synthia", "cityscapes")

_GTA5_PALETTE = [
    channel
    for value in range(35)
    for channel in next(label.color for label in CITYSCAPES_LABELS if label.id == (-1 if value == 34 else value))
]


def _inverse(train_id_to_id: dict[int, int]) -> np.ndarray:
    table = np.zeros(256, dtype=np.uint8)  # 0 is void in all three formats
    for train_id, value in train_id_to_id.items():
        table[train_id] = value
    return table


_TO_CITYSCAPES = _inverse(dict(enumerate(TRAIN_ID_TO_ID)))
_TO_SYNTHIA = _inverse({train: value for value, train in SYNTHIA_IDS.items() if train != IGNORE})


def encode_png(picture: Image.Image) -> bytes:
    """A picture as the content of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _gta5_label(train_ids: np.ndarray) -> bytes:
    picture = Image.fromarray(_TO_CITYSCAPES[train_ids])
    picture.putpalette(_GTA5_PALETTE)
    return encode_png(picture)


def _cityscapes_label(train_ids: np.ndarray) -> bytes:
    return encode_png(Image.fromarray(_TO_CITYSCAPES[train_ids]))


def _synthia_label(train_ids: np.ndarray) -> bytes:
    import cv2  # Pillow writes no 16-bit colour

    stored = np.zeros((*train_ids.shape, 3), dtype=np.uint16)
    stored[..., -1] = _TO_SYNTHIA[train_ids]  # OpenCV's order is BGR: R last; the instance in G stays 0
    return cv2.imencode(".png", stored)[1].tobytes()


def _target(root: Path, format: str, split: str, index: int) -> Pair:
    images, labels = _READERS[format].folders(root, split)
    if format == "cityscapes":
        name = f"minicity/minicity_{index:06d}_000019"
        return Pair(name, images / (name + IMAGE_SUFFIX), labels / (name + LABEL_SUFFIX))
    name = f"{index + 1:05d}.png" if format == "gta5" else f"{index:07d}.png"
    return Pair(name, images / name, labels / name)


_READERS: dict[str, type[PairedDataset]] = {"gta5": GTA5, "synthia": Synthia, "cityscapes": Cityscapes}
_ENCODERS = {"gta5": _gta5_label, "synthia": _synthia_label, "cityscapes": _cityscapes_label}


def export(dataset: SegmentationDataset, folder: Path | str, format: str, progress: Progress | None = None) -> int:
    """Write every pair of ``dataset`` into ``folder``; returns the number of pairs there afterwards.

    An interrupted export continues where it stopped: files appear only when they are complete. The folder
    holds one data set; Cityscapes' format takes another split beside the first, as city ``minicity``. Ignored
    pixels are stored as id 0.

    Args:
        dataset: what to write; its trainIds become the format's ids.
        folder: created where missing.
        format: ``"gta5"`` (``images``, palette PNGs in ``labels``), ``"synthia"`` (``RGB``, 16-bit PNGs in
            ``GT/LABELS``) or ``"cityscapes"`` (``leftImg8bit``, ``gtFine``).
        progress: called after each pair with done and total.

    Raises:
        UnknownNameError: no such format.
        LabError: the folder holds something else, or cannot be written.
    """
    if format not in FORMATS:
        raise UnknownNameError("format", format, FORMATS)
    root = Path(folder)
    part = dataset.split if format == "cityscapes" else "all"
    claim(root, dataset.name, format, part, dataset.fingerprint())
    for index in range(len(dataset)):
        pair = _target(root, format, dataset.split, index)
        if not (pair.image.exists() and pair.label.exists()):
            sample = dataset[index]
            write_atomically(pair.image, encode_png(Image.fromarray(sample.image)))
            write_atomically(pair.label, _ENCODERS[format](sample.label))
        if progress is not None:
            progress(index + 1, len(dataset))
    return len(dataset)


def claim(root: Path, name: str, format: str, part: str, fingerprint: dict) -> None:
    """Note in a folder what is going to be in it: a part of a data set, with what decides its pixels.

    Raises:
        LabError: it holds something else.
    """
    fingerprint = json.loads(json.dumps(fingerprint))
    origin = found = read_origin(root)
    if found is None:
        if root.is_dir() and any(not path.name.startswith(".") for path in root.iterdir()):
            raise LabError(f"{root}: is not empty and was not written by labkit; choose a new folder")
        origin = {"name": name, "format": format, "parts": {}}
    same = (origin["name"], origin["format"]) == (name, format)
    if not same or origin["parts"].get(part, fingerprint) != fingerprint:
        raise LabError(
            f"{root}: already holds another export ({origin['name']} as {origin['format']}, parts "
            f"{', '.join(sorted(origin['parts']))}); choose a new folder, or remove this one"
        )
    if found is None or part not in origin["parts"]:
        origin["parts"][part] = fingerprint
        write_json(root / ORIGIN, origin)


def make(
    folder: Path | str,
    style: str,
    format: str,
    count: int,
    size: tuple[int, int],
    seed: int = 0,
    progress: Progress | None = None,
) -> int:
    """Generate ``count`` pairs of MiniCity in a data set's on-disk format; returns ``count``.

    In Cityscapes' format a fifth of them (at least one, if there are two or more) are ``val`` scenes and go
    to ``val``, the others to ``train``. GTA5 and SYNTHIA have no such folders: all are ``train`` scenes.

    Args:
        folder: created where missing; see :func:`export`.
        style: ``"game"``, ``"toon"`` or ``"real"``.
        format: ``"gta5"``, ``"synthia"`` or ``"cityscapes"``.
        count: number of pairs, at least 1.
        size: (H, W) in pixels.
        seed: which scenes.
        progress: called after each pair with done and total.
    """
    from labkit.data.minicity import MiniCity

    if format not in FORMATS:
        raise UnknownNameError("format", format, FORMATS)
    if count < 1:
        raise LabError(f"count must be at least 1, not {count}")
    val = max(1, count // 5) if format == "cityscapes" and count > 1 else 0
    report = progress or (lambda done, total: None)
    train = MiniCity(style, "train", size=size, count=count - val, seed=seed)
    done = export(train, folder, format, lambda i, _: report(i, count))
    if val:
        scenes = MiniCity(style, "val", size=size, count=val, seed=seed)
        done += export(scenes, folder, format, lambda i, _: report(count - val + i, count))
    return done

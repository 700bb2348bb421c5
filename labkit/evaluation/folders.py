"""Scoring folders of PNGs: any tool's predictions against label maps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from labkit.data.pairs import read_ids_8bit
from labkit.errors import LabError, UnknownNameError
from labkit.evaluation.confusion import VOID
from labkit.evaluation.scores import Scores
from labkit.labels import CITYSCAPES_TO_TRAIN, NUM_CLASSES

ENCODINGS = {"ids": "labelIds", "trainIds": "labelTrainIds"}
"""What the numbers in a PNG are, and how Cityscapes calls such a file."""

_NAMES_OF_OTHERS = {"ids": ("_trainIds", "_labelTrainIds"), "trainIds": ("_labelIds",)}
"""How the names of files end that hold other numbers."""

_AT_ONCE = 2**21
"""Pixels that are counted at once; OpenCV's counts are float32, and exact up to 2²⁴."""

_SUFFIX = re.compile(r"_(gtFine|gtCoarse|leftImg8bit|labelIds|labelTrainIds|trainIds|pred|prediction)$")


def score_folders(
    predictions: Path,
    labels: Path,
    encoding: str = "ids",
    track: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> Scores:
    """Confusion counts over all label maps in a folder (searched recursively).

    A prediction belongs to the label map of the same name; Cityscapes' endings (``_gtFine_labelIds``,
    ``_leftImg8bit``, …) are left out of the comparison, and a prediction's name may go on after that. Both kinds of
    file hold ids or both trainIds, in 8 bits, grey or palette. A predicted id without a trainId is void: a miss where
    the truth is valid.

    Args:
        predictions, labels: folders.
        encoding: a key of :data:`ENCODINGS`.
        track: wraps the list of pairs, for a progress bar.

    Raises:
        LabError: no label maps; a label map without prediction, or of another size; a file that is no such PNG.
    """
    if encoding not in ENCODINGS:
        raise UnknownNameError("encoding of labels", encoding, ENCODINGS)
    stored = np.zeros((256, 256), np.int64)
    pairs = match_folders(predictions, labels, encoding)
    if other := next((said for said, _ in pairs if said.stem.endswith(_NAMES_OF_OTHERS[encoding])), None):
        raise LabError(
            f"{other}: its name says that it does not hold {encoding}, as was asked for; both folders have to hold the "
            "same kind (--labels)"
        )
    for said, truth in track(pairs):
        stored += _count_stored(*_read_pair(said, truth))
    return Scores(_by_train_id(stored, encoding), len(pairs))


def match_folders(predictions: Path, labels: Path, encoding: str) -> list[tuple[Path, Path]]:
    """Pairs (prediction, label map), in the order of the label maps' names."""
    truths, said = _label_files(Path(labels), encoding), _pngs(Path(predictions))
    if len({_key(path) for path in truths}) < len(truths):  # names repeat: the folders have to tell them apart
        return _match_by_path(Path(predictions), said, Path(labels), truths)
    by_key = _unique({path: _key(path) for path in said})
    pairs, missing = [], []
    for truth in truths:
        key = _key(truth)
        longer = [path for path in said if path.stem.startswith(key + "_")] if key not in by_key else []
        if key in by_key:
            pairs.append((by_key[key], truth))
        elif len(longer) == 1:
            pairs.append((longer[0], truth))
        else:
            missing.append(f"{truth} ({len(longer)} files in {predictions} begin with {key}_)")
    if missing:
        raise LabError(
            f"{len(missing)} of {len(truths)} label maps have no prediction of their own; the first: {missing[0]}. "
            "Name each prediction like its label map"
        )
    return pairs


def _match_by_path(predictions: Path, said: list[Path], labels: Path, truths: list[Path]) -> list[tuple[Path, Path]]:
    """Pairs of equal name in equal subfolders."""
    by_key = _unique({path: str(path.relative_to(predictions).parent / _key(path)) for path in said})
    keys = _unique({path: str(path.relative_to(labels).parent / _key(path)) for path in truths})
    missing = [path for key, path in keys.items() if key not in by_key]
    if missing:
        raise LabError(
            f"{len(missing)} of {len(truths)} label maps have no prediction of their own; the first: {missing[0]}. "
            "Names repeat in subfolders, so put each prediction into the same subfolder as its label map"
        )
    return [(by_key[key], path) for key, path in keys.items()]


def _unique(keys: dict[Path, str]) -> dict[str, Path]:
    """Files by key; an error names two that share one."""
    found: dict[str, Path] = {}
    for path, key in keys.items():
        if key in found:
            raise LabError(f"{found[key]} and {path} are named alike; leave one prediction for each label map")
        found[key] = path
    return found


def _read_pair(said: Path, truth: Path) -> tuple[np.ndarray, np.ndarray]:
    prediction, label = read_ids_8bit(said), read_ids_8bit(truth)
    if prediction.shape != label.shape:
        raise LabError(
            f"{said}: {prediction.shape[0]}×{prediction.shape[1]} pixels, but its label map {truth} has "
            f"{label.shape[0]}×{label.shape[1]}; write predictions at the label's size"
        )
    return prediction, label


def _count_stored(prediction: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Pixels by truth (rows) and prediction, both as stored in 8 bits: int64 ``(256, 256)``.

    One pass over the pixels, without any table of ids or wider integers: it costs a sixth of reading the two files.
    """
    import cv2

    counts = np.zeros((256, 256), np.int64)
    for start in range(0, label.size, _AT_ONCE):
        pair = [maps.reshape(-1)[start : start + _AT_ONCE] for maps in (label, prediction)]
        # Neighbours are mostly alike, and a counter cannot be raised again before it was stored. So four parts of the
        # picture are interleaved, which halves the time. At most three pixels are left over.
        even = pair[0].size // 4 * 4
        np.add.at(counts, tuple(maps[even:] for maps in pair), 1)
        if even:
            mixed = [cv2.merge(list(maps[:even].reshape(4, 1, -1))).reshape(1, -1) for maps in pair]
            counts += cv2.calcHist(mixed, [0, 1], None, [256, 256], [0, 256, 0, 256]).astype(np.int64)
    return counts


def _by_train_id(stored: np.ndarray, encoding: str) -> np.ndarray:
    """Counts ``(19, 20)`` as of :func:`labkit.evaluation.confusion.confusion_counts`, from those by stored number."""
    train_ids = CITYSCAPES_TO_TRAIN if encoding == "ids" else np.arange(256)
    place = np.minimum(train_ids, VOID)
    counts = np.zeros((VOID + 1, VOID + 1), np.int64)
    np.add.at(counts, (place[:, None], place), stored)
    return counts[:NUM_CLASSES]


def _label_files(folder: Path, encoding: str) -> list[Path]:
    """All PNGs; of a Cityscapes folder only those of the encoding."""
    files = _pngs(folder)
    ours = [path for path in files if path.stem.endswith("_" + ENCODINGS[encoding])]
    if ours:
        return ours
    if any(path.stem.endswith(("_labelIds", "_labelTrainIds", "_color", "_instanceIds")) for path in files):
        raise LabError(f"{folder}: no file ends in _{ENCODINGS[encoding]}.png; choose another encoding of labels")
    return files


def _pngs(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise LabError(f"{folder}: no such folder")
    files = sorted(folder.rglob("*.png"))
    if not files:
        raise LabError(f"{folder}: no PNG files in it")
    return files


def _key(path: Path) -> str:
    key = path.stem
    while (shorter := _SUFFIX.sub("", key)) != key:
        key = shorter
    return key

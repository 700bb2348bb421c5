"""Which pictures of a data set hold which class: the mapping M_c of yan2022 §III-C, made once and kept on disk."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labkit.data.dataset import SegmentationDataset, labelled
from labkit.data.pairs import PairedDataset, resize_labels
from labkit.errors import LabError
from labkit.files import write_atomically
from labkit.labels import NUM_CLASSES

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ClassDatabase:
    """The pictures of a data set by class.

    .. math:: M_c = \\{(x_s, y_s) \\mid c \\in y_s\\}

    Attributes:
        presence: bool ``(pictures, 19)``: whether a picture has a pixel of a trainId.
    """

    presence: np.ndarray

    def pictures_with(self, train_id: int) -> np.ndarray:
        """Indices of the pictures that hold the class, ascending; none for a class that does not occur."""
        return np.flatnonzero(self.presence[:, train_id])

    @property
    def classes(self) -> tuple[int, ...]:
        """The trainIds that occur in some picture, ascending."""
        return tuple(np.flatnonzero(self.presence.any(axis=0)).tolist())


def build_class_database(
    dataset: SegmentationDataset,
    folder: Path | str | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> ClassDatabase:
    """Look through the label maps of all pictures, or find what an earlier look has written.

    Of a data set on disk the label maps alone are decoded.

    Args:
        dataset: with labels.
        folder: where the database is kept, in a file named by a digest of the data set's fingerprint. A file there that
            is damaged, or about other pictures, is replaced with a warning. Nothing is kept where ``None``.
        progress: called with (pictures done, pictures in all) while the label maps are read.

    Raises:
        LabError: a data set without labels, a file of it that cannot be read, or a folder that cannot be written.
    """
    if not labelled(dataset):
        raise LabError(f"{dataset.name} {dataset.split} has no labels, so no classes can be looked up in it")
    fingerprint = json.dumps(dataset.fingerprint(), sort_keys=True)
    name = f"class-database-{hashlib.sha256(fingerprint.encode()).hexdigest()[:16]}.json"
    file = None if folder is None else Path(folder) / name
    if file is not None and file.exists():
        try:
            return ClassDatabase(_read(file, fingerprint, len(dataset)))
        except (OSError, ValueError, LookupError, TypeError) as error:
            log.warning("%s: damaged, or of another data set (%s); it is made again", file, error)
    presence = np.zeros((len(dataset), NUM_CLASSES), bool)
    for index in range(len(dataset)):
        counts = np.bincount(_label(dataset, index).ravel(), minlength=256)
        presence[index] = counts[:NUM_CLASSES] > 0
        if progress:
            progress(index + 1, len(dataset))
    if file is not None:
        write_atomically(file, _text(fingerprint, presence))
    return ClassDatabase(presence)


def _label(dataset: SegmentationDataset, index: int) -> np.ndarray:
    if isinstance(dataset, PairedDataset):  # its pictures take several times as long to decode as its label maps
        return resize_labels(dataset.read_label(dataset.pairs[index].label), dataset.size)
    return dataset[index].label


def _text(fingerprint: str, presence: np.ndarray) -> str:
    """What is written: the trainIds of each picture, readable without labkit."""
    classes = [np.flatnonzero(row).tolist() for row in presence]
    return json.dumps({"fingerprint": json.loads(fingerprint), "classes": classes, "sha256": _checksum(classes)})


def _read(file: Path, fingerprint: str, pictures: int) -> np.ndarray:
    """``presence`` of what :func:`_text` wrote; raises a plain error where it is anything else."""
    stored = json.loads(file.read_text(encoding="utf-8"))
    if json.dumps(stored["fingerprint"], sort_keys=True) != fingerprint:
        raise ValueError("the fingerprint differs")
    if len(stored["classes"]) != pictures or stored["sha256"] != _checksum(stored["classes"]):
        raise ValueError("the number of pictures, or the checksum, differs")
    presence = np.zeros((pictures, NUM_CLASSES), bool)
    for row, classes in zip(presence, stored["classes"], strict=True):
        row[classes] = True
    return presence


def _checksum(classes: list[list[int]]) -> str:
    return hashlib.sha256(json.dumps(classes).encode()).hexdigest()

"""Counts of single pictures beside a recorded sweep: one compressed file for all of its rows and seeds."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from labkit.errors import LabError
from labkit.evaluation.picture_counts import PictureCounts
from labkit.files import write_atomically
from labkit.report.recording import pictures_folder
from labkit.report.results import RESULTS

COUNTS = "counts.npz"

TOLERANCE = 5e-4
"""By how much mIoU of the counts may differ from the recorded one: another device may see a few pixels differently."""


def counts_file(record: Mapping[str, Any], folder: Path = RESULTS) -> Path:
    """Where the counts of a recorded sweep lie: beside its pictures."""
    return pictures_folder(record, folder) / COUNTS


def write_counts(
    record: Mapping[str, Any], counts: Mapping[str, Sequence[PictureCounts]], folder: Path = RESULTS
) -> Path:
    """Write the counts of every picture beside a record, compressed, whole or not at all; the same counts, same bytes.

    The arrays are ``01/intersection`` and ``01/union`` for the record's first row, and so on, int32
    ``(seeds, pictures, 19)``.

    Args:
        record: the outcome of a sweep.
        counts: of every row by its name, one for each of the record's seeds in their order.
        folder: of the records.

    Raises:
        LabError: a row without counts, or counts that are not what the row was scored with.
    """
    path, arrays = counts_file(record, folder), {}
    for number, row in enumerate(record["rows"], 1):
        if row["name"] not in counts:
            raise LabError(f"{path}: there are no counts of the row {row['name']!r}; count the pictures of all rows")
        of = _checked(list(counts[row["name"]]), row, record, path)
        for name, parts in (("intersection", "intersections"), ("union", "unions")):
            arrays[f"{number:02}/{name}"] = np.stack([getattr(one, parts) for one in of]).astype(np.int32)
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    write_atomically(path, file.getvalue())
    return path


def load_counts(record: Mapping[str, Any], folder: Path = RESULTS) -> dict[str, list[PictureCounts]]:
    """The counts that :func:`write_counts` wrote: for every row one for each seed; empty where there is no file.

    Raises:
        LabError: a damaged file, or one that is not of this record.
    """
    path = counts_file(record, folder)
    if not path.is_file():
        return {}
    evaluation, counts = record["report"]["evaluation"], {}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for number, row in enumerate(record["rows"], 1):
                both = (arrays[f"{number:02}/{name}"].astype(np.int64) for name in ("intersection", "union"))
                counts[row["name"]] = [PictureCounts(*of, evaluation) for of in zip(*both, strict=True)]
    except (KeyError, ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise LabError(f"{path}: damaged, or not of this record ({error}); record the sweep again") from error
    return {row["name"]: _checked(counts[row["name"]], row, record, path) for row in record["rows"]}


def _checked(
    counts: list[PictureCounts], row: Mapping[str, Any], record: Mapping[str, Any], path: Path
) -> list[PictureCounts]:
    """Counts that give the recorded scores: those of another training or of other pictures would not."""
    scores, pictures = [mean_iou(one) for one in counts], {len(one) for one in counts}
    if pictures != {record["report"]["images"]} or not _alike(scores, row["miou"]):
        raise LabError(
            f"{path}: the counts of {row['name']!r} are of {sorted(pictures)} pictures with mIoU {_listed(scores)}; "
            f"recorded are {record['report']['images']} pictures with {_listed(row['miou'])}. Record both together"
        )
    return counts


def _alike(first: Sequence[float], second: Sequence[float]) -> bool:
    return len(first) == len(second) and np.allclose(first, second, rtol=0, atol=TOLERANCE, equal_nan=True)


def _listed(scores: Sequence[float]) -> str:
    return ", ".join(f"{100 * score:.2f} %" for score in scores)


def mean_iou(counts: PictureCounts, evaluation: str | None = None) -> float:
    """The mean IoU over all pictures, absent classes left out; NaN if all are absent.

    Args:
        counts: of one training.
        evaluation: the classes of the mean, a key of :data:`labkit.labels.EVALUATIONS`; by default the data set's own.
    """
    intersections, unions = (part.sum(axis=0) for part in counts.over(evaluation or counts.evaluation))
    present = unions > 0
    return float((intersections[present] / unions[present]).mean()) if present.any() else float("nan")

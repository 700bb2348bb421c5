"""Cityscapes' polygon files, and why two label maps drawn from one of them differ along the borders.

Annotators drew polygons (``*_gtFine_polygons.json``); label maps are made from them. ``_labelIds.png`` was drawn once,
by the publishers. ``_labelTrainIds.png`` is drawn anew by each user, by cityscapesscripts' ``createTrainIdLabelImgs``,
with the Pillow that is installed there. The same Pillow gives the same borders in both. But Pillow 2.5 (2014) came with
another way of filling polygons, and pixels along the borders change sides between before and after; that the published
maps were drawn before is what their maintainers, and we, take for the reason of the differences. Who maps ids to
trainIds by a table, as labkit does, keeps the publishers' borders.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from labkit.errors import LabError
from labkit.files import read_json
from labkit.labels import CITYSCAPES_LABELS, CITYSCAPES_TO_TRAIN

Fill = Callable[[np.ndarray, Sequence[tuple[float, float]], int], None]
"""Sets the pixels of a polygon, corners as (x, y), to a value in a uint8 ``(H, W)`` map."""

EXAMPLE: dict[str, Any] = {
    "imgHeight": 96,
    "imgWidth": 192,
    "objects": [
        {"label": "sky", "polygon": [[0, 0], [191, 0], [191, 60], [0, 60]]},
        {"label": "building", "polygon": [[0, 3], [37, 14], [71, 29], [84, 41], [84, 58], [0, 71]]},
        {
            "label": "vegetation",
            "polygon": [[101, 57], [117, 21], [139, 12], [168, 17], [191, 9], [191, 66]],
        },
        {"label": "road", "polygon": [[0, 95], [0, 74], [86, 53], [103, 53], [191, 79], [191, 95]]},
        {"label": "sidewalk", "polygon": [[0, 74], [0, 64], [83, 52], [89, 53]]},
        {"label": "pole", "polygon": [[60, 19], [63, 19], [64, 62], [61, 62]]},
        {"label": "traffic sign", "polygon": [[57, 19], [61, 13], [67, 15], [67, 23], [62, 27]]},
        {"label": "car", "polygon": [[112, 71], [115, 62], [121, 55], [139, 54], [148, 61], [153, 73], [131, 78]]},
        {"label": "license plate", "polygon": [[120, 68], [129, 69], [129, 72], [120, 71]]},
        {"label": "person", "polygon": [[31, 55], [34, 48], [38, 49], [41, 57], [39, 78], [33, 79]]},
        {"label": "ego vehicle", "polygon": [[38, 95], [61, 88], [128, 87], [155, 95]]},
    ],
}
"""A small street, as a polygon file holds it."""


def fill_on_lines(canvas: np.ndarray, corners: Sequence[tuple[float, float]], value: int) -> None:
    """As the installed Pillow does: rows are cut along their whole numbers."""
    picture = Image.fromarray(canvas)
    ImageDraw.Draw(picture).polygon([tuple(corner) for corner in corners], fill=value)
    canvas[:] = np.asarray(picture)


def fill_at_centres(canvas: np.ndarray, corners: Sequence[tuple[float, float]], value: int) -> None:
    """As Pillow did before version 2.5: rows are cut half a pixel lower, corners taken as whole numbers.

    In row y the line y + ½ crosses the polygon's edges at x₁ ≤ x₂ ≤ …; from x₁ to x₂, from x₃ to x₄, … the pixels
    ⌈x₁ − ½⌉ to ⌊x₂ + ½⌋ are set.
    """
    points = [(int(x), int(y)) for x, y in corners]
    edges = [(a, b) for a, b in zip(points, [*points[1:], points[0]], strict=True) if a[1] != b[1]]
    height, width = canvas.shape
    for row in range(max(0, min(y for _, y in points)), min(height - 1, max(y for _, y in points)) + 1):
        line = row + 0.5
        crossings = sorted(
            ax + (line - ay) * (bx - ax) / (by - ay) for (ax, ay), (bx, by) in edges if min(ay, by) < line < max(ay, by)
        )
        for left, right in zip(crossings[::2], crossings[1::2], strict=True):
            canvas[row, max(0, math.ceil(left - 0.5)) : min(width - 1, math.floor(right + 0.5)) + 1] = value


def draw_labels(polygons: Path | str | dict, encoding: str = "ids", fill: Fill = fill_on_lines) -> np.ndarray:
    """A label map, uint8 ``(H, W)``, from a polygon file, as cityscapesscripts' ``json2labelImg`` draws it.

    Later objects cover earlier ones. Deleted ones, and those with a negative id (licence plates), are not drawn: the
    car stays. A group (``cargroup``) counts as its class, unless it is one of the classes itself (``polegroup``).

    Args:
        polygons: a ``_polygons.json``, or its content.
        encoding: ``"ids"`` or ``"trainIds"``.
        fill: how a polygon becomes pixels.

    Raises:
        LabError: no such file, or not one of polygons; an unknown label or encoding.
    """
    file = "polygons" if isinstance(polygons, dict) else Path(polygons)
    content = polygons if isinstance(polygons, dict) else read_json(file)
    if encoding not in ("ids", "trainIds"):
        raise LabError(f"encoding {encoding!r} is not known; known: ids, trainIds")
    known = {label.name: label for label in CITYSCAPES_LABELS}
    try:
        size = content["imgHeight"], content["imgWidth"]
        canvas = np.full(size, 0 if encoding == "ids" else known["unlabeled"].train_id, np.uint8)
        for thing in content["objects"]:
            name, corners = thing["label"], thing["polygon"]
            label = known.get(name) or known.get(name.removesuffix("group"))
            if label is None:
                raise LabError(f"{file}: the label {name!r} is not one of Cityscapes'; take the file from the original")
            if label.id >= 0 and not thing.get("deleted"):
                fill(canvas, corners, label.id if encoding == "ids" else label.train_id)
    except (KeyError, TypeError, ValueError) as error:
        raise LabError(f"{file}: not a polygon file of Cityscapes ({error!r}); take it from the original") from None
    return canvas


def two_label_maps(polygons: Path | str | dict) -> tuple[np.ndarray, np.ndarray]:
    """Two maps of trainIds, uint8 ``(H, W)``, from one polygon file.

    The first: ids drawn as Pillow did before 2.5, then mapped by the table, like the published ``_labelIds.png``.
    The second: trainIds drawn with the installed Pillow, like a ``_labelTrainIds.png`` of today.
    """
    published = CITYSCAPES_TO_TRAIN[draw_labels(polygons, "ids", fill_at_centres)]
    return published, draw_labels(polygons, "trainIds")

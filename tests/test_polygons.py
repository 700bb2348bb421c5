"""Label maps from polygon files: against cityscapesscripts, and against what an old Pillow drew."""

from __future__ import annotations

import json

import numpy as np
import pytest
from cityscapesscripts.helpers.annotation import Annotation
from cityscapesscripts.helpers.labels import id2label, name2label
from cityscapesscripts.preparation.json2labelImg import createLabelImage
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.data import polygons
from labkit.errors import LabError
from labkit.labels import CITYSCAPES_TO_TRAIN

NAMES = [*name2label, "cargroup", "persongroup"]
corners = st.lists(st.tuples(st.integers(-5, 45), st.integers(-5, 35)), min_size=3, max_size=8)
things = st.lists(st.tuples(st.sampled_from(NAMES), corners, st.booleans()), max_size=8)


def referee(content: dict, encoding: str, tmp_path) -> np.ndarray:
    file = tmp_path / "x_gtFine_polygons.json"
    file.write_text(json.dumps(content))
    annotation = Annotation()
    annotation.fromJsonFile(str(file))
    return np.array(createLabelImage(annotation, encoding))


@settings(max_examples=40, deadline=None)
@given(objects=things)
def test_drawn_as_cityscapesscripts_draws(tmp_path_factory, objects):
    content = {
        "imgHeight": 30,
        "imgWidth": 40,
        "objects": [
            {"label": label, "polygon": [list(point) for point in points], **({"deleted": 1} if gone else {})}
            for label, points, gone in objects
        ],
    }
    folder = tmp_path_factory.mktemp("drawn")
    for encoding in ("ids", "trainIds"):
        expected = referee(content, encoding, folder)
        np.testing.assert_array_equal(polygons.draw_labels(content, encoding), expected)
    # One drawer, two encodings: the same borders, so the encoding is not what makes them differ.
    table = np.array([id2label[value].trainId if value in id2label else 255 for value in range(256)]) % 256
    ids = polygons.draw_labels(folder / "x_gtFine_polygons.json")
    np.testing.assert_array_equal(table[ids], polygons.draw_labels(content, "trainIds"))


# Drawn by Pillow 2.2.2. Release 2.5 brought another way of filling polygons.
OLD_PILLOW = [
    "11111111111111111111111111",
    "12222222111551111111111111",
    "22222222211551111111111111",
    "22222222221551111111111111",
    "22262222222551111111111111",
    "22266222222551111111111111",
    "22266222222551111444411111",
    "22266666622551144444441111",
    "26662666222551444444444111",
    "22662663333333444444444111",
    "22666663333334444444444411",
    "22666663333333444444444111",
    "22663663333333333444333333",
    "11633366333333333333333333",
    "13333333333333333333333333",
    "..........................",
]
SHAPES = (
    [(0, 0), (25, 0), (25, 15), (0, 15)],
    [(-3, 2), (6, 1), (11, 6), (9, 12), (0, 13)],
    [(0, 15), (8, 9), (17, 9), (30, 15)],
    [(13, 11), (15, 7), (20, 6), (23, 11), (18, 13)],
    [(11, 1), (12, 1), (12, 9), (11, 9)],
    [(3, 4), (7, 14), (1, 8), (8, 7), (2, 14)],
)


def test_the_old_way_of_filling_is_old_pillows():
    canvas = np.zeros((16, 26), np.uint8)
    for value, shape in enumerate(SHAPES, 1):
        polygons.fill_at_centres(canvas, shape, value)
    assert ["".join(".123456"[value] for value in row) for row in canvas] == OLD_PILLOW


def test_two_maps_of_one_street_differ_along_borders_alone():
    published, redrawn = polygons.two_label_maps(polygons.EXAMPLE)
    differ = published != redrawn
    assert 0.005 < differ.mean() < 0.05
    border = np.zeros_like(differ)
    for label in (published, redrawn):
        for axis in (0, 1):
            step = np.diff(label.astype(int), axis=axis) != 0
            border |= np.pad(step, [(0, 1) if i == axis else (0, 0) for i in (0, 1)])
            border |= np.pad(step, [(1, 0) if i == axis else (0, 0) for i in (0, 1)])
    assert not (differ & ~border).any()
    same = polygons.draw_labels(polygons.EXAMPLE, "ids")
    np.testing.assert_array_equal(CITYSCAPES_TO_TRAIN[same], redrawn)
    assert {0, 1, 2, 5, 7, 8, 10, 11, 13, 255} == set(np.unique(redrawn))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"imgHeight": 3, "imgWidth": 4, "objects": [{"label": "bus stop", "polygon": []}]}', "label 'bus stop'"),
        ('{"imgHeight": 3, "imgWidth": 4}', "not a polygon file of Cityscapes"),
        ("[1]", "not a polygon file"),
        ("{", "not valid JSON"),
    ],
)
def test_what_is_no_polygon_file_is_named(tmp_path, content, message):
    file = tmp_path / "a_polygons.json"
    file.write_text(content)
    with pytest.raises(LabError, match=message) as caught:
        polygons.draw_labels(file)
    assert str(file) in str(caught.value)
    with pytest.raises(LabError, match="known: ids, trainIds"):
        polygons.draw_labels(polygons.EXAMPLE, "color")

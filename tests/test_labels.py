"""The label tables against cityscapesscripts, and the other data sets' classes by their names."""

import numpy as np
import pytest
from cityscapesscripts.helpers import labels as referee

from labkit import labels

# Class names by id from the data sets' own descriptions, in Cityscapes' spelling; None has no counterpart.
SYNTHIA_CLASSES = [
    None, "sky", "building", "road", "sidewalk", "fence", "vegetation", "pole", "car", "traffic sign",
    "person", "bicycle", "motorcycle", None, None, "traffic light", "terrain", "rider", "truck", "bus",
    "train", "wall", None,
]  # fmt: skip
CAMVID_CLASSES = [
    "sky", "building", "pole", "road", "sidewalk", "vegetation", "traffic sign", "fence", "car", "person",
    "rider", None,
]  # fmt: skip


@pytest.mark.parametrize("row", referee.labels, ids=lambda row: row.name)
def test_row_agrees_with_cityscapesscripts(row):
    (ours,) = [label for label in labels.CITYSCAPES_LABELS if label.id == row.id]
    assert ours.name == row.name
    assert ours.color == row.color
    # cityscapesscripts gives the licence plate the trainId −1; both mean that it is not trained on.
    assert ours.train_id == (labels.IGNORE if row.trainId == -1 else row.trainId)
    assert (ours.train_id == labels.IGNORE) == row.ignoreInEval


def test_no_row_is_missing_or_double():
    assert sorted(label.id for label in labels.CITYSCAPES_LABELS) == sorted(row.id for row in referee.labels)


def test_train_tables_agree_with_cityscapesscripts():
    rows = [referee.trainId2label[i] for i in range(19)]
    assert [row.name for row in rows] == list(labels.CLASS_NAMES)
    assert [row.color for row in rows] == [tuple(map(int, color)) for color in labels.PALETTE]
    assert [row.id for row in rows] == labels.TRAIN_ID_TO_ID.tolist()
    assert labels.NUM_CLASSES == 19


@pytest.mark.parametrize(
    ("table", "classes"),
    [(labels.SYNTHIA_TO_TRAIN, SYNTHIA_CLASSES), (labels.CAMVID_TO_TRAIN, CAMVID_CLASSES)],
    ids=["synthia", "camvid"],
)
def test_classes_of_other_data_sets_by_name(table, classes):
    for value in range(256):
        name = classes[value] if value < len(classes) else None
        expected = 255 if name is None else referee.name2label[name].trainId
        assert table[value] == expected, f"id {value} is {name}"


def test_cityscapes_table():
    expected = np.full(256, 255)
    for row in referee.labels:
        if row.trainId not in (-1, 255):
            expected[row.id] = row.trainId
    np.testing.assert_array_equal(labels.CITYSCAPES_TO_TRAIN, expected)
    assert labels.CITYSCAPES_TO_TRAIN.dtype == np.uint8


def test_lookup_table_stores_minus_one_as_an_8_bit_file_does():
    assert labels.lookup_table({-1: 7})[np.array([-1]).astype(np.uint8)] == 7


def test_sixteen_and_thirteen_classes():
    absent = {"terrain", "truck", "train"}
    sixteen = labels.EVALUATIONS["miou16"]
    assert set(labels.CLASS_NAMES) - set(sixteen.class_names) == absent
    thirteen = labels.EVALUATIONS["miou13"]
    assert set(sixteen.class_names) - set(thirteen.class_names) == {"wall", "fence", "pole"}
    assert len(thirteen.train_ids) == 13
    assert labels.EVALUATIONS["miou"].class_names == labels.CLASS_NAMES


def test_only_camvid_merges_and_into_its_own_eleven():
    for name, evaluation in labels.EVALUATIONS.items():
        assert evaluation.name == name
        if name != "miou11":
            assert evaluation.merge == tuple(range(19))
    eleven = labels.EVALUATIONS["miou11"]
    assert set(eleven.class_names) == set(CAMVID_CLASSES) - {None}
    assert set(eleven.merge) == set(eleven.train_ids)
    assert all(eleven.merge[i] == i for i in eleven.train_ids)
    merged = {
        name: labels.CLASS_NAMES[eleven.merge[i]]
        for i, name in enumerate(labels.CLASS_NAMES)
        if i not in eleven.train_ids
    }
    assert merged == {
        "wall": "building", "traffic light": "traffic sign", "terrain": "vegetation", "truck": "car",
        "bus": "car", "train": "car", "motorcycle": "rider", "bicycle": "rider",
    }  # fmt: skip


def test_colorize():
    colors = labels.colorize(np.array([[0, 13, 18, 255, 77]], dtype=np.uint8))
    expected = [referee.trainId2label[i].color for i in (0, 13, 18)] + [(0, 0, 0)] * 2
    assert [tuple(map(int, color)) for color in colors[0]] == expected

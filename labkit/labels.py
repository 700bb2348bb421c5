"""Classes, ids, trainIds and colours, and the class sets that the papers are scored over.

The authority is the public package ``cityscapesscripts`` (``helpers/labels.py``); a test compares every row
with it. Ids are what a data set stores on disk; trainIds (0–18) are what networks predict; every id without a
trainId is :data:`IGNORE`. Colours are not unique over ids (18 *polegroup* wears the pole's grey, −1 *license plate* the
car's blue), so labels are never decoded from colours here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

IGNORE = 255
"""The trainId of pixels that neither train nor score."""


class Label(NamedTuple):
    """One row of the Cityscapes label table: id on disk, trainId or 255, name, RGB colour 0–255."""

    id: int
    train_id: int
    name: str
    color: tuple[int, int, int]


CITYSCAPES_LABELS: tuple[Label, ...] = (
    Label(0, IGNORE, "unlabeled", (0, 0, 0)),
    Label(1, IGNORE, "ego vehicle", (0, 0, 0)),
    Label(2, IGNORE, "rectification border", (0, 0, 0)),
    Label(3, IGNORE, "out of roi", (0, 0, 0)),
    Label(4, IGNORE, "static", (0, 0, 0)),
    Label(5, IGNORE, "dynamic", (111, 74, 0)),
    Label(6, IGNORE, "ground", (81, 0, 81)),
    Label(7, 0, "road", (128, 64, 128)),
    Label(8, 1, "sidewalk", (244, 35, 232)),
    Label(9, IGNORE, "parking", (250, 170, 160)),
    Label(10, IGNORE, "rail track", (230, 150, 140)),
    Label(11, 2, "building", (70, 70, 70)),
    Label(12, 3, "wall", (102, 102, 156)),
    Label(13, 4, "fence", (190, 153, 153)),
    Label(14, IGNORE, "guard rail", (180, 165, 180)),
    Label(15, IGNORE, "bridge", (150, 100, 100)),
    Label(16, IGNORE, "tunnel", (150, 120, 90)),
    Label(17, 5, "pole", (153, 153, 153)),
    Label(18, IGNORE, "polegroup", (153, 153, 153)),
    Label(19, 6, "traffic light", (250, 170, 30)),
    Label(20, 7, "traffic sign", (220, 220, 0)),
    Label(21, 8, "vegetation", (107, 142, 35)),
    Label(22, 9, "terrain", (152, 251, 152)),
    Label(23, 10, "sky", (70, 130, 180)),
    Label(24, 11, "person", (220, 20, 60)),
    Label(25, 12, "rider", (255, 0, 0)),
    Label(26, 13, "car", (0, 0, 142)),
    Label(27, 14, "truck", (0, 0, 70)),
    Label(28, 15, "bus", (0, 60, 100)),
    Label(29, IGNORE, "caravan", (0, 0, 90)),
    Label(30, IGNORE, "trailer", (0, 0, 110)),
    Label(31, 16, "train", (0, 80, 100)),
    Label(32, 17, "motorcycle", (0, 0, 230)),
    Label(33, 18, "bicycle", (119, 11, 32)),
    Label(-1, IGNORE, "license plate", (0, 0, 142)),
)

TRAIN_LABELS: tuple[Label, ...] = tuple(
    sorted((label for label in CITYSCAPES_LABELS if label.train_id != IGNORE), key=lambda label: label.train_id)
)
"""The 19 classes, in the order of their trainIds."""

CLASS_NAMES: tuple[str, ...] = tuple(label.name for label in TRAIN_LABELS)
NUM_CLASSES = len(CLASS_NAMES)

PALETTE: np.ndarray = np.array([label.color for label in TRAIN_LABELS], dtype=np.uint8)
"""uint8 ``(19, 3)``: the Cityscapes colour of each trainId. Ignored pixels are drawn black."""

TRAIN_ID_TO_ID: np.ndarray = np.array([label.id for label in TRAIN_LABELS], dtype=np.uint8)
"""uint8 ``(19,)``: the id on disk of each trainId."""


def lookup_table(pairs: dict[int, int]) -> np.ndarray:
    """A uint8 ``(256,)`` table from stored value to trainId; what ``pairs`` does not name becomes 255."""
    table = np.full(256, IGNORE, dtype=np.uint8)
    for value, train_id in pairs.items():
        table[value % 256] = train_id  # id −1 is stored as 255 in an 8-bit file
    return table


CITYSCAPES_IDS: dict[int, int] = {label.id: label.train_id for label in CITYSCAPES_LABELS}
CITYSCAPES_TO_TRAIN: np.ndarray = lookup_table(CITYSCAPES_IDS)
"""Cityscapes and GTA5 ids to trainIds (GTA5 stores the licence plate as 34, which is ignored as well)."""

SYNTHIA_IDS: dict[int, int] = {
    **dict.fromkeys(range(23), IGNORE),
    3: 0, 4: 1, 2: 2, 21: 3, 5: 4, 7: 5, 15: 6, 9: 7, 6: 8, 16: 9, 1: 10, 10: 11, 17: 12, 8: 13, 18: 14, 19: 15,
    20: 16, 12: 17, 11: 18,
}  # fmt: skip
SYNTHIA_TO_TRAIN: np.ndarray = lookup_table(SYNTHIA_IDS)
"""SYNTHIA-RAND-CITYSCAPES class ids to trainIds. Terrain, truck and train do not occur in its images."""

CAMVID_NAMES: tuple[str, ...] = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
    "unlabelled",
)  # fmt: skip
CAMVID_IDS: dict[int, int] = {0: 10, 1: 2, 2: 5, 3: 0, 4: 1, 5: 8, 6: 7, 7: 4, 8: 13, 9: 11, 10: 12, 11: IGNORE}
CAMVID_TO_TRAIN: np.ndarray = lookup_table(CAMVID_IDS)
"""CamVid's 12 ids, as commonly shared, to trainIds."""


@dataclass(frozen=True)
class Evaluation:
    """A set of classes that a score is the mean over.

    Attributes:
        name: key in the JSON output (``"miou16"``).
        train_ids: the classes that are averaged.
        merge: for every predicted trainId the trainId it counts as; identity unless the data set merged
            classes when it was labelled (CamVid).
    """

    name: str
    train_ids: tuple[int, ...]
    merge: tuple[int, ...] = tuple(range(NUM_CLASSES))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the averaged classes."""
        return tuple(CLASS_NAMES[i] for i in self.train_ids)


def _merge(pairs: dict[str, str]) -> tuple[int, ...]:
    return tuple(CLASS_NAMES.index(pairs.get(name, name)) for name in CLASS_NAMES)


_SIXTEEN = (*range(9), 10, 11, 12, 13, 15, 17, 18)

EVALUATIONS: dict[str, Evaluation] = {
    "miou": Evaluation("miou", tuple(range(NUM_CLASSES))),
    "miou16": Evaluation("miou16", _SIXTEEN),
    "miou13": Evaluation("miou13", tuple(i for i in _SIXTEEN if i not in (3, 4, 5))),
    "miou11": Evaluation(
        "miou11",
        tuple(sorted(i for i in CAMVID_IDS.values() if i != IGNORE)),
        _merge(
            {
                "wall": "building",
                "traffic light": "traffic sign",
                "terrain": "vegetation",
                "truck": "car",
                "bus": "car",
                "train": "car",
                "motorcycle": "rider",
                "bicycle": "rider",
            }
        ),
    ),
}
"""The class sets by name: Cityscapes' 19, SYNTHIA's 16 and 13, CamVid's 11."""


def colorize(train_ids: np.ndarray) -> np.ndarray:
    """Colour a map of trainIds: uint8 ``(H, W)`` to uint8 RGB ``(H, W, 3)``; ignored pixels are black."""
    table = np.zeros((256, 3), dtype=np.uint8)
    table[:NUM_CLASSES] = PALETTE
    return table[train_ids]

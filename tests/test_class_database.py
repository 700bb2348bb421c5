"""The class database against a search through every picture; what it keeps on disk, and what it makes anew."""

import json
import logging

import numpy as np
import pytest

from labkit.data.class_database import build_class_database
from labkit.data.dataset import Sample
from labkit.data.export import export
from labkit.data.gta5 import GTA5
from labkit.data.minicity import MiniCity
from labkit.errors import LabError
from labkit.labels import IGNORE


class Pictures:
    """A data set of given label maps that counts how often it is read."""

    name, split, evaluation = "Pictures", "train", "miou"

    def __init__(self, labels, version=1):
        self.labels, self.version, self.reads = labels, version, 0

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        self.reads += 1
        label = np.array(self.labels[index], np.uint8)
        return Sample(np.zeros((*label.shape, 3), np.uint8), label, str(index))

    def fingerprint(self):
        return {"dataset": "pictures", "version": self.version, "size": (1, 2)}


LABELS = [[[0, 18]], [[IGNORE, IGNORE]], [[18, IGNORE]], [[4, 4]]]


def test_against_a_search_through_every_picture():
    cities = MiniCity("game", "train", (32, 64), 12)
    database = build_class_database(cities)
    assert database.presence.shape == (12, 19) and database.presence.dtype == bool
    for train_id in range(19):
        expected = [i for i in range(12) if (cities[i].label == train_id).any()]
        assert database.pictures_with(train_id).tolist() == expected
    assert set(database.classes) == {int(t) for i in range(12) for t in np.unique(cities[i].label)} - {IGNORE}


def test_by_hand():
    database = build_class_database(Pictures(LABELS))
    assert database.classes == (0, 4, 18)
    assert database.pictures_with(18).tolist() == [0, 2] and database.pictures_with(7).tolist() == []


def test_it_is_found_again_and_another_data_set_is_another_file(tmp_path):
    folder, reported = tmp_path / "databases", []
    first = build_class_database(Pictures(LABELS), folder, lambda done, total: reported.append((done, total)))
    assert reported == [(1, 4), (2, 4), (3, 4), (4, 4)]
    again = Pictures(LABELS)
    assert np.array_equal(build_class_database(again, folder).presence, first.presence) and again.reads == 0
    other = Pictures(LABELS[:2], version=2)
    assert build_class_database(other, folder).classes == (0, 18) and other.reads == 2
    files = sorted(folder.iterdir())
    assert len(files) == 2 and all(file.name.startswith("class-database-") for file in files)
    assert [[0, 18], [], [18], [4]] in [json.loads(file.read_text())["classes"] for file in files]


@pytest.mark.parametrize(
    "harm",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("[4]", "[5]"),
        lambda text: text.replace("[4]", "[40]"),
        lambda text: text.replace('"version": 1', '"version": 3'),
        lambda text: "[1, 2]",
        lambda text: '{"fingerprint": {}}',
        lambda text: "\x00" * 40,
    ],
    ids=["empty", "cut", "altered", "no class", "another data set", "a list", "half of it", "zeros"],
)
def test_what_is_damaged_or_foreign_is_made_again(tmp_path, caplog, harm):
    build_class_database(Pictures(LABELS), tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_text()
    assert harm(whole) != whole
    file.write_text(harm(whole))
    again = Pictures(LABELS)
    with caplog.at_level(logging.WARNING):
        database = build_class_database(again, tmp_path)
    assert again.reads == 4 and database.classes == (0, 4, 18)
    assert str(file) in caplog.text and file.read_text() == whole and list(tmp_path.iterdir()) == [file]


def test_an_interrupted_look_leaves_no_file(tmp_path):
    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_class_database(Pictures(LABELS), tmp_path, stop)
    assert not list(tmp_path.iterdir())


def test_on_disk_the_label_maps_alone_are_read(tmp_path):
    cities = MiniCity("game", "train", (32, 64), 4)
    export(cities, tmp_path, "gta5")
    dataset = GTA5(tmp_path, "all", (16, 32))
    expected = build_class_database(Pictures([dataset[i].label for i in range(4)]))
    for pair in dataset.pairs:
        pair.image.write_bytes(b"not a picture")
    assert np.array_equal(build_class_database(dataset).presence, expected.presence)


def test_without_labels_there_is_nothing_to_look_up():
    dataset = Pictures(LABELS)
    dataset.labelled = False
    with pytest.raises(LabError, match="Pictures train has no labels"):
        build_class_database(dataset)

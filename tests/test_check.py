"""`labkit data check`: every kind of damage is named with its file, and the rest is still checked."""

import numpy as np
import pytest
from PIL import Image
from test_formats import EVERY_CLASS, Drawn, png16, write_ids

from labkit.data.check import check
from labkit.data.export import export
from labkit.errors import LabError, UnknownNameError


@pytest.fixture
def camvid(tmp_path):
    rng = np.random.default_rng(0)
    root = tmp_path / "camvid"
    for split, count in (("train", 4), ("val", 2)):
        for i in range(count):
            write_ids(root / split / f"{i}.png", rng.integers(0, 256, (24, 32, 3)))
            write_ids(root / f"{split}annot" / f"{i}.png", rng.integers(0, 12, (24, 32)))
    return root


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_clean(camvid):
    seen = []
    report = check(camvid, progress=lambda *args: seen.append(args))
    assert (report.dataset, report.pairs, report.ok, report.bad) == ("camvid", 6, 6, [])
    assert report.clean
    assert seen == [(i, 6) for i in range(1, 7)]
    assert check(camvid, "camvid") == report


DAMAGE = {
    "missing label": ("trainannot/1.png", lambda p: p.unlink(), "label map is missing"),
    "missing image": ("train/1.png", lambda p: p.unlink(), "image is missing"),
    "truncated image": ("train/2.png", truncate, "truncated"),
    "truncated label": ("valannot/0.png", truncate, "truncated"),
    "only the end is missing": ("val/0.png", lambda p: p.write_bytes(p.read_bytes()[:-12]), "truncated"),
    "flipped bit": ("train/3.png", flip_a_bit, "damaged"),
    "empty file": ("trainannot/0.png", lambda p: p.write_bytes(b""), "empty"),
    "no picture": ("train/0.png", lambda p: p.write_text("<html>not found</html>" * 9), "not a PNG"),
    "other size": (
        "trainannot/3.png",
        lambda p: write_ids(p, np.zeros((12, 32))),
        "is 32×12 but its image is 32×24",
    ),
    "unknown ids": ("trainannot/2.png", lambda p: write_ids(p, np.full((24, 32), 12)), "the id 12"),
    "many unknown ids": (
        "valannot/1.png",
        lambda p: write_ids(p, np.arange(768).reshape(24, 32) % 256),
        "the ids 12, 13, 14, 15, 16, 17, 18, 19, …",
    ),
    "colours": ("valannot/1.png", lambda p: write_ids(p, np.zeros((24, 32, 3))), "this one is 8-bit RGB"),
    "16-bit grey": (
        "valannot/1.png",
        lambda p: Image.fromarray(np.zeros((24, 32), np.uint16)).save(p),
        "this one is 16-bit grey",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_one_damaged_file(camvid, name):
    file, damage, reason = DAMAGE[name]
    damage(camvid / file)
    report = check(camvid)
    assert not report.clean
    (problem,) = report.bad
    assert problem.file == str(camvid / file)
    assert reason in problem.reason
    assert (report.pairs, report.ok) == (6, 5)


def test_all_at_once(camvid):
    chosen = ["missing label", "truncated image", "other size", "empty file", "many unknown ids"]
    for name in chosen:
        DAMAGE[name][1](camvid / DAMAGE[name][0])
    report = check(camvid)
    assert {problem.file for problem in report.bad} == {str(camvid / DAMAGE[name][0]) for name in chosen}
    assert (report.pairs, report.ok) == (6, 1)


def test_both_halves_of_a_pair(camvid):
    truncate(camvid / "train/0.png")
    write_ids(camvid / "trainannot/0.png", np.full((24, 32), 99))
    report = check(camvid)
    assert [problem.file for problem in report.bad] == [
        str(camvid / "train/0.png"),
        str(camvid / "trainannot/0.png"),
    ]
    assert report.ok == 5


def test_empty_folders(tmp_path, camvid):
    (tmp_path / "empty").mkdir()
    report = check(tmp_path / "empty")
    assert (report.dataset, report.pairs, report.clean) == (None, 0, False)
    assert report.bad[0].file == str(tmp_path / "empty")
    assert "empty" in report.bad[0].reason
    for folder in ("val", "valannot"):
        for file in (camvid / folder).iterdir():
            file.unlink()
    report = check(camvid)
    assert [problem.file for problem in report.bad] == [str(camvid / "val"), str(camvid / "valannot")]
    assert (report.pairs, report.ok) == (4, 4)
    assert "no PNG files" in report.bad[0].reason


def test_wrong_name_and_wrong_folder(tmp_path, camvid):
    report = check(camvid, "cityscapes")
    assert (report.dataset, report.pairs, report.clean) == ("cityscapes", 0, False)
    assert report.bad[0].file == str(camvid)
    assert "like CamVid; name the data set camvid" in report.bad[0].reason
    with pytest.raises(UnknownNameError, match="known: camvid, cityscapes, gta5, synthia"):
        check(camvid, "kitti")
    with pytest.raises(LabError, match="no such folder"):
        check(tmp_path / "nowhere")
    (deeper,) = check(camvid.parent).bad
    assert f"one level deeper; name {camvid} instead" in deeper.reason
    (inside,) = check(camvid / "train").bad
    assert f"name the folder above it, {camvid}" in inside.reason


def test_misplaced_pictures(camvid):
    (camvid / "val" / "val").mkdir()
    for file in (camvid / "val").glob("*.png"):
        file.rename(camvid / "val" / "val" / file.name)
    report = check(camvid)
    assert report.bad[0].file == str(camvid / "val")
    assert "not where they are expected" in report.bad[0].reason
    assert [problem.file for problem in report.bad[1:]] == [str(camvid / f"val/{i}.png") for i in range(2)]


@pytest.mark.parametrize(
    ("format", "label"),
    [
        ("gta5", "labels/00002.png"),
        ("synthia", "GT/LABELS/0000001.png"),
        ("cityscapes", "gtFine/train/minicity/minicity_000001_000019_gtFine_labelIds.png"),
    ],
)
def test_the_other_formats(tmp_path, format, label):
    export(Drawn([EVERY_CLASS] * 12), tmp_path / "set", format)
    root = tmp_path / "set"
    report = check(root)
    assert (report.dataset, report.pairs, report.ok, report.bad) == (format, 12, 12, [])
    shape = EVERY_CLASS.shape
    wrong = np.full((*shape, 3), 60, dtype=np.uint16)
    png16(root / label, wrong) if format == "synthia" else write_ids(root / label, wrong[..., 0])
    (problem,) = check(root).bad
    assert problem.file == str(root / label)
    assert "the id 60" in problem.reason
    # Each format's own trap: colours for ids, or eight bits for sixteen.
    write_ids(root / label, wrong)
    (problem,) = check(root).bad
    assert "this one is 8-bit RGB" in problem.reason
    (root / label).unlink()
    report = check(root)
    assert [(problem.file, report.ok) for problem in report.bad] == [(str(root / label), 11)]


def test_cityscapes_without_cities(tmp_path):
    for folder, suffix in (("leftImg8bit", "leftImg8bit"), ("gtFine", "gtFine_labelIds")):
        write_ids(tmp_path / folder / "train" / f"ulm_000000_000019_{suffix}.png", [[0]])
    report = check(tmp_path)
    assert report.pairs == 0
    assert [problem.file for problem in report.bad] == [
        str(tmp_path / "leftImg8bit" / "train"),
        str(tmp_path / "gtFine" / "train"),
    ]
    assert "CITY" in report.bad[0].reason

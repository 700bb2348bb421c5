"""GTA5's, SYNTHIA's and Cityscapes' formats: written files against independent referees, and read back."""

import errno
import os
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from cityscapesscripts.helpers.labels import id2label, trainId2label
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from labkit.data import export as writer
from labkit.data.catalog import open_dataset
from labkit.data.cityscapes import Cityscapes
from labkit.data.dataset import Sample
from labkit.data.formats import detect_format
from labkit.data.gta5 import GTA5
from labkit.data.synthia import Synthia
from labkit.errors import LabError, UnknownNameError

READERS = {"gta5": GTA5, "synthia": Synthia, "cityscapes": Cityscapes}


class Drawn:
    """A data set in memory."""

    evaluation = "miou"

    def __init__(self, labels, split="train", name="Drawn"):
        self.labels, self.split, self.name, self.reads = labels, split, name, 0

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        self.reads += 1
        label = np.asarray(self.labels[index], dtype=np.uint8)
        image = np.random.default_rng(index).integers(0, 256, (*label.shape, 3), dtype=np.uint8)
        return Sample(image, label, f"drawn {index}")

    def fingerprint(self):
        return {
            "name": self.name,
            "split": self.split,
            "labels": [np.asarray(label).tolist() for label in self.labels],
        }


EVERY_CLASS = np.array([*range(19), 255], dtype=np.uint8).reshape(4, 5)
label_maps = npst.arrays(np.uint8, npst.array_shapes(min_dims=2, max_dims=2, max_side=9)).map(
    lambda array: np.where(array % 20 == 19, 255, array % 20).astype(np.uint8)
)


def decode_png(path: Path) -> tuple[np.ndarray, int, int]:
    """A slow PNG decoder after the specification: samples ``(H, W, channels)``, bit depth, colour type."""
    data = path.read_bytes()
    at, body = 8, b""
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, chunk = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunk)
            assert rest == [0, 0, 0]
            assert depth in (8, 16)
        elif kind == b"IDAT":
            body += chunk
        at += 12 + length
    channels = {0: 1, 2: 3, 3: 1}[colour]
    step, raw = channels * depth // 8, zlib.decompress(body)
    stride = width * step
    rows, above = [], bytearray(stride)
    for y in range(height):
        kind, row = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1 : (y + 1) * (stride + 1)])
        for x in range(stride):
            a, b = (row[x - step] if x >= step else 0), above[x]
            c = above[x - step] if x >= step else 0
            paeth = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            row[x] = (row[x] + (0, a, b, (a + b) // 2, paeth)[kind]) % 256
        rows.append(row)
        above = row
    samples = np.frombuffer(b"".join(rows), dtype=">u2" if depth == 16 else np.uint8)
    return samples.reshape(height, width, channels).astype(int), depth, colour


def write_ids(path, pixels, mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.asarray(pixels, dtype=np.uint8))
    if mode == "P":
        picture.putpalette(list(range(256)) * 3)
    picture.save(path)


def png16(path, pixels):
    """Write uint16 ``(H, W, 3)`` RGB without any imaging library."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width, _ = pixels.shape

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


# After the list in SYNTHIA-RAND-CITYSCAPES' own description, with Cityscapes' names for the same things. The others of
# its 23 numbers (0 void, 13 parking slot, 14 road work, 22 lane marking) have no Cityscapes class.
SYNTHIA_NAMES = {
    1: "sky",
    2: "building",
    3: "road",
    4: "sidewalk",
    5: "fence",
    6: "vegetation",
    7: "pole",
    8: "car",
    9: "traffic sign",
    10: "person",
    11: "bicycle",
    12: "motorcycle",
    15: "traffic light",
    16: "terrain",
    17: "rider",
    18: "truck",
    19: "bus",
    20: "train",
    21: "wall",
}


def expected_ids(label):
    return np.array([[0 if i == 255 else trainId2label[i].id for i in row] for row in label.tolist()])


def test_cityscapes_files_hold_the_ids_of_cityscapesscripts(tmp_path):
    assert writer.export(Drawn([EVERY_CLASS], "val"), tmp_path, "cityscapes") == 1
    (image,) = (tmp_path / "leftImg8bit" / "val" / "minicity").iterdir()
    (label,) = (tmp_path / "gtFine" / "val" / "minicity").iterdir()
    assert re.fullmatch(r"minicity_\d{6}_\d{6}_leftImg8bit\.png", image.name)
    assert label.name == image.name.replace("leftImg8bit", "gtFine_labelIds")
    samples, depth, colour = decode_png(label)
    assert (depth, colour) == (8, 0)
    np.testing.assert_array_equal(samples[..., 0], expected_ids(EVERY_CLASS))


def test_gta5_files_are_palette_pngs_in_cityscapes_ids_and_colours(tmp_path):
    writer.export(Drawn([EVERY_CLASS]), tmp_path, "gta5")
    path = tmp_path / "labels" / "00001.png"
    assert (tmp_path / "images" / "00001.png").is_file()
    samples, depth, colour = decode_png(path)
    assert (depth, colour) == (8, 3)
    np.testing.assert_array_equal(samples[..., 0], expected_ids(EVERY_CLASS))
    with Image.open(path) as picture:
        for value, pixel in zip(samples.ravel().tolist(), np.array(picture.convert("RGB")).reshape(-1, 3), strict=True):
            assert tuple(pixel.tolist()) == id2label[value].color


def test_synthia_files_are_16_bit_with_the_class_in_the_first_channel(tmp_path):
    writer.export(Drawn([EVERY_CLASS]), tmp_path, "synthia")
    samples, depth, colour = decode_png(tmp_path / "GT" / "LABELS" / "0000000.png")
    assert (depth, colour) == (16, 2)
    for train_id, (red, green, blue) in zip(EVERY_CLASS.ravel().tolist(), samples.reshape(-1, 3), strict=True):
        assert (green, blue) == (0, 0)
        assert SYNTHIA_NAMES.get(int(red)) == (None if train_id == 255 else trainId2label[train_id].name)


@pytest.mark.parametrize("format", READERS)
@settings(max_examples=15, deadline=None)
@given(labels=st.lists(label_maps, min_size=1, max_size=3))
def test_what_is_written_is_read_back(tmp_path_factory, format, labels):
    folder = tmp_path_factory.mktemp(format) / "set"
    drawn = Drawn(labels)
    writer.export(drawn, folder, format)
    assert detect_format(folder) == format
    data = open_dataset(str(folder), "train" if format == "cityscapes" else "all")
    assert isinstance(data, READERS[format])
    assert len(data) == len(labels)
    assert data.name.startswith("Drawn (")  # never to be taken for the real set
    for i in range(len(labels)):
        np.testing.assert_array_equal(data[i].label, labels[i])
        np.testing.assert_array_equal(data[i].image, drawn[i].image)


def test_held_out_tenth_is_disjoint(tmp_path):
    writer.export(Drawn([EVERY_CLASS] * 21), tmp_path, "gta5")
    names = {split: [p.name for p in GTA5(tmp_path, split).pairs] for split in ("train", "val", "all")}
    assert GTA5.available_splits(tmp_path) == ("train", "val", "all")
    assert names["val"] == ["00010", "00020"]
    assert sorted(names["train"] + names["val"]) == names["all"]


def test_gta5_follows_the_publishers_split(tmp_path):
    from scipy.io import savemat

    writer.export(Drawn([EVERY_CLASS] * 6), tmp_path, "gta5")
    savemat(tmp_path / "split.mat", {"trainIds": [[1], [4]], "valIds": [[2]], "testIds": [[3], [6]]})
    names = {split: [p.name for p in GTA5(tmp_path, split).pairs] for split in GTA5.splits}
    assert names["train"] == ["00001", "00004"] and names["val"] == ["00002"] and names["test"] == ["00003", "00006"]
    assert len(names["all"]) == 6 and GTA5.available_splits(tmp_path) == GTA5.splits
    savemat(tmp_path / "split.mat", {"trainIds": [[1]]})
    with pytest.raises(LabError, match=r"split\.mat: holds no valIds, testIds"):
        GTA5(tmp_path)
    (tmp_path / "split.mat").write_bytes(b"no matrix")
    with pytest.raises(LabError, match=r"split\.mat: cannot be read as a MATLAB file"):
        GTA5(tmp_path)


def test_gta5_leaves_out_pairs_of_unequal_size_by_name(tmp_path, caplog):
    writer.export(Drawn([EVERY_CLASS] * 4), tmp_path, "gta5")
    write_ids(tmp_path / "labels" / "00002.png", np.zeros((3, 5), np.uint8), "P")
    data = GTA5(tmp_path, "all")
    assert [pair.name for pair in data.pairs] == ["00001", "00003", "00004"]
    assert "1 of 4 pairs are left out" in caplog.text and "00002" in caplog.text
    (tmp_path / "labels" / "00003.png").write_bytes(b"")  # unreadable is another matter: said, not skipped
    with pytest.raises(LabError, match=r"labels/00003\.png: the file is empty"):
        GTA5(tmp_path, "all")[1]


def test_gta5_ignores_the_licence_plate_and_reads_any_palette(tmp_path):
    write_ids(tmp_path / "images" / "1.png", np.zeros((1, 4, 3)))
    write_ids(tmp_path / "labels" / "1.png", [[34, 7, 0, 33]], "P")
    assert GTA5(tmp_path)[0].label.tolist() == [[255, 0, 255, 18]]


def test_gta5_refuses_colours(tmp_path):
    write_ids(tmp_path / "images" / "1.png", np.zeros((2, 2, 3)))
    write_ids(tmp_path / "labels" / "1.png", np.full((2, 2, 3), 128))
    with pytest.raises(LabError, match=r"labels/1\.png: .*this one is 8-bit RGB"):
        GTA5(tmp_path)[0]


def test_cityscapes_ignores_the_licence_plate_and_refuses_unknown_ids(tmp_path):
    city = "train/ulm/ulm_000000_000019"
    write_ids(tmp_path / f"leftImg8bit/{city}_leftImg8bit.png", np.zeros((1, 2, 3)))
    write_ids(tmp_path / f"gtFine/{city}_gtFine_labelIds.png", [[255, 26]])  # −1 in eight bits
    assert Cityscapes(tmp_path)[0].label.tolist() == [[255, 13]]
    write_ids(tmp_path / f"gtFine/{city}_gtFine_labelIds.png", [[34, 200]])
    with pytest.raises(LabError, match=r"the ids 34, 200, but Cityscapes's go from -1 to 33"):
        Cityscapes(tmp_path)[0]


def test_synthia_takes_the_class_and_leaves_the_instance(tmp_path):
    pixels = np.zeros((1, 3, 3), np.uint16)
    pixels[0, :, 0], pixels[0, :, 1] = (3, 8, 22), (700, 8, 1)
    write_ids(tmp_path / "RGB" / "0.png", np.zeros((1, 3, 3)))
    png16(tmp_path / "GT" / "LABELS" / "0.png", pixels)
    assert Synthia(tmp_path)[0].label.tolist() == [[0, 13, 255]]
    pixels[0, 0, 0] = 256 + 3  # must not be cut down to 3
    png16(tmp_path / "GT" / "LABELS" / "0.png", pixels)
    with pytest.raises(LabError, match="the id 259"):
        Synthia(tmp_path)[0]
    write_ids(tmp_path / "GT" / "LABELS" / "0.png", [[3, 8, 22]])
    with pytest.raises(LabError, match=r"must be a 16-bit RGB PNG.*8-bit grey"):
        Synthia(tmp_path)[0]


def test_a_truncated_synthia_label_is_not_half_read(tmp_path):
    rng = np.random.default_rng(0)
    write_ids(tmp_path / "RGB" / "0.png", np.zeros((64, 64, 3)))
    label = tmp_path / "GT" / "LABELS" / "0.png"
    png16(label, rng.integers(0, 23, (64, 64, 3)).astype(np.uint16))
    label.write_bytes(label.read_bytes()[:-500])
    with pytest.raises(LabError, match=r"0\.png: the PNG file is truncated"):
        Synthia(tmp_path)[0]


def test_export_resumes_and_leaves_no_partial_file(tmp_path, monkeypatch):
    labels = [EVERY_CLASS] * 4
    write, broken = writer.write_atomically, []

    def fail_once(path, data):
        if path.name == "00003.png" and path.parent.name == "labels" and not broken:
            broken.append(path)
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(writer, "write_atomically", fail_once)
    with pytest.raises(KeyboardInterrupt):
        writer.export(Drawn(labels), tmp_path, "gta5")
    again = Drawn(labels)
    assert writer.export(again, tmp_path, "gta5") == 4
    assert again.reads == 2  # the two pairs that were not complete
    assert len(GTA5(tmp_path, "all")) == 4
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".tmp")]


def test_a_picture_that_cannot_be_written_is_named_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
    with pytest.raises(LabError, match=r"labkit-export\.json: cannot be written \(Input/output error\)"):
        writer.export(Drawn([EVERY_CLASS]), tmp_path / "set", "gta5")
    assert list((tmp_path / "set").iterdir()) == []
    monkeypatch.undo()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LabError, match=r"a\.png: cannot be written \(Not a directory\)"):
        writer.write_atomically(tmp_path / "file" / "set" / "a.png", b"")


def test_two_data_sets_are_never_mixed_in_one_folder(tmp_path):
    writer.export(Drawn([EVERY_CLASS]), tmp_path / "a", "gta5")
    for other, format in (
        (Drawn([EVERY_CLASS[::-1]]), "gta5"),
        (Drawn([EVERY_CLASS], name="Other"), "gta5"),
        (Drawn([EVERY_CLASS]), "synthia"),
    ):
        with pytest.raises(LabError, match="already holds another export"):
            writer.export(other, tmp_path / "a", format)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.tex").write_text("")
    with pytest.raises(LabError, match="is not empty"):
        writer.export(Drawn([EVERY_CLASS]), tmp_path / "b", "gta5")
    with pytest.raises(UnknownNameError, match="known: cityscapes, gta5, synthia"):
        writer.export(Drawn([EVERY_CLASS]), tmp_path / "c", "camvid")
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("format", "style", "splits"),
    [
        ("gta5", "game", {"all": 6}),
        ("synthia", "toon", {"all": 6}),
        ("cityscapes", "real", {"train": 5, "val": 1}),
    ],
)
def test_make_writes_minicity(tmp_path, format, style, splits):
    from labkit.data.minicity import MiniCity

    seen = []
    folder = tmp_path / "made"
    assert writer.make(folder, style, format, 6, (64, 128), 3, lambda *args: seen.append(args)) == 6
    assert seen == [(i, 6) for i in range(1, 7)]
    for split, count in splits.items():
        data = READERS[format](folder, split)
        scenes = MiniCity(style, "val" if split == "val" else "train", size=(64, 128), count=count, seed=3)
        assert len(data) == count
        for i in range(count):
            np.testing.assert_array_equal(data[i].label, scenes[i].label)
            np.testing.assert_array_equal(data[i].image, scenes[i].image)


@pytest.mark.parametrize("style", ["game", "toon", "real"])
@pytest.mark.parametrize("format", READERS)
def test_every_style_round_trips_pixel_for_pixel(tmp_path, format, style):
    """What was drawn, what lies on the disk by the publishers' own tables, and what is read back are the same."""
    from labkit.data.minicity import MiniCity

    scenes = MiniCity(style, "train", size=(64, 128), count=3, seed=11)
    writer.export(scenes, tmp_path, format)
    data = READERS[format](tmp_path, "train" if format == "cityscapes" else "all")
    assert len(data) == 3
    for i, pair in enumerate(data.pairs):
        drawn = scenes[i].label
        np.testing.assert_array_equal(data[i].label, drawn)
        np.testing.assert_array_equal(data[i].image, scenes[i].image)
        stored = decode_png(pair.label)[0][..., 0]
        for value in np.unique(stored).tolist():
            (train_id,) = np.unique(drawn[stored == value]).tolist()  # one class for each number on the disk
            if format == "synthia":
                name = SYNTHIA_NAMES.get(value)
            else:
                name = id2label[value].name if 0 <= id2label[value].trainId < 255 else None
            assert name == (None if train_id == 255 else trainId2label[train_id].name)

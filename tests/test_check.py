"""`labkit data check`: every kind of damage is named with its file, and the rest is still checked."""

import shutil

import cv2
import numpy as np
import pytest
from cityscapesscripts.helpers.labels import id2label
from cityscapesscripts.helpers.labels import labels as official
from PIL import Image
from test_formats import EVERY_CLASS, Drawn, png16, write_ids

from labkit.data.catalog import open_dataset
from labkit.data.check import check
from labkit.data.export import export, make
from labkit.data.gta5 import GTA5
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


def test_a_text_named_like_a_photograph(tmp_path):
    (tmp_path / "a.jpg").write_text("<html>not found</html>" * 9)
    (problem,) = check(tmp_path, "pictures").bad
    assert problem.reason == "is no picture that can be read; copy it again from the original"


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
    with pytest.raises(UnknownNameError, match="known: camvid, cityscapes, cityscapes-extra, gta5, pictures, synthia"):
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
    assert report.bad[0].file == str(camvid / "val" / "val")
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
        str(tmp_path / "gtFine" / "train"),
        str(tmp_path / "leftImg8bit" / "train"),
    ]
    assert "CITY" in report.bad[0].reason


# --- every trap, in every format that has it -------------------------------------------------------------------------

STYLES = {"gta5": "game", "synthia": "toon", "cityscapes": "real"}
CITY = "minicity/minicity_000001_000019"
LABELS = {
    "gta5": "labels/00002.png",
    "synthia": "GT/LABELS/0000001.png",
    "cityscapes": f"gtFine/train/{CITY}_gtFine_labelIds.png",
}
IMAGES = {
    "gta5": "images/00002.png",
    "synthia": "RGB/0000001.png",
    "cityscapes": f"leftImg8bit/train/{CITY}_leftImg8bit.png",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    for format, style in STYLES.items():
        make(folder / format, style, format, 5, (48, 96))
    return folder


@pytest.fixture
def copied(made, tmp_path):
    """A function that gives a copy of the generated data in a format."""
    return lambda format: shutil.copytree(made / format, tmp_path / format)


def ids_of(label):
    return np.array(Image.open(label))


def rewrite(label, change):
    """Store other numbers, in the storage that the file has."""
    stored = cv2.imread(str(label), cv2.IMREAD_UNCHANGED)
    if stored.dtype == np.uint16:
        stored[..., -1] = change(stored[..., -1])
        label.write_bytes(cv2.imencode(".png", stored)[1].tobytes())
    else:
        with Image.open(label) as picture:
            mode = picture.mode
        write_ids(label, change(ids_of(label)), mode)


def cut_rows(label):
    stored = cv2.imread(str(label), cv2.IMREAD_UNCHANGED)
    if stored.dtype == np.uint16:
        label.write_bytes(cv2.imencode(".png", stored[:-1])[1].tobytes())
    else:
        rewrite(label, lambda ids: ids[:-1])


EVERYWHERE = {
    "missing label": (lambda label: label.unlink(), "the label map is missing; copy it again"),
    "truncated label": (truncate, "is truncated after"),
    "another size": (cut_rows, "the label map is 96×47 but its image is 96×48; replace the pair"),
    "unknown id": (lambda label: rewrite(label, lambda ids: np.where(ids == ids[0, 0], 99, ids)), "stores the id 99"),
    "RGB colours": (
        lambda label: write_ids(label, np.full((48, 96, 3), (128, 64, 128))),
        "this one is 8-bit RGB",
    ),
    "empty": (lambda label: label.write_bytes(b""), "is empty (0 bytes); copy it again"),
    "text": (lambda label: label.write_text("404 not found"), "is not a PNG file"),
}


@pytest.mark.parametrize("format", STYLES)
def test_generated_data_is_clean(made, format):
    report = check(made / format)
    assert (report.dataset, report.pairs, report.ok, report.bad) == (format, 5, 5, [])


@pytest.mark.parametrize("format", STYLES)
@pytest.mark.parametrize("fault", EVERYWHERE)
def test_a_fault_of_a_label_map(copied, format, fault):
    damage, reason = EVERYWHERE[fault]
    root = copied(format)
    damage(root / LABELS[format])
    report = check(root)
    (problem,) = report.bad
    known = (format, fault) == ("gta5", "another size")  # of the published GTA5 itself
    assert not report.clean
    expected = reason.replace("replace the pair", "the publishers' own archives") if known else reason
    assert problem.file == str(root / LABELS[format]) and expected in problem.reason
    assert (report.pairs, report.ok) == (5, 4)


def test_a_training_leaves_out_the_gta5_pairs_of_unequal_size(copied):
    root = copied("gta5")
    cut_rows(root / LABELS["gta5"])
    (problem,) = check(root).bad
    every, used = GTA5.all_pairs(root), open_dataset(str(root), "all").pairs
    assert [str(pair.label) for pair in every if pair not in used] == [problem.file]


@pytest.mark.parametrize("format", STYLES)
def test_faults_of_an_image(copied, format):
    root = copied(format)
    truncate(root / IMAGES[format])
    (problem,) = check(root).bad
    assert problem.file == str(root / IMAGES[format]) and "is truncated" in problem.reason
    (root / IMAGES[format]).unlink()
    (problem,) = check(root).bad
    assert problem.file == str(root / IMAGES[format]) and "image is missing" in problem.reason


def test_synthia_labels_of_eight_bits(copied):
    root = copied("synthia")
    label = root / LABELS["synthia"]
    eight = cv2.imread(str(label), cv2.IMREAD_UNCHANGED).astype(np.uint8)
    for stored, words in ((eight, "8-bit RGB"), (eight[..., -1], "8-bit grey")):
        label.write_bytes(cv2.imencode(".png", stored)[1].tobytes())
        (problem,) = check(root).bad
        assert problem.file == str(label) and f"this one is {words}" in problem.reason
        assert "GT/LABELS of the original archive" in problem.reason


def flatteners(label):
    """A palette PNG as several programs turn it into grey."""
    with Image.open(label) as picture:
        colours = np.array(picture.convert("RGB"))
        yield "Pillow", np.array(picture.convert("L"))
    yield "OpenCV", cv2.imread(str(label), cv2.IMREAD_GRAYSCALE)
    yield "rounded down", (colours @ [0.299, 0.587, 0.114] + 1e-9).astype(np.uint8)


def test_gta5_labels_flattened_to_grey(copied):
    root = copied("gta5")
    label = root / LABELS["gta5"]
    for program, grey in list(flatteners(label)):
        write_ids(label, grey)
        (problem,) = check(root).bad
        assert problem.file == str(label) and "flattened the palette" in problem.reason, program
        assert "take the label map from the original archive" in problem.reason


PALETTE = [channel for value in range(35) for channel in id2label[-1 if value == 34 else value].color]


@pytest.mark.parametrize("ids", [[one.id % 35] for one in official] + [[0, 26, 27], [26, 34], [29, 30], [4, 6, 32]])
def test_every_class_flattened_is_reported_even_where_its_brightness_is_an_id(copied, ids):
    root = copied("gta5")
    label = root / LABELS["gta5"]
    write_ids(label, np.resize(ids, (48, 96)), "P")
    with Image.open(label) as picture:
        picture.putpalette(PALETTE)
        picture.save(label)
    assert check(root).clean
    for program, grey in list(flatteners(label)):
        write_ids(label, grey)
        (problem,) = check(root).bad
        assert problem.file == str(label) and "flattened the palette" in problem.reason, program
        with pytest.raises(LabError, match="flattened the palette"):
            open_dataset(str(root), "all")[1]


def test_gta5_ids_saved_as_grey_are_ids(copied):
    root = copied("gta5")
    label = root / LABELS["gta5"]
    before = open_dataset(str(root), "all")[1].label
    write_ids(label, ids_of(label))
    assert check(root).clean
    np.testing.assert_array_equal(open_dataset(str(root), "all")[1].label, before)


TO_TRAIN = np.array([id2label[value].trainId if value in id2label else 255 for value in range(256)]) % 256


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("kind", ["trainIds", "prediction", "few classes", "void"])
def test_train_ids_in_place_of_cityscapes_ids(copied, split, kind):
    root = copied("cityscapes")
    label = root / f"gtFine/{split}/minicity/minicity_000000_000019_gtFine_labelIds.png"
    train_ids = TO_TRAIN[ids_of(label)]
    if kind == "prediction":
        train_ids = np.where(train_ids == 255, 0, train_ids)  # a network knows no void
    elif kind != "trainIds":
        train_ids = np.full((48, 96), 255) if kind == "void" else np.where(train_ids == 2, 2, 0)
    write_ids(label, train_ids)
    (problem,) = check(root).bad
    assert problem.file == str(label) and "these are trainIds" in problem.reason
    assert "take the file *_gtFine_labelIds.png from gtFine_trainvaltest.zip" in problem.reason


def test_other_files_of_cityscapes_in_place_of_ids(copied):
    root = copied("cityscapes")
    label = root / LABELS["cityscapes"]
    ids, folder, stem = ids_of(label), label.parent, label.name.removesuffix("_labelIds.png")
    colours = np.zeros((256, 3), np.uint8)
    for one in official:
        colours[one.id] = one.color
    write_ids(folder / f"{stem}_labelTrainIds.png", TO_TRAIN[ids])
    write_ids(folder / f"{stem}_color.png", np.dstack([colours[ids], np.full(ids.shape, 255)]))  # theirs has alpha too
    Image.fromarray(ids.astype(np.uint16) * 1000).save(folder / f"{stem}_instanceIds.png")
    (folder / f"{stem}_polygons.json").write_text("{}")
    assert check(root).clean  # beside each other they belong
    for other, words in (
        ("labelTrainIds", "these are trainIds"),
        ("color", "this one is 8-bit RGB with alpha"),
        ("instanceIds", "this one is 16-bit grey"),
    ):
        shutil.copy(folder / f"{stem}_{other}.png", label)
        (problem,) = check(root).bad
        assert problem.file == str(label) and words in problem.reason


def test_what_publishers_put_beside_the_files_is_not_in_the_way(copied):
    root = copied("synthia")
    shutil.copytree(root / "RGB", root / "GT" / "COLOR")
    assert check(root).clean
    root = copied("cityscapes")
    for part in ("demoVideo/stuttgart_00", "train_extra/troisdorf"):
        shutil.copytree(root / "leftImg8bit/train/minicity", root / "leftImg8bit" / part)
    assert check(root).clean


def test_what_only_looks_like_train_ids(copied):
    """The licence plate (id −1) is stored as 255; the published test labels are void throughout."""
    root = copied("cityscapes")
    label = root / LABELS["cityscapes"]
    write_ids(label, np.where(ids_of(label) == ids_of(label)[0, 0], 255, 26))
    assert check(root).clean
    for kind in ("leftImg8bit", "gtFine"):
        (root / kind / "val").rename(root / kind / "test")
    write_ids(next((root / "gtFine" / "test").rglob("*.png")), np.resize([0, 1, 3], (48, 96)))
    assert check(root).clean


def nest(folder):
    """images → images/images"""
    inner = folder.with_name("moving")
    folder.rename(inner)
    folder.mkdir()
    inner.rename(folder / folder.name)


@pytest.mark.parametrize(
    ("format", "folder"),
    [
        ("gta5", "images"),
        ("gta5", "labels"),
        ("synthia", "RGB"),
        ("synthia", "GT"),
        ("synthia", "GT/LABELS"),
        ("cityscapes", "gtFine"),
        ("cityscapes", "leftImg8bit"),
        ("cityscapes", "gtFine/train"),
        ("cityscapes", "gtFine/train/minicity"),
    ],
)
def test_one_folder_too_many(copied, format, folder):
    root = copied(format)
    nest(root / folder)
    report = check(root)
    assert report.dataset == format and not report.clean
    misplaced = [problem for problem in report.bad if "not where they are expected" in problem.reason]
    assert misplaced and all(f"{folder}/{folder.rpartition('/')[2]}" in problem.file for problem in misplaced)
    assert all("move them to where" in problem.reason for problem in misplaced)
    assert any("is missing" in problem.reason for problem in report.bad)


@pytest.mark.parametrize("format", STYLES)
def test_everything_one_or_two_levels_deeper(made, tmp_path, format):
    shutil.copytree(made / format, tmp_path / "a" / "b")
    for root, levels in ((tmp_path / "a", "one level"), (tmp_path, "two levels")):
        (problem,) = check(root).bad
        assert problem.file == str(root)
        assert f"{levels} deeper; name {tmp_path / 'a' / 'b'} instead" in problem.reason


@pytest.mark.parametrize(
    ("format", "folder"),
    [
        ("gta5", "images"),
        ("synthia", "GT"),
        ("synthia", "GT/LABELS"),
        ("cityscapes", "leftImg8bit"),
        ("cityscapes", "leftImg8bit/train"),
        ("cityscapes", "gtFine/train/minicity"),
    ],
)
def test_a_folder_within_a_data_set_leads_to_it(made, format, folder):
    root = made / format
    (problem,) = check(root / folder).bad
    assert problem.file == str(root / folder) and problem.reason.endswith(f"name the folder above it, {root}, instead")
    assert "is a part of" in problem.reason
    with pytest.raises(LabError, match="name the folder above it"):
        open_dataset(str(root / folder))


def test_a_folder_beside_a_data_sets_parts_is_none_of_it(copied):
    root = copied("gta5")
    write_ids(root / "notes" / "a.png", np.zeros((12, 32, 3)))
    assert "not laid out like any" in check(root / "notes").bad[0].reason
    assert len(open_dataset(str(root / "notes"))) == 1


def test_cities_without_a_split(copied):
    root = copied("cityscapes")
    shutil.move(root / "gtFine" / "train" / "minicity", root / "gtFine" / "minicity")
    report = check(root)
    reasons = {problem.file: problem.reason for problem in report.bad}
    assert "holds 4 files" in reasons[str(root / "gtFine" / "minicity")]
    assert "gtFine/train/CITY" in reasons[str(root / "gtFine" / "minicity")]
    assert len([problem for problem in report.bad if "label map is missing" in problem.reason]) == 4
    assert (report.pairs, report.ok) == (5, 1)


def test_cityscapes_unpacked_into_two_folders(copied):
    root = copied("cityscapes")
    for kind in ("leftImg8bit", "gtFine"):
        (root / f"{kind}_trainvaltest").mkdir()
        (root / kind).rename(root / f"{kind}_trainvaltest" / kind)
    (problem,) = check(root).bad
    assert f"in {root / 'gtFine_trainvaltest'} and {root / 'leftImg8bit_trainvaltest'}; move" in problem.reason


def test_a_format_under_anothers_name(made):
    for name in STYLES:
        for other in set(STYLES) - {name}:
            (problem,) = check(made / name, other).bad
            assert problem.file == str(made / name) and f"name the data set {name}" in problem.reason

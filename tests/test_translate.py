"""``labkit translate``: every format, every size, interrupted and not, checked, and trained on."""

from __future__ import annotations

import io
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from test_cli import answer, labkit
from torch import nn

from labkit import translate as translating
from labkit.data.catalog import open_dataset
from labkit.data.check import check
from labkit.data.export import make
from labkit.data.minicity import MiniCity
from labkit.data.pairs import resize_labels
from labkit.errors import LabError, UnknownNameError
from labkit.lab import Lab
from labkit.methods.registry import METHODS
from labkit.methods.supervised import SourceOnly
from labkit.models.generator import Generator
from labkit.training.runs import Run, RunStore
from labkit.translate import load_generators, translate, translate_images, translated

SIZE = (48, 96)


@dataclass
class StandIn(SourceOnly):
    """A method with small generators that it keeps, and does not train."""

    name: ClassVar[str] = "stand-in"
    keeps: ClassVar[tuple[str, ...]] = ("generators",)
    blocks: int = 1

    def build(self, model: nn.Module) -> dict[str, nn.Module]:
        torch.manual_seed(5)
        small = nn.ModuleDict({name: Generator(self.blocks, filters=4) for name in ("to_target", "to_source")})
        return {"generators": small}

    def optimizer(self, network, parameters):
        return torch.optim.Adam(parameters)


@pytest.fixture(autouse=True)
def known_method(monkeypatch):
    monkeypatch.setitem(METHODS, StandIn.name, "test_translate:StandIn")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    runs = tmp_path_factory.mktemp("runs")
    return Lab("smoke", runs=runs, device="cpu").train("bisenet", StandIn(blocks=2), steps=1, batch_size=2)


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Run:
    """A run without generators."""
    runs = tmp_path_factory.mktemp("other")
    return Lab("smoke", runs=runs, device="cpu").train("bisenet", "source-only", steps=1, batch_size=2)


def files(folder: Path) -> dict[str, bytes]:
    places = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in places}


def read(folder: Path, split: str = "train"):
    return open_dataset(str(folder), split)


def drawn(tmp_path: Path, style: str, file_format: str, count: int = 5, size: tuple[int, int] = SIZE) -> Path:
    make(tmp_path / style, style, file_format, count, size)
    return tmp_path / style


# --- pictures --------------------------------------------------------------------------------------------------------


def test_the_kept_generators_are_the_trained_ones(run):
    generators = load_generators(run)
    assert set(generators) == {"to_target", "to_source"} and not generators.training
    expected = StandIn(blocks=2).build(None)["generators"].state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in generators.state_dict().items())


def test_a_real_methods_generators_are_found(tmp_path):
    lab = Lab("smoke", runs=tmp_path, device="cpu")
    small = {"generator_blocks": 1, "generator_filters": 4}
    cyclegan = lab.train("bisenet", "cyclegan", steps=2, batch_size=1, **small)
    done = translate(cyclegan, "minicity-game", tmp_path / "out", count=2, size=SIZE, device="cpu")
    assert done.pictures == 2 and check(tmp_path / "out").clean


@pytest.mark.parametrize("size", [(32, 64), (33, 62), (30, 67), (35, 61)])
def test_any_size_is_translated(run, size):
    generator = load_generators(run)["to_target"]
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    found = translate_images(generator, images)
    assert found.shape == images.shape and 0 <= found.min() < found.max() <= 1
    height, width = (-(-side // 4) * 4 for side in size)
    mirrored = cv2.copyMakeBorder(
        images[0].permute(1, 2, 0).numpy(), 0, height - size[0], 0, width - size[1], cv2.BORDER_REFLECT_101
    )
    with torch.no_grad():
        expected = generator(torch.from_numpy(mirrored).permute(2, 0, 1)[None] * 2 - 1) / 2 + 0.5
    torch.testing.assert_close(found[:1], expected[..., : size[0], : size[1]], atol=1e-5, rtol=0)


def test_an_identity_changes_no_bit_of_a_data_set():
    class Same(nn.Conv2d):
        def forward(self, x):
            assert x.shape[-2] % 4 == x.shape[-1] % 4 == 0 and -1 <= x.min() < -0.3 and 0.3 < x.max() <= 1
            return x

    city = MiniCity("game", size=(33, 62), count=3)
    same = translated(city, Same(3, 3, 1), "the same")
    for i in range(3):
        assert np.array_equal(same[i].image, city[i].image) and np.array_equal(same[i].label, city[i].label)
    assert same.fingerprint() != translated(city, Same(3, 3, 1), "the same").fingerprint()  # other weights
    with pytest.raises(LabError, match="3×9 is too small"):
        translate_images(Same(3, 3, 1), torch.rand(1, 3, 3, 9))


# --- folders ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("style", "file_format", "picture"),
    [
        ("game", "gta5", "images/00001.png"),
        ("toon", "synthia", "RGB/0000000.png"),
        ("real", "cityscapes", "leftImg8bit/train/minicity/minicity_000000_000019_leftImg8bit.png"),
    ],
)
def test_generated_streets_are_written_as_data_make_writes_them(run, tmp_path, style, file_format, picture):
    steps = []
    done = translate(
        run,
        f"minicity-{style}",
        tmp_path / "out",
        count=3,
        size=(33, 62),
        device="cpu",
        progress=lambda *p: steps.append(p),
    )
    assert (done.format, done.pictures) == (file_format, 3) and steps == [(1, 3), (2, 3), (3, 3)]
    plain = tmp_path / "plain"
    from labkit.data.export import export

    scenes = MiniCity(style, size=(33, 62), count=3)
    export(scenes, plain, file_format)
    ours, theirs = files(tmp_path / "out"), files(plain)
    assert set(ours) == set(theirs)
    changed = {name for name in ours if ours[name] != theirs[name]}
    assert changed == {"labkit-export.json", *(name for name in ours if name.startswith(picture.split("/")[0]))}
    found = np.array(Image.open(tmp_path / "out" / picture)).transpose(2, 0, 1)[None]
    expected = translate_images(
        load_generators(run)["to_target"], torch.from_numpy(scenes[0].image).permute(2, 0, 1)[None] / 255
    )
    assert np.array_equal(found, np.rint(expected.numpy() * 255))
    report = check(tmp_path / "out")
    assert report.clean and (report.dataset, report.pairs) == (file_format, 3)
    assert read(tmp_path / "out").name.startswith(
        f"MiniCity {style} translated to the target by bisenet-stand-in-seed0-"
    )


def test_of_minicity_the_runs_own_pictures_are_taken_by_default(run, tmp_path):
    wanted = run.data_sets()[0]
    done = translate(run, "minicity-game", tmp_path / "out", device="cpu")
    assert done.pictures == wanted["count"]
    assert read(tmp_path / "out")[0].image.shape[:2] == tuple(wanted["size"])


@pytest.mark.parametrize(("style", "file_format"), [("game", "gta5"), ("toon", "synthia"), ("real", "cityscapes")])
def test_a_folder_keeps_its_format_and_its_labels_byte_by_byte(run, tmp_path, style, file_format):
    source = drawn(tmp_path, style, file_format, count=11, size=(33, 62))
    done = translate(run, str(source), tmp_path / "out", device="cpu")
    ours, theirs = files(tmp_path / "out"), files(source)
    assert set(ours) == set(theirs) and (done.format, done.pictures) == (file_format, 11)
    tops = {"gta5": "images", "synthia": "RGB", "cityscapes": "leftImg8bit"}
    pictures = {name for name in ours if name.startswith(tops[file_format])}
    assert {name for name in ours if ours[name] != theirs[name]} == {"labkit-export.json", *pictures}
    assert check(tmp_path / "out").clean
    for split in ("train", "val"):  # all of them, so that the folder divides as the original does
        before, after = read(source, split), read(tmp_path / "out", split)
        assert [sample.name for sample in before] == [sample.name for sample in after]
        assert after.name == f"MiniCity {style} translated to the target by {run.name} ({after.__class__.name} format)"
    generator = load_generators(run)["to_target"]
    again = translated(read(source), generator, "in memory")
    assert all(np.array_equal(again[i].image, read(tmp_path / "out")[i].image) for i in range(len(again)))


def test_both_directions_some_pictures_and_one_split(run, tmp_path):
    source = drawn(tmp_path, "real", "cityscapes", count=10)
    translate(run, str(source), tmp_path / "back", towards="source", split="val", device="cpu")
    back = read(tmp_path / "back", "val")
    expected = translated(read(source, "val"), load_generators(run)["to_source"], "")
    assert np.array_equal(back[0].image, expected[0].image) and len(back) == 2
    assert "to the source by" in back.name and not (tmp_path / "back" / "leftImg8bit" / "train").exists()
    translate(run, str(source), tmp_path / "some", count=4, device="cpu")
    assert check(tmp_path / "some").pairs == 4


@pytest.mark.parametrize(("style", "file_format"), [("game", "gta5"), ("toon", "synthia")])
def test_another_size(run, tmp_path, style, file_format):
    source = drawn(tmp_path, style, file_format, count=2, size=(50, 101))
    translate(run, str(source), tmp_path / "out", size=(24, 46), device="cpu")
    assert check(tmp_path / "out").clean
    reader = type(read(source))
    small = translated(reader(source, "train", (24, 46)), load_generators(run)["to_target"], "")
    for i, sample in enumerate(read(tmp_path / "out")):
        assert np.array_equal(sample.label, resize_labels(read(source)[i].label, (24, 46)))
        assert np.array_equal(sample.image, small[i].image)


OWN = """
name = "Our streets"
ids = "cityscapes"
[splits.train]
images = "photos/*.jpg"
labels = "maps/*_ids.png"
[splits.val]
images = "more/*.png"
"""


def test_a_folder_of_ones_own_takes_its_description_along(run, tmp_path):
    source, city = tmp_path / "own", read(drawn(tmp_path, "real", "cityscapes", count=10))
    for folder in ("photos", "maps", "more"):
        (source / folder).mkdir(parents=True)
    (source / "labkit-dataset.toml").write_text(OWN)
    for i in range(2):
        Image.fromarray(city[i].image).save(source / "photos" / f"{i}.jpg", quality=100)
        shutil.copy(city.pairs[i].label, source / "maps" / f"{i}_ids.png")
        Image.fromarray(city[i + 2].image).save(source / "more" / f"{i}.png")
    done = translate(run, str(source), tmp_path / "out", device="cpu")
    assert (done.format, done.pictures) == ("own", 4) and done.dataset.startswith(
        "Our streets translated to the target"
    )
    assert check(tmp_path / "out").clean
    train, val = read(tmp_path / "out", "train"), read(tmp_path / "out", "val")
    assert train.name == val.name == done.dataset and train.labelled and not val.labelled
    expected = translated(read(source), load_generators(run)["to_target"], "")
    stored = io.BytesIO()
    Image.fromarray(expected[0].image).save(stored, "JPEG", quality=95, subsampling="4:4:4")
    assert np.array_equal(train[0].image, np.array(Image.open(stored)))


def test_translated_photographs_keep_their_attribution(run, tmp_path, camvid, caplog):
    with caplog.at_level("INFO"):
        done = translate(run, "camvid", tmp_path / "out", split="val", count=2, device="cpu", root=camvid)
    assert (done.format, done.pictures) == ("camvid", 2) and check(tmp_path / "out").clean
    assert "Brostow" in caplog.text and "CC BY-NC" in caplog.text


def test_gta5s_own_split_goes_along(run, tmp_path):
    from scipy.io import savemat

    source = drawn(tmp_path, "game", "gta5", count=6)
    savemat(source / "split.mat", {"trainIds": [[1], [2], [3]], "valIds": [[4], [5]], "testIds": [[6]]})
    translate(run, str(source), tmp_path / "out", device="cpu")
    assert [len(read(tmp_path / "out", split)) for split in ("train", "val", "test")] == [3, 2, 1]


def test_pairs_that_are_left_out_keep_their_place_in_the_order(run, tmp_path):
    """GTA5 without its split.mat holds out every tenth pair, counting those of unequal size."""
    source = drawn(tmp_path, "game", "gta5", count=23)
    with Image.open(source / "labels" / "00003.png") as label:
        label.resize((9, 9), Image.Resampling.NEAREST).save(source / "labels" / "00003.png")
    done = translate(run, str(source), tmp_path / "out", device="cpu")
    assert done.pictures == 22
    for split in ("train", "val"):
        names = [pair.name for pair in read(source, split).pairs]
        assert names and [pair.name for pair in read(tmp_path / "out", split).pairs] == names


# --- interrupted -----------------------------------------------------------------------------------------------------

SLOWLY = """
import sys, time
from labkit import cli, translate
from labkit.methods.registry import METHODS
METHODS["stand-in"] = "test_translate:StandIn"
at_once = translate.translate_images
def slowly(*arguments):
    time.sleep(0.05)
    return at_once(*arguments)
translate.translate_images = slowly
print("ready", flush=True)
cli.main(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["generated", "folder"])
def test_killed_and_started_again_it_ends_with_the_same_bytes(run, tmp_path, kind):
    source = "minicity-toon" if kind == "generated" else str(drawn(tmp_path, "toon", "synthia", count=20))
    options = {"count": 20, "size": SIZE} if kind == "generated" else {}
    translate(run, source, tmp_path / "expected", device="cpu", **options)
    words = [*("--count", "20", "--size", "48x96")] if kind == "generated" else []
    command = [
        sys.executable,
        "-c",
        SLOWLY,
        "translate",
        str(run.folder),
        "--source",
        source,
        "--device",
        "cpu",
        *words,
    ]
    environment = {"PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1", "LABKIT_BATCH": "1"}
    out, moments, reached = tmp_path / "out", random.Random(4), [0]
    for _ in range(2):
        process = subprocess.Popen([*command, "--out", str(out)], env=environment, stdout=subprocess.PIPE)
        wait_for(lambda: len(list(out.glob("RGB/*.png"))) > reached[-1], process)
        time.sleep(moments.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        process.communicate()
        assert process.returncode
        reached.append(len(list(out.glob("RGB/*.png"))))
    assert 0 < reached[1] < reached[2] < 20
    translate(run, source, out, device="cpu", **options)
    assert files(out) == files(tmp_path / "expected") and check(out).clean


def wait_for(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    for _ in range(6000):
        if condition():
            return
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    raise AssertionError("nothing was written in a minute")


def test_only_what_is_missing_is_translated_again(run, tmp_path, monkeypatch):
    source = drawn(tmp_path, "game", "gta5")
    translate(run, str(source), tmp_path / "out", device="cpu")
    expected = files(tmp_path / "out")
    (tmp_path / "out" / "images" / "00002.png").unlink()
    (tmp_path / "out" / "labels" / "00004.png").unlink()
    (tmp_path / "out" / "images" / ".00003.png.77.tmp").write_bytes(b"half")
    calls, at_once = [], translating.translate_images
    monkeypatch.setattr(translating, "translate_images", lambda *given: calls.append(1) or at_once(*given))
    translate(run, str(source), tmp_path / "out", device="cpu")
    assert files(tmp_path / "out") == expected and len(calls) == 2


def test_a_second_one_at_work_in_the_folder_is_refused(run, tmp_path):
    from filelock import FileLock

    source = drawn(tmp_path, "game", "gta5", count=1)
    translate(run, str(source), tmp_path / "out", device="cpu")
    with FileLock(tmp_path / "out" / ".lock"), pytest.raises(LabError, match="another `labkit translate` is at work"):
        translate(run, str(source), tmp_path / "out", device="cpu")


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_translated_folder_is_checked_and_trained_on(run, tmp_path):
    out = tmp_path / "translated"
    words = ("--source", "minicity-game", "--count", 12, "--out", out, "--device", "cpu", "--runs", run.folder.parent)
    value = answer("translate", "bisenet-stand-in", *words)
    assert value["folder"] == str(out) and (value["pairs"], value["format"]) == (12, "gta5")
    assert value["run"] == str(run.folder)
    assert value["dataset"] == f"MiniCity game translated to the target by {run.name} (GTA5 format)"
    assert answer("data", "check", out) == {"dataset": "gta5", "pairs": 12, "ok": 12, "bad": []}
    tiny = ("--profile", "smoke", "--steps", 2, "--device", "cpu", "--runs", tmp_path / "runs")
    trained = answer("train", *tiny, "--source", out)
    assert trained["steps"] == 2 and 0 <= trained["miou_target"] <= 1
    (found,) = RunStore(tmp_path / "runs").all()
    assert found.description["data"]["source"]["name"] == value["dataset"]


def test_what_is_refused_is_named_and_leaves_nothing(run, other, tmp_path):
    source = drawn(tmp_path, "game", "gta5", count=2)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "letter.txt").write_text("dear")
    (foreign / ".draft.tmp").write_text("half a letter")
    out = tmp_path / "out"
    for given, words, message in (
        (other, {"source": str(source), "out": out}, r"source-only, which keeps no generators; train one that transl"),
        (run, {"source": str(source), "out": foreign}, "is not empty and was not written by labkit"),
        (run, {"source": "minicity-game", "out": foreign}, "is not empty and was not written by labkit"),
        (run, {"source": str(source), "out": source / "translated"}, "lies in the data set that is read"),
        (run, {"source": str(source), "out": source}, "lies in the data set that is read"),
        (run, {"source": str(foreign), "out": out}, "is not laid out like any data set known"),
    ):
        with pytest.raises(LabError, match=message):
            translate(given, device="cpu", **words)
    for changed, message in (({"towards": "moon"}, "known: source, target"), ({"split": "evening"}, "known: all, te")):
        with pytest.raises(UnknownNameError, match=message):
            translate(run, str(source), out, device="cpu", **changed)
    assert not out.exists() and files(foreign) == {"letter.txt": b"dear", ".draft.tmp": b"half a letter"}
    assert sorted(path.name for path in foreign.iterdir()) == [".draft.tmp", "letter.txt"]
    result = labkit("translate", other.folder, "--source", source, "--out", out)
    assert result.exit_code == 2 and "keeps no generators" in result.stderr


def test_a_folder_of_another_translation_is_refused(run, tmp_path):
    source = drawn(tmp_path, "game", "gta5", count=2)
    translate(run, str(source), tmp_path / "out", device="cpu")
    before = files(tmp_path / "out")
    for changed in ({"towards": "source"}, {"count": 1}, {"size": (24, 48)}):
        with pytest.raises(LabError, match="already holds another export"):
            translate(run, str(source), tmp_path / "out", device="cpu", **changed)
        assert files(tmp_path / "out") == before
    shutil.copytree(source, tmp_path / "other")
    (tmp_path / "other" / "images" / "00002.png").unlink()
    (tmp_path / "other" / "labels" / "00002.png").unlink()
    with pytest.raises(LabError, match="already holds another export"):  # of another source
        translate(run, str(tmp_path / "other"), tmp_path / "out", device="cpu")


def test_an_unfinished_run_has_no_generators_yet(run, tmp_path):
    copy = shutil.copytree(run.folder, tmp_path / run.name)
    (copy / "generators.safetensors").unlink()
    with pytest.raises(LabError, match=r"has no generators\.safetensors; it is not finished"):
        load_generators(Run(copy))
    with pytest.raises(UnknownNameError, match="stand-in"):
        METHODS.pop("stand-in")
        load_generators(run)
    assert load_generators(run, StandIn(blocks=2))  # a method of one's own is given itself
